"""`gan blend`: a part of one picture in another, as if it belonged there (Wu 2017).

Legend: C channels, H height, W width, h, w the model's size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gancli.data.dataset import normalized
from gancli.equations import blended, pasted
from gancli.errors import UserError, check_range
from gancli.explore.inputs import read_mask, read_whole
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import RunOptions
from gancli.explore.room import check_room
from gancli.explore.targets import FOLDER, Target, checkpoint_stem, choose_target, default_target
from gancli.explore.writing import writing
from gancli.metrics.measures.fidelity import seam_energy
from gancli.monitor.grids import save_png, to_pictures
from gancli.options import typed

HELD = 24  # numbers of 8 bytes that the equation holds for each value of a picture


@dataclass
class BlendOptions(RunOptions):
    """What `gan blend` blends; the defaults stand in conf/blend.yaml."""

    source: str | None
    target: str | None
    mask: str | None
    beta: float  # weight of the colors beside the gradients
    sigma: float  # of the Gaussian through which colors are compared, in pixels

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("beta", self.beta, 0, open_low=True)
        check_range("sigma", self.sigma, 0, 10)


@dataclass
class Report:
    """What was blended, and what is left of the seam: mean squared differences of neighbors across it."""

    size: tuple[int, int]  # H, W
    seam_pasted: float  # of the copy and paste
    seam_blended: float
    seam_target: float  # at the same places of the target
    files: list[Path]


def blend(values: Mapping[str, Any]) -> Report:
    """Blend two pictures as conf/blend.yaml describes; writes the result, or with the steps to it into a folder.

    Raises:
        UserError: anything that is wrong is found before anything is written, unless the disk becomes full.
    """
    options = typed(BlendOptions, values, "")
    chosen = choose_target(options.out, (".png",), options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    loaded.require("blend")
    source, target, mask = _read(options, loaded)
    place = chosen or default_target("blend", checkpoint_stem(loaded), ".png")
    check_room(loaded, 1, "picture", place.path, False, 8 * HELD * source.numel())
    composite = pasted(source, target, mask, tuple(loaded.spec.shape[1:]))  # [1, C, h, w]
    low = loaded.blend(composite)
    result = blended(source, target, mask, low, options.beta, options.sigma)
    paste = mask * source + (1 - mask) * target
    with writing(place.path):
        files = _save(place, {"blend": result, "copy-paste": paste, "small-copy-paste": composite, "small-blend": low})
    seams = (seam_energy(image, mask).item() for image in (paste, result, target))
    return Report((source.shape[2], source.shape[3]), *seams, files)


def _read(options: BlendOptions, loaded: Loaded) -> tuple[Tensor, Tensor, Tensor]:
    """Return source and target [1, C, H, W] in [-1, 1] and the mask [1, 1, H, W], all of one size."""
    channels = loaded.spec.shape[0]
    mask = read_mask("mask", options.mask)[None]
    source, target = (normalized(read_whole(key, given, channels).permute(1, 2, 0)[None])
                      for key, given in (("source", options.source), ("target", options.target)))
    sizes = {key: (image.shape[3], image.shape[2]) for key, image in (("source", source), ("target", target), ("mask", mask))}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{key}= has {width}x{height}" for key, (width, height) in sizes.items())
        raise UserError(f"The three pictures are laid on top of each other and are not of one size ({told} pixels): cut or "
                        "enlarge them to one.")
    if not mask.any():
        raise UserError(f"mask={options.mask} shows nothing of the source: it is white where the source is to be seen.")
    return source, target, mask


def _save(place: Target, images: Mapping[str, Tensor]) -> list[Path]:
    """Write the first image to a file, or all into a folder."""
    if place.kind != FOLDER:
        save_png(place.path, to_pictures(images["blend"])[0])
        return [place.path]
    files = []
    for name, image in images.items():
        files.append(place.path / f"{name}.png")
        save_png(files[-1], to_pictures(image)[0])
    return files
