"""The spaces that a search for an image may move in: latents, one style for all layers, or a style for each.

Legend: N images, C channels, H height, W width, Z latent size (any shape), S style size, L layers that take a style.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UserError
from gancli.explore.loaded import Loaded
from gancli.explore.styles import require_styles
from gancli.game.abilities import able, refusal
from gancli.game.prior import Prior
from gancli.networks.styled import Noise

SPACES = ("z", "w", "w+")
STYLES_SEEN = 10_000  # latents whose styles tell their deviation (Karras 2020, appendix D)
STYLES_SEED = 123  # of its code


class Space(ABC):
    """Points [N, *P] of which a generator makes images."""

    name: str
    scale: float  # how far a point's number lies from the middle, about
    jitter: float = 0.0  # deviation of noise on points that are explored at first; 0: none
    fixed: Noise | None = None  # maps [1, 1, h, w] that all images are made with; None: the model's

    def __init__(self, loaded: Loaded) -> None:
        self.loaded, self.model = loaded, loaded.model

    @abstractmethod
    def of_latents(self, z: Tensor, labels: Tensor | None, batch_size: int) -> Tensor:
        """Return the points of latents [N, Z], on the CPU."""

    @abstractmethod
    def make(self, points: Tensor, labels: Tensor | None, maps: Noise | None = None) -> Tensor:
        """Return the images [N, C, H, W] of points, on the model's device; gradients flow."""

    def free(self, points: Tensor) -> Tensor:
        """Return points as coordinates of the same shape, which may be moved without bounds."""
        return points

    def held(self, free: Tensor, start: Tensor) -> Tensor:
        """Return the points of such coordinates; what is discrete in them stays as in `start`."""
        return free

    def middle(self) -> Tensor | None:
        """Return the point [1, *P] at which a search begins that knows nothing; None: there is none better than others."""
        return None

    def maps(self, n: int) -> list[Tensor]:
        """Return noise maps [n, 1, h, w] that may be moved as well; none where there are none."""
        return []

    def images(self, points: Tensor, labels: Tensor | None, batch_size: int, maps: Sequence[Tensor] = ()) -> Tensor:
        """Return the images of points as `make` does, in batches, on the CPU, cut off at -1 and 1."""
        parts, device = [], self.loaded.device
        for start in range(0, len(points), batch_size):
            part = slice(start, start + batch_size)
            with torch.no_grad():
                x = self.make(points[part].to(device), None if labels is None else labels[part].to(device),
                              [each[part].to(device) for each in maps] or None)
            parts.append(x.float().clamp(-1, 1).cpu())
        return torch.cat(parts)


class Latents(Space):
    """What the model draws: z."""

    name = "z"

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        self.prior: Prior | None = getattr(loaded.model, "prior", None)  # another package's model may have none
        self.scale = 1.0 if self.prior is None else self.prior.scale

    def of_latents(self, z: Tensor, labels: Tensor | None, batch_size: int) -> Tensor:
        return z

    def make(self, points: Tensor, labels: Tensor | None, maps: Noise | None = None) -> Tensor:
        given = () if labels is None else (labels,)
        if able(self.model, "styles"):  # without generate's cut at -1 and 1, behind which no slope leads back
            return self.model.synthesize(self.model.mapping(points, *given))
        return self.model.generate(points, *given)

    def free(self, points: Tensor) -> Tensor:
        return points if self.prior is None else self.prior.free(points)

    def held(self, free: Tensor, start: Tensor) -> Tensor:
        return free if self.prior is None else self.prior.held(free, start)


class Styles(Space):
    """What a mapping makes of latents: w, or with `each` a style for every layer, w+ (Abdal 2019)."""

    def __init__(self, loaded: Loaded, each: bool, batch_size: int) -> None:
        super().__init__(loaded)
        self.each, self.name = each, "w+" if each else "w"
        z = torch.cat([loaded.latents(min(batch_size, STYLES_SEEN - start), STYLES_SEED, start)
                       for start in range(0, STYLES_SEEN, batch_size)])
        labels = None
        if loaded.model.needs.labels:
            labels = torch.arange(len(z)) % len(loaded.spec.classes)
        styles = loaded.styles(z, labels, batch_size).clone()  # its own: what was made for looking alone takes no gradients
        self.mean = styles.mean(0)
        deviation = (styles - self.mean).square().sum(1).mean().sqrt()  # of all numbers together, as in Karras's code
        self.jitter = float(deviation)
        self.scale = max(self.jitter / styles.shape[1] ** 0.5, 1e-6)

    def of_latents(self, z: Tensor, labels: Tensor | None, batch_size: int) -> Tensor:
        return self._spread(self.loaded.styles(z, labels, batch_size).clone())

    def make(self, points: Tensor, labels: Tensor | None, maps: Noise | None = None) -> Tensor:
        return self.model.synthesize(points, maps or self.fixed)

    def middle(self) -> Tensor:
        return self._spread(self.mean[None])

    def maps(self, n: int) -> list[Tensor]:
        return [each.expand(n, -1, -1, -1).clone() for each in self.model.noise_maps()]

    def _spread(self, styles: Tensor) -> Tensor:
        return self.model.every_layer(styles).clone() if self.each else styles


def open_space(loaded: Loaded, name: str | None, batch_size: int) -> Space:
    """Return a space by its name; None: styles, one for all layers, where the model has some, else latents.

    Raises:
        UserError: the model makes no images of latents, or has no styles.
    """
    if not able(loaded.model, "sample"):
        raise UserError(refusal(loaded.name, "sample"))
    if not loaded.spec.is_image:
        raise UserError(f"This command searches for images and model={loaded.name} was trained on {loaded.spec.describe()}.")
    if name is None:
        name = "w" if able(loaded.model, "styles") else "z"
    if name == "z":
        return Latents(loaded)
    require_styles(loaded, f"space={name}")
    return Styles(loaded, name == "w+", batch_size)


def labels_for_search(loaded: Loaded, n: int, label: Any) -> Tensor | None:
    """Return the classes [n] of `label=`, or for none every class in turn; None where the model takes no labels."""
    return loaded.labels_for(n, label) if label is not None else (
        torch.arange(n) % len(loaded.spec.classes) if loaded.model.needs.labels else None)
