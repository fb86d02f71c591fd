"""What `factor=` names, a code (c1), a latent (z:3), a principal direction (pc:0) or the label, and what it alone changes.

Legend: M values of a factor, Z latent size (any shape), K directions or classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UsageError, UserError
from gancli.explore.animations import Walk
from gancli.explore.codes import FARTHEST
from gancli.explore.directions import FirstLayer, ganspace, sefa
from gancli.explore.labels import blend, takes_none
from gancli.explore.loaded import Loaded
from gancli.game.abilities import able, refusal

LATENT, DIRECTION, LABEL = "z", "pc", "label"
SAMPLES, DIRECTIONS_SEED = 2048, 0  # latents by which GANSpace finds directions
DEVIATIONS = 3.0  # that a direction, or a latent of no bounds, is moved either way


@dataclass(frozen=True)
class Factor:
    """One thing that a model's images depend on."""

    kind: str  # LATENT, DIRECTION, LABEL, or a code's name
    index: int = 0  # of the latent or direction

    @property
    def is_code(self) -> bool:
        """Whether it is a code."""
        return self.kind not in (LATENT, DIRECTION, LABEL)

    @property
    def is_label(self) -> bool:
        """Whether it is the label that the model is told."""
        return self.kind == LABEL

    @property
    def stem(self) -> str:
        """Its name as part of a file's."""
        return f"{self.kind}{self.index}" if self.kind in (LATENT, DIRECTION) else self.kind


def read_factor(given: Any, loaded: Loaded) -> Factor:
    """Return the factor that `factor=` names; None is the first code or, without codes, the first principal direction.

    Raises:
        UserError: the model draws no latents, or has no such code, or takes no labels.
        UsageError: it is neither a code's name nor z:N nor pc:N nor label.
    """
    if not able(loaded.model, "sample"):
        raise UserError(refusal(loaded.name, "sample"))
    codes = list(loaded.model.codes) if able(loaded.model, "codes") else []
    if given is None:
        return Factor(codes[0]) if codes else Factor(DIRECTION)
    name, colon, index = str(given).partition(":")
    if name in (LATENT, DIRECTION):
        if not colon or not index.isdecimal():
            raise UsageError(f"factor={given} says not which: give factor={name}:0, or a larger number.")
        return Factor(name, int(index))
    if name in codes and not colon:
        return Factor(name)
    if given == LABEL:
        if not loaded.model.needs.labels:
            raise takes_none(f"factor={LABEL}", loaded.model, loaded.name)
        return Factor(LABEL)
    known = f"its codes are {', '.join(codes)}" if codes else "it has no codes"
    raise UserError(f"model={loaded.name} has no factor called {given}; {known}, and every model that samples has latents, "
                    f"factor={LATENT}:0, and principal directions, factor={DIRECTION}:0.")


def read_values(factor: Factor, given: Any, steps: int | None, default_steps: int, loaded: Loaded) -> Tensor:
    """Return the values [M] that a factor takes: `range=` in so many steps, or all categories of a code.

    Raises:
        UsageError: the range is none, or is given for a code of categories.
        UserError: a code is moved too far.
    """
    size = loaded.model.codes[factor.kind] if factor.is_code else None
    if size is not None:
        if given is not None or steps is not None:
            raise UsageError(f"{factor.kind} has {size} categories, all of which are shown: leave range= and steps= out.")
        return torch.arange(size)
    low, high = _bounds(given, _default_range(factor, loaded))
    if factor.is_code and max(abs(low), abs(high)) > FARTHEST:
        raise UserError(f"The code {factor.kind} takes numbers from {-FARTHEST:g} to {FARTHEST:g}: give a range= within.")
    return torch.linspace(low, high, steps or default_steps)


def read_labels(classes: Sequence[int], steps: int | None, count: int) -> Tensor:
    """Return the weights [M, K] of classes one after the other, or of so many steps from the first to the last.

    Args:
        classes: in the order in which they are shown.
        steps: evenly spaced, blending neighbors; None: each class once.
        count: K, of all classes.
    """
    pure = blend(torch.tensor(classes), count)
    if steps is None:
        return pure
    places = torch.linspace(0, len(classes) - 1, steps)
    before = places.floor().long()
    behind = (before + 1).clamp_max(len(classes) - 1)
    return torch.lerp(pure[before], pure[behind], (places - before)[:, None])


def _default_range(factor: Factor, loaded: Loaded) -> tuple[float, float]:
    if factor.is_code:
        return -FARTHEST, FARTHEST
    prior = getattr(loaded.model, "prior", None)
    return prior.span if factor.kind == LATENT and prior is not None else (-DEVIATIONS, DEVIATIONS)


