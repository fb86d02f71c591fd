"""Networks that are used and never trained: perceptual features, classifiers, oracles."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Frozen(nn.Module):
    """A fixed network inside a model: it moves to devices with it, and has no part in training or in checkpoints.

    Its weights are no parameters of the model: they ask for no gradients, are not averaged and not saved.  What is saved
    is their digest, and a checkpoint that was written beside other weights is refused.

    A network on the meta device waits for its weights (`fill`): what was trained beside it can be loaded and used without.
    """

    digest: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        network = network.eval().requires_grad_(False)
        object.__setattr__(self, "network", network)  # not registered
        self.register_buffer("digest", _digest(network))

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.network(*inputs, **named)

    @property
    def waits(self) -> bool:
        """Whether its weights have yet to be filled in."""
        return any(tensor.is_meta for tensor in self.network.state_dict().values())

    def fill(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of a state dict, on this module's device, and their digest."""
        self.network.load_state_dict(state, assign=True)
        self.network.to(self.digest.device).eval().requires_grad_(False)
        self.digest.copy_(_digest(self.network))

    def _apply(self, function: Any, recurse: bool = True) -> "Frozen":
        if not self.waits:
            self.network._apply(function)
        return super()._apply(function, recurse)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Frozen":
        return self  # a copy would hold the same weights once more

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        stored = state.get(f"{prefix}digest")
        if (stored is not None and not stored.is_meta and not self.waits
                and not torch.equal(stored.cpu(), self.digest.cpu())):
            rest[-1].append(f"{prefix.rstrip('.')} was trained beside other frozen weights than these")
            return
        super()._load_from_state_dict(state, prefix, *rest)


def _digest(network: nn.Module) -> Tensor:
    """Return a hash of the network's weights and buffers, uint8 [16]."""
    whole = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        if tensor.is_meta:
            return torch.zeros(16, dtype=torch.uint8)
        whole.update(name.encode())
        whole.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return torch.frombuffer(bytearray(whole.digest()), dtype=torch.uint8).clone()
