"""Models without data, on torch's meta device: for their shapes, before memory is taken, and without torch's compiler.

What draws at random is a matter of data, too: it does nothing there.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gancli.unloaded import without_compiler

IN_PLACE = frozenset({
    nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.xavier_uniform_,
    nn.init.xavier_normal_, nn.init.orthogonal_, nn.init.trunc_normal_,
    Tensor.uniform_, Tensor.normal_, Tensor.bernoulli_, Tensor.random_, Tensor.exponential_,
})
LIKE = frozenset({torch.rand_like, torch.randn_like})
NEW = frozenset({torch.rand, torch.randn})


@contextmanager
def blank() -> Iterator[None]:
    """Make tensors on the meta device for as long as a block runs; what draws at random leaves or makes them blank."""
    with without_compiler(), torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Lets no random call come to a tensor that has no data."""

    def __torch_function__(self, func: Callable[..., Any], types: Sequence[type], args: tuple = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if func in IN_PLACE:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        elif func in LIKE and args[0].is_meta:
            return torch.empty_like(*args, **kwargs)
        elif func in NEW and torch.device(kwargs.get("device") or "meta").type == "meta":
            return torch.empty(*args, **{name: value for name, value in kwargs.items() if name != "generator"})
        return func(*args, **kwargs)
