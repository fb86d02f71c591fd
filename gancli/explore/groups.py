"""Groups of latents as users name them: seeds, or a folder of images that the model encodes.

Legend: N members of a group, C channels, H height, W width, Z latent size (any shape).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UsageError, UserError
from gancli.explore.inputs import Inputs, find_inputs
from gancli.explore.loaded import Loaded
from gancli.game.abilities import able, refusal

SHOWN = 5  # members of a group that are shown


@dataclass
class Group:
    """Latents that belong together."""

    seeds: list[int] = field(default_factory=list)
    files: Inputs | None = None  # images, in place of seeds

    def __len__(self) -> int:
        return len(self.seeds) if self.files is None else len(self.files.entries)


@dataclass
class Members:
    """What is in a group."""

    mean: Tensor  # [*Z] of all latents
    images: Tensor  # [N, C, H, W] of the first SHOWN
    skipped: list[str] = field(default_factory=list)  # broken files


def read_group(key: str, given: Any, loaded: Loaded) -> Group:
    """Return the group that `key=` names: a seed, a list of seeds, or a folder.

    Raises:
        UsageError: it is empty, or neither seeds nor a folder.
        UserError: the model encodes nothing, or the folder has no image.
    """
    if isinstance(given, str):
        return Group(files=_folder(key, given, loaded))
    seeds = given if isinstance(given, (list, tuple)) else [] if given is None else [given]
    if not seeds:
        raise UsageError(f"{key}= names no latents: give seeds, {key}=[1,2,3]"
                         + (f", or a folder of images, {key}=FOLDER." if able(loaded.model, "encode") else "."))
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise UsageError(f"{key}={given} holds {seed}, which is no seed: give whole numbers from 0 on, {key}=[1,2,3].")
    return Group(list(seeds))


def members(group: Group, loaded: Loaded, weights: Tensor | None, batch_size: int) -> Members:
    """Return the mean of a group's latents and images of some; a UserError if none of its files can be decoded.

    Args:
        weights: of the classes of generated images, [1, classes]; None where the model takes no labels.
    """
    if group.files is None:
        z = torch.cat([loaded.latents(1, seed) for seed in group.seeds])
        first = z[:SHOWN]
        images = loaded.generate(first, None if weights is None else weights.expand(len(first), -1), batch_size)
        return Members(z.mean(0), images)
    total, count, images = 0.0, 0, []
    for _, x in group.files.batches():
        z = loaded.encode(x, batch_size)
        total, count = total + z.double().sum(0), count + len(z)
        images += list(x[:max(0, SHOWN - len(images))])
    if not count:
        raise UserError(f"None of the {len(group)} images can be decoded: {'; '.join(group.files.skipped[:3])}.")
    return Members((total / count).float(), torch.stack(images), group.files.skipped)


def _folder(key: str, given: str, loaded: Loaded) -> Inputs:
    if not able(loaded.model, "encode"):
        raise UserError(f"{key}={given} is a folder, whose images have no latents: {refusal(loaded.name, 'encode')} "
                        f"Give seeds, {key}=[1,2,3].")
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise UserError(f"{key}={given} is no folder: give one with images, or seeds, {key}=[1,2,3].")
    return find_inputs(str(folder.absolute()), loaded)
