"""Words that functions of Python once had, kept working with a sentence that says the present one."""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def once_called(old: str, new: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take the keyword `old` for `new`, with a FutureWarning; a TypeError where both are given."""

    def renamed(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if old in kwargs:
                if new in kwargs:
                    raise TypeError(f"{function.__name__} takes {new}=, which {old}= was called before: give one of them")
                warnings.warn(f"{old}= is called {new}= now, as in the commands: {function.__name__}(..., {new}=...)",
                              FutureWarning, stacklevel=2)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return renamed
