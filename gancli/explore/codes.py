"""Codes of a model's latents as users name them: `code=` the first categorical one, `codes=` any by name."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UsageError, UserError, near
from gancli.explore.labels import spread
from gancli.game.abilities import able, refusal
from gancli.game.model import Model

FARTHEST = 2.0  # that a continuous code is moved: twice as far as in training, as Chen 2016 shows them


def spread_codes(code: Any, codes: Any, model: Model, name: str, n: int) -> dict[str, Tensor]:
    """Return the codes that `code=` and `codes=` fix, by name, with a value for each of n images.

    A list gives its values to equally many images each, sorted as in the list.

    Raises:
        UserError: the model has no codes, none of that name or kind, or the value is out of range.
        UsageError: one code is given twice, or codes= is no mapping.
    """
    if code is None and not codes:
        return {}
    if not able(model, "codes"):
        raise UserError(refusal(name, "codes"))
    given = _named(code, codes, model.codes)
    unknown = [each for each in given if each not in model.codes]
    if unknown:
        raise UserError(f"There is no code called {unknown[0]}; {near(str(unknown[0]), list(model.codes))}")
    return {each: _values(value, each, model.codes[each], n) for each, value in given.items()}


def _named(code: Any, codes: Any, known: Mapping[str, int | None]) -> dict[str, Any]:
    """Return what is given by the codes' names."""
    if not isinstance(codes, (Mapping, type(None))):
        raise UsageError(f"codes={codes} names no code: give codes={{{list(known)[-1]}: 1.5}}.")
    given = dict(codes or {})
    if code is None:
        return given
    categorical = [name for name, size in known.items() if size is not None]
    if not categorical:
        raise UserError(f"code={code} needs a categorical code and this model has only {', '.join(known)}: "
                        f"give codes={{{next(iter(known))}: 1.5}}.")
    if categorical[0] in given:
        raise UsageError(f"code={code} and codes={{{categorical[0]}: {given[categorical[0]]}}} are one code: "
                         "give one of them.")
    return {categorical[0]: code} | given


def _values(value: Any, name: str, size: int | None, n: int) -> Tensor:
    """Return a code's value for each of n images, [N]."""
    value = value.tolist() if isinstance(value, Tensor) else value
    values = value if isinstance(value, (list, tuple)) else [value]
    if not values:
        raise UserError(f"The code {name} has no value: give one, or leave it out.")
    for each in values:
        number = isinstance(each, int if size is not None else (int, float)) and not isinstance(each, bool)
        if size is None and not (number and abs(each) <= FARTHEST):
            raise UserError(f"The code {name} is continuous and takes a number from {-FARTHEST:g} to {FARTHEST:g}, "
                            f"not {each}.")
        if size is not None and not (number and 0 <= each < size):
            raise UserError(f"The code {name} has {size} categories and takes one from 0 to {size - 1}, not {each}.")
    return torch.tensor(values)[spread(n, range(len(values)))]
