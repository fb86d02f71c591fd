"""The points of a generator whose images are nearest to given ones: a start for each, then a descent.

Legend: N images, C channels, H height, W width, P a point's shape, M starts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.errors import UserError
from gancli.explore.likeness import Likeness
from gancli.explore.loaded import Loaded
from gancli.explore.search import Descent, Found, Watch, descend
from gancli.explore.spaces import Space, labels_for_search
from gancli.game.abilities import able, refusal

STARTS = ("encoder", "optimizer", "best")
STEPS = {"z": 200, "w": 1000, "w+": 1000}  # Zhu 2016's code; Karras 2020
RATE = 0.1  # the same in both


@dataclass
class Plan:
    """How images are projected."""

    space: Space
    likeness: Likeness
    start: str  # one of STARTS
    candidates: int  # random latents that starts are chosen from
    descent: Descent
    move_maps: bool
    seed: int
    batch_size: int


@dataclass
class Projected:
    """Where images ended."""

    points: Tensor  # [N, *P] on the CPU
    labels: Tensor | None  # [N]
    images: Tensor  # [N, C, H, W], float32 in [-1, 1]
    losses: Tensor  # [N]
    maps: list[Tensor]  # [N, 1, h, w] each


def choose_start(loaded: Loaded, space: Space, init: str | None) -> str:
    """Return what `init=` asks for, None: the encoder's latents where there are some to begin at.

    Raises:
        UserError: the model has no encoder of its latents.
    """
    encodes = able(loaded.model, "encode") and space.name == "z"
    if init == "encoder" and not encodes:
        if able(loaded.model, "encode"):
            raise UserError(f"An encoder gives latents, and space={space.name} holds styles: give space=z or init=optimizer.")
        raise UserError(f"init=encoder needs one: {refusal(loaded.name, 'encode')} Give init=optimizer.")
    return init or ("encoder" if encodes else "optimizer")


class Starts:
    """Where projections begin: random candidates are made once, for all images to be compared with."""

    def __init__(self, loaded: Loaded, plan: Plan, label: object = None,
                 told: Callable[[str, int, int], None] = lambda label, done, total: None) -> None:
        """Make the candidates' points.

        Args:
            label: the class of all images; None: each image may be of any.
            told: receives progress.
        """
        self.loaded, self.plan, self.label, self.told = loaded, plan, label, told
        space, middle = plan.space, plan.space.middle()
        self.alone = middle is not None and plan.start == "optimizer"  # the projector of Karras 2020 begins at the average
        count = 0 if plan.start == "encoder" else plan.candidates
        self.labels = None  # styles know theirs
        if self.alone or not count:
            self.points = middle if self.alone else torch.empty(0)
            return
        labels = labels_for_search(loaded, count, label)
        self.points = space.of_latents(loaded.latents(count, plan.seed), labels, plan.batch_size)
        if middle is not None:
            self.points = torch.cat((middle, self.points))
        elif labels is not None:
            self.labels = labels

    def of(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the point [N, *P] and the label [N] at which each image of x [N, C, H, W] begins, on the CPU.

        Args:
            labels: of the images, where they are known.
        """
        found: list[tuple[Tensor, Tensor, Tensor | None]] = []  # distances, points, labels of each image's best
        if len(self.points):
            found.append(self._nearest(x, labels))
        if self.plan.start != "optimizer" and self.plan.space.name == "z" and able(self.loaded.model, "encode"):
            found.append(self._encoded(x, labels))
        best = found[0]
        for other in found[1:]:
            wins = other[0] < best[0]
            points = torch.where(wins.view(-1, *[1] * (best[1].dim() - 1)), other[1], best[1])
            best = (torch.where(wins, other[0], best[0]), points,
                    None if best[2] is None or other[2] is None else torch.where(wins, other[2], best[2]))
        return best[1], best[2]

    def _nearest(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return of each image the nearest candidate: its distance, point and label."""
        plan, device = self.plan, self.loaded.device
        least = torch.full((len(x),), torch.inf, dtype=torch.float64)
        place = torch.zeros(len(x), dtype=torch.int64)
        for start in range(0, len(self.points), plan.batch_size):
            part = slice(start, start + plan.batch_size)
            given = None if self.labels is None else self.labels[part]
            images = plan.space.images(self.points[part], given, plan.batch_size)
            table = plan.likeness.between(x.to(device), images.to(device)).cpu().nan_to_num(torch.inf)
            if labels is not None and given is not None:
                table = table.masked_fill(labels[:, None] != given, torch.inf)
            values, places = table.min(1)
            place = torch.where(values < least, places + start, place)
            least = torch.minimum(values, least)
            self.told("comparing", min(start + plan.batch_size, len(self.points)), len(self.points))
        chosen = None if self.labels is None else self.labels[place]
        return least, self.points[place], labels if labels is not None and chosen is not None else chosen

    def _encoded(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return of each image the encoder's latent, with the class that makes the nearest image of it."""
        plan, loaded = self.plan, self.loaded
        z = loaded.encode(x, plan.batch_size).clone()  # its own: what was made for looking alone takes no gradients
        wanted = loaded.latents(1).shape[1:]
        if z.shape[1:] != wanted:
            raise UserError(f"The encoder of model={loaded.name} gives {tuple(z.shape[1:])} numbers and its generator takes "
                            f"{tuple(wanted)}: give init=optimizer.")
        z = plan.space.held(plan.space.free(z), z)
        if not loaded.model.needs.labels:
            return self._distances(x, z, None), z, None
        if labels is not None or self.label is not None:
            given = labels if labels is not None else labels_for_search(loaded, len(x), self.label)
            return self._distances(x, z, given), z, given
        tables = torch.stack([self._distances(x, z, torch.full((len(x),), each)) for each in range(len(loaded.spec.classes))])
        least, classes = tables.min(0)
        return least, z, classes

    def _distances(self, x: Tensor, points: Tensor, labels: Tensor | None) -> Tensor:
        images = self.plan.space.images(points, labels, self.plan.batch_size)
        with torch.no_grad():
            return self.plan.likeness.to(x.to(self.loaded.device))(images.to(self.loaded.device)).double().cpu()


def project_batch(loaded: Loaded, plan: Plan, starts: Starts, x: Tensor, labels: Tensor | None = None, first: int = 0,
                  watch: Watch = lambda step, images: None) -> Projected:
    """Project images x [N, C, H, W] that fit in memory together.

    Args:
        labels: their classes [N], where these are known.
        first: the number of the first of them, for noise.
        watch: is shown the images of every step.
    """
    space, device = plan.space, loaded.device
    points, given = starts.of(x, labels)
    distance = plan.likeness.to(x.to(device))
    maps = [each.to(device) for each in space.maps(len(x))] if plan.move_maps else []
    with torch.enable_grad():
        found: Found = descend(space, points.to(device), None if given is None else given.to(device),
                               lambda images, points: distance(images), plan.descent, maps=maps,
                               jitter=space.jitter > 0, seed=plan.seed, first=first, watch=watch)
    images = space.images(found.points, given, plan.batch_size, found.maps)
    return Projected(found.points, given, images, found.losses, found.maps)
