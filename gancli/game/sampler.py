"""Latents by number, and what a model makes of them: example i of a seed is the same however many are asked for.

Legend: N examples, C channels, H height, W width, P coordinates of a point, Z latent size (any shape).
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gancli.data.dataset import Data
from gancli.errors import UserError
from gancli.game.abilities import CHANGES, able
from gancli.game.model import Model
from gancli.game.translating import among_domains, labeled_rows, next_targets, translated
from gancli.seeds import mix

BLOCK = 64  # latents drawn from one stream: latent i is number i % BLOCK of the stream (seed, i // BLOCK)
LATENT_STREAM = 1 << 35  # kept apart from the engine's
HOLE_STREAM = 1 << 39  # and these from both


class Latents:
    """The endless latents of a model and a seed, drawn in blocks on the CPU; the block drawn last is kept."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._drawn: tuple[int, int, Tensor] | None = None  # seed, number and latents of the block drawn last

    def take(self, start: int, stop: int, seed: int) -> Tensor:
        """Return latents [stop - start, Z] of the seed; they do not depend on how they are asked for."""
        parts = []
        for number in range(start // BLOCK, -(-stop // BLOCK)):
            if self._drawn is None or self._drawn[:2] != (seed, number):
                generator = torch.Generator().manual_seed(mix(LATENT_STREAM, seed, number))
                self._drawn = seed, number, self.model.draw_latents(BLOCK, generator)
            first = number * BLOCK
            parts.append(self._drawn[2][max(start - first, 0):stop - first])
        return torch.cat(parts)


def drawn(draw: Callable[[int, torch.Generator], Tensor], start: int, stop: int, seed: int) -> Tensor:
    """Return masks start to stop [N, 1, H, W] of a seed; they do not depend on how they are asked for."""
    return torch.cat([draw(1, torch.Generator().manual_seed(mix(HOLE_STREAM, seed, number)))
                      for number in range(start, stop)])


class Sampler:
    """A model's examples by number, [N, C, H, W] in [-1, 1], [N, P] or [N, T], on its device.

    Example i is made of latent i of the seed.  A model that takes labels gets them in turn, number i the class
    i % classes, so that every prefix holds all classes alike.  A model of two domains shows one, the first unless `domain`
    names the other.  A model that translates gets number i of the other
    domain's real images and shows it as `domain`; then `limit` is how many there are.  One that translates among classes or
    attributes of one set gets number i of that set and shows it as another domain, each in turn; a style, where it takes
    one, is that of latent i.  A model that upscales gets real image number i at low resolution, one that fills holes real
    image i with hole i of the seed, and both have the same limit.
    """

    def __init__(self, model: Model, seed: int = 0, batch_size: int = 64, data: Data | None = None,
                 domain: str | None = None) -> None:
        """Prepare to draw.

        Args:
            batch_size: examples made at once.
            data: where a model that changes images finds them.
            domain: into which it translates, None the last one (of one set: each in turn); or of which it shows images, None
                the first one.

        Raises:
            UserError: the model can neither sample nor change whole images, or there are no data for that.
        """
        self.model, self.seed, self.batch_size, self.data = model, seed, batch_size, data
        self.generates = able(model, "sample")
        self.classes = len(model.spec.classes) if model.needs.labels else 0
        self.domain: int | None = None  # into which images are translated, or of which they are generated
        self.limit: int | None = None  # examples there are; None: endless
        self.latents = Latents(model)
        self.change: str | None = None  # by which ability it makes examples of real images; None: it generates them
        self.targets: Tensor | None = None  # of a model that translates within one set, for each example of it
        if not self.generates:
            self._prepare_change(domain)
        elif able(model, "domains"):
            self.domain = self._domain(domain, 0)

    def _prepare_change(self, domain: str | None) -> None:
        """Find out what the model changes images by, and how many there are."""
        name = type(self.model).__name__
        self.change = next((ability for ability in CHANGES if able(self.model, ability)), None)
        if self.change is None:
            raise UserError(f"{name} neither samples nor changes whole images: its results cannot be judged.")
        if self.data is None:
            raise UserError(f"{name} changes images, and needs the data set for that.")
        self.limit = self.data.counts[0]
        if self.change == "translate":
            self._prepare_translation(domain)

    def _prepare_translation(self, domain: str | None) -> None:
        assert self.data is not None
        if among_domains(self.model):
            self._prepare_targets(domain)
            return
        targets = self.model.targets
        if domain is not None and domain not in targets:
            raise UserError(f"There is no domain called {domain} to translate into; there is {', '.join(targets)}.")
        self.domain = self._domain(domain or targets[-1], 0)
        self.limit = self.data.counts[1 - self.domain]

    def _prepare_targets(self, domain: str | None) -> None:
        """Choose a target for each image of the one set; none is chosen by the caller, who would compare it with all of it."""
        assert self.data is not None
        if domain is not None:
            raise UserError(f"domain={domain} is for models of two sets of images, and {type(self.model).__name__} translates "
                            "within one: leave it out.")
        rows = torch.arange(self.data.counts[0])
        self.targets = next_targets(self.model, labeled_rows(self.data, rows), rows)

    def _domain(self, name: str | None, default: int) -> int:
        domains = self.model.spec.domains
        if name is not None and name not in domains:
            raise UserError(f"There is no domain called {name}; there is {', '.join(domains)}.")
        return default if name is None else domains.index(name)

    @property
    def device(self) -> torch.device:
        """Where examples appear."""
        return next(self.model.parameters()).device

    def labels(self, start: int, stop: int) -> Tensor | None:
        """Return the classes [N] int64 of examples start to stop, on the CPU; None where the model takes none."""
        if self.targets is not None:
            return self.targets[start:stop] if self.classes else None
        return torch.arange(start, stop) % self.classes if self.classes else None

    def latents_at(self, start: int, stop: int) -> Tensor:
        """Return latents start to stop [N, Z], on the CPU."""
        return self.latents.take(start, stop, self.seed)

    def holes_at(self, start: int, stop: int) -> Tensor:
        """Return holes start to stop [N, 1, H, W] of a model that fills them, on the CPU."""
        return drawn(self.model.draw_holes, start, stop, self.seed)

    @torch.no_grad()
    def generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return the examples of latents [N, Z], float32 (tokens int64)."""
        inputs = [part.to(self.device) for part in (z, labels) if part is not None]
        x = self.model.generate_domains(*inputs)[self.domain] if self.domain else self.model.generate(*inputs)
        return x.float() if x.is_floating_point() else x

    @torch.no_grad()
    def __call__(self, start: int, stop: int) -> Tensor:
        """Return examples start to stop; up to float rounding they do not depend on how they are asked for."""
        if self.generates:
            return self.generate(self.latents_at(start, stop), self.labels(start, stop))
        assert self.data is not None and self.limit is not None  # _prepare_change sees to it
        if stop > self.limit:
            raise ValueError(f"there are {self.limit} images to work on, not {stop}")
        rows = torch.arange(start, stop)
        if self.change == "upscale":
            return self.model.upscale(self.model.low_of(*self.data.domains(rows))).float()
        if self.change == "inpaint":
            x = self.data.examples(rows)
            return self.model.inpaint(x, self.holes_at(start, stop).to(x.device)).float()
        if self.targets is not None:
            return self.at(rows)
        assert self.domain is not None
        real = self.data.examples(rows, 1 - self.domain)
        return self.model.translate(real, self.model.spec.domains[self.domain]).float()

    @torch.no_grad()
    def at(self, rows: Tensor) -> Tensor:
        """Return the examples of some numbers [N], of a model that translates within one set."""
        assert self.data is not None and self.targets is not None
        z = torch.cat([self.latents_at(row, row + 1) for row in rows.tolist()]) if able(self.model, "guided") else None
        return translated(self.model, self.data.examples(rows), self.targets[rows], z)

    def batches(self, start: int, stop: int) -> Iterator[Tensor]:
        """Yield examples start to stop in batches."""
        for first in range(start, stop, self.batch_size):
            yield self(first, min(first + self.batch_size, stop))