def _bounds(given: Any, default: tuple[float, float]) -> tuple[float, float]:
    """Return (low, high) of `range=`: two numbers, or one for both sides of 0."""
    if given is None:
        return default
    pair = [-given, given] if _is_number(given) else list(given) if isinstance(given, (list, tuple)) else []
    if len(pair) != 2 or not all(map(_is_number, pair)) or not pair[0] < pair[1]:
        raise UsageError(f"range={given} is none: give two numbers, range=[-2,2], or one above 0, range=2.")
    return float(pair[0]), float(pair[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


class Moves:
    """A factor's values for any latent; principal directions are found once, for all of them.

    Raises:
        UserError: there is no such latent or direction.
    """

    def __init__(self, factor: Factor, values: Tensor, method: str, loaded: Loaded, label: Tensor | None) -> None:
        """Prepare to move.

        Args:
            values: [M], or label weights [M, K].
            label: weights [K] with which directions of a conditional model are found.
        """
        self.factor, self.values, self.loaded = factor, values, loaded
        self.styled = factor.kind == DIRECTION and able(loaded.model, "styles")  # moved in the space of styles
        self.make = loaded.synthesize if self.styled else loaded.generate
        if factor.kind == LATENT:
            self._check_latent()
        elif factor.kind == DIRECTION:
            self.direction = self._chosen(_directions(method, loaded, label, self.styled))

    def walk(self, z: Tensor, weights: Tensor | None) -> Walk:
        """Return latents [M, Z] (or styles) and label weights [M, K] for one latent [1, Z] and its weights [1, K]."""
        if self.factor.is_label:
            return z.expand(len(self.values), *z.shape[1:]), self.values
        kept = None if weights is None or self.styled else weights.expand(len(self.values), -1)  # styles know their label
        return self.of(z, weights), kept

    def of(self, z: Tensor, weights: Tensor | None) -> Tensor:
        """Return latents (or styles) [M, Z] in which the factor alone has other values, for one latent [1, Z]."""
        count = len(self.values)
        if self.factor.kind == DIRECTION:
            start = self.loaded.styles(z, weights) if self.styled else z
            return start + self.values.view(-1, *[1] * (start.dim() - 1)) * self.direction
        moved = z.expand(count, *z.shape[1:]).clone()
        if self.factor.is_code:
            return self.loaded.model.with_codes(moved, {self.factor.kind: self.values})
        moved.view(count, -1)[:, self.factor.index] = self.values
        return moved

    def _check_latent(self) -> None:
        z, index = self.loaded.latents(1), self.factor.index
        size = z[0].numel()
        if index >= size:
            raise UserError(f"There is no latent z:{index}; model={self.loaded.name} has {size}, z:0 to z:{size - 1}.")
        code = _code_at(self.loaded.model, z, index) if able(self.loaded.model, "codes") else None
        if code is not None:
            raise UserError(f"z:{index} is part of the code {code}: give factor={code}.")

    def _chosen(self, directions: Tensor) -> Tensor:
        if self.factor.index >= len(directions):
            raise UserError(f"There is no direction pc:{self.factor.index}; there are {len(directions)}, "
                            f"pc:0 to pc:{len(directions) - 1}.")
        return directions[self.factor.index].float()


def _code_at(model: Any, z: Tensor, index: int) -> str | None:
    """Return the code whose values change a place of latents [1, Z], if one does."""
    for name, size in model.codes.items():
        values = torch.arange(size or 2)
        if model.with_codes(z.expand(len(values), -1), {name: values})[:, index].unique().numel() > 1:
            return name
    return None


def _directions(method: str, loaded: Loaded, label: Tensor | None, styled: bool) -> Tensor:
    """Return steps of one standard deviation of the latents (or styles) along the principal directions, [K, Z]."""
    z = torch.cat([loaded.latents(min(SAMPLES - start, 64), DIRECTIONS_SEED, start) for start in range(0, SAMPLES, 64)])
    if z.dim() != 2:
        raise UserError(f"The latents of model={loaded.name} are no vectors: principal directions need them; give factor=z:0.")
    labels = [] if label is None else [label.expand(len(z), -1)]
    make = loaded.model.generate
    if styled:
        z, labels, make = loaded.styles(z, *labels), [], loaded.model.synthesize
    if styled and method == "ganspace":
        return ganspace(z, z)
    layer = FirstLayer(loaded.model, partial(_on_device, loaded, make))
    with torch.no_grad():
        if method == "ganspace":
            return ganspace(z, torch.cat(_in_parts(layer, z, labels)))
        weight = layer.weight(z.shape[1], z[:2], *(part[:2] for part in labels))
    return sefa(weight.cpu()) * z.std().double()


def _in_parts(layer: FirstLayer, z: Tensor, labels: Sequence[Tensor]) -> list[Tensor]:
    parts = zip(*(part.split(64) for part in (z, *labels)), strict=True)
    return [layer.outputs(*part).float().cpu() for part in parts]


def _on_device(loaded: Loaded, make: Any, *inputs: Tensor) -> Tensor:
    return make(*(part.to(loaded.device) for part in inputs))
