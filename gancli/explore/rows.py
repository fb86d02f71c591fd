"""What a command moves, a row each: the first image of each seed, or examples as the model's encoder sees them.

Legend: S rows, K classes, H height, W width, Z latent size (any shape).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UserError
from gancli.explore.dataset import DatasetPlace
from gancli.explore.examples import Examples, find_examples, labels_of_run
from gancli.explore.labels import blend
from gancli.explore.loaded import Loaded
from gancli.explore.stages import Stages
from gancli.game.abilities import able, refusal
from gancli.monitor.grids import Picture, to_pictures


@dataclass
class Rows:
    """Latents to begin with."""

    z: Tensor  # [S, Z]
    weights: Tensor | None  # of each row's label, [S, K]; None where the model takes none, or where labels are what changes
    shown: Picture | None = None  # the examples, [S, H, W, 1 or 3]; None for seeds
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.z)


def rows_of_seeds(loaded: Loaded, seeds: Sequence[int], classes: Sequence[int] | None, told: bool) -> Rows:
    """Return the latents of the first image of each seed.

    Args:
        classes: one for all or one a seed; None: the classes in turn.
        told: whether the rows need labels.
    """
    z = torch.cat([loaded.latents(1, seed) for seed in seeds])
    weights = _weights(loaded, classes, len(seeds), "seeds", list(range(len(seeds)))) if told else None
    return Rows(z, weights)


def rows_of_examples(loaded: Loaded, given: str | Sequence[str] | None, n: int, place: DatasetPlace, data_dir: str | None,
                     classes: Sequence[int] | None, told: bool, batch_size: int) -> Rows:
    """Return the codes of image files, or for none of examples of the run's data that it was not trained on.

    Args:
        given: as `find_inputs` takes it.
        n: how many at most.
        classes: one for all or one an example; None: the examples' own.
        told: whether the rows need labels.

    Raises:
        UserError: the model cannot encode, or is told labels that are not known.
    """
    if not able(loaded.model, "encode"):
        raise UserError(refusal(loaded.name, "encode"))
    with Stages() as stages:
        examples = find_examples(loaded, given, n, place, data_dir, stages)
        numbers = _numbers(loaded, examples) if told and classes is None else None
        codes, pictures, own = [], [], []
        for part in examples.parts(batch_size):
            left = n - sum(map(len, codes))
            codes.append(loaded.encode(part.x[:left], batch_size))
            pictures.append(to_pictures(part.x[:left]) if loaded.spec.is_image else np.empty(0))
            own += [] if numbers is None or part.labels is None else numbers[part.labels[:left]].tolist()
            if len(codes[-1]) == left:
                break
    z = torch.cat(codes)
    weights = _weights(loaded, classes, len(z), "images", own) if told else None
    shown = np.concatenate(pictures) if loaded.spec.is_image else None
    return Rows(z, weights, shown, [*examples.notes, *examples.left_out()])


def _numbers(loaded: Loaded, examples: Examples) -> Tensor:
    """Return the model's own numbers of the examples' classes."""
    numbers = labels_of_run(loaded, examples)
    if numbers is None:
        raise UserError(f"model={loaded.name} makes an image of its label too, and these have none of "
                        f"{', '.join(loaded.spec.classes[:10])}: give label=, or sub-folders of these names.")
    return torch.tensor(numbers)


def _weights(loaded: Loaded, classes: Sequence[int] | None, count: int, what: str, default: Sequence[int]) -> Tensor:
    """Return the label weights of rows, [S, K]."""
    known = len(loaded.spec.classes)
    given = [each % known for each in default] if classes is None else list(classes)
    given = given * count if len(given) == 1 else given
    if len(given) != count:
        raise UserError(f"label= names {len(given)} classes for {count} {what}: give one class, or one for each.")
    return blend(torch.tensor(given), known)
