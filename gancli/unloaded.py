"""Parts of torch that it loads in order to do nothing with them, kept out while only shapes are asked for.

Its functions in Python for the meta device ask its compiler (torch._dynamo, 1.5 s of CPU time to import) to pass them by, and
its algebra (sympy and what stands on it, 0.4 s) whether plain numbers are equal.  A stand-in answers, and gives way to the
real module as soon as it is asked for anything else.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

SYMBOLS = "torch.fx.experimental.symbolic_shapes"
ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "sympy": {"Basic": type("Basic", (), {})},  # nothing is an expression
    SYMBOLS: {  # sizes are numbers
        **dict.fromkeys(("expect_true", "guard_or_false", "guard_or_true", "guard_size_oblivious", "statically_known_true"),
                        bool),
        "sym_and": lambda *conditions: all(conditions),
        "sym_or": lambda *conditions: any(conditions),
        "sym_eq": lambda x, y: tuple(x) == tuple(y) if isinstance(x, (tuple, list)) else x == y,
        "is_nested_int": lambda size: False,
        "has_guarding_hint": lambda size: True,
        "guarding_hint_or_throw": lambda size: size,
        "free_unbacked_symbols": lambda sizes: set(),
    },
}


@contextmanager
def without_compiler() -> Iterator[None]:
    """Keep the compiler and the algebra out, unless they are loaded already, for as long as a block runs."""
    import torch.fx.experimental._config  # beside symbolic_shapes, which loads it  # noqa: F401

    passed: list[Callable[..., Any]] = []

    def disable(function: Callable[..., Any], recursive: bool = True, wrapping: bool = True) -> Callable[..., Any]:
        passed.append(function)
        return function

    with ExitStack() as stack:
        for name, answers in {**ANSWERS, "torch._dynamo": {"disable": disable}}.items():
            stack.enter_context(_stood_in(name, answers))
        try:
            yield
        finally:
            for function in passed:  # torch keeps what the compiler made of a function
                vars(function).pop("__dynamo_disable", None)


@contextmanager
def _stood_in(name: str, answers: Mapping[str, Any]) -> Iterator[None]:
    if name in sys.modules:
        yield
        return
    sys.modules[name] = stand_in = _StandIn(name, answers)
    try:
        yield
    finally:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]


class _StandIn(ModuleType):
    """Answers for a module that is not loaded, and is replaced by it when it cannot."""

    def __init__(self, name: str, answers: Mapping[str, Any]) -> None:
        super().__init__(name)
        vars(self).update(answers)

    def __getattr__(self, attribute: str) -> Any:
        name = self.__name__
        if attribute.startswith("__") and (attribute != "__path__" or name == SYMBOLS):  # this one is no package
            raise AttributeError(attribute)
        if sys.modules.get(name) is self:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)
