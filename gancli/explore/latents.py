"""`gan latents`: where a model's encoder puts examples, colored by class, beside the law that its latents are drawn from.

Legend: N examples, Z numbers of a latent, H height, W width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UserError, check_range
from gancli.explore.dataset import DatasetPlace
from gancli.explore.examples import Examples, find_examples
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import PictureOptions
from gancli.explore.stages import Stages
from gancli.explore.targets import Target, checkpoint_stem, choose_target, default_target
from gancli.explore.writing import writing
from gancli.game.abilities import able, refusal
from gancli.monitor.cloud import Cloud, draw_clouds
from gancli.monitor.grids import save_png, to_uint8
from gancli.monitor.projector import LARGEST_SPRITE, write_projector
from gancli.options import typed

ENDINGS = (".png", ".npz")


@dataclass
class LatentsOptions(PictureOptions):
    """What `gan latents` shows; the defaults stand in conf/latents.yaml."""

    input: str | None
    n: int
    seed: int
    projector: str | None
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("n", self.n, 2)
        check_range("seed", self.seed, 0)


@dataclass
class Found:
    """What is said of the latents, and where it was written."""

    title: str
    rows: list[tuple[str, str, str]]  # a figure, of the encoded examples, of the prior
    notes: list[str]
    files: list[Path]


@dataclass
class _Encoded:
    z: Tensor  # [N, Z]
    labels: Tensor | None  # [N]
    names: list[str]
    images: np.ndarray | None  # uint8 [N, H, W, C], for the projector alone


def latents(values: Mapping[str, Any]) -> Found:
    """Encode examples and plot their latents as conf/latents.yaml describes.

    Raises:
        UserError: anything that is wrong is found before anything is written.
    """
    options = typed(LatentsOptions, values, "")
    chosen = choose_target(options.out, ENDINGS, options.overwrite)
    loaded = load(options.ckpt, options.device, options.weights)
    if not able(loaded.model, "encode"):
        raise UserError(refusal(loaded.name, "encode"))
    projector = None if options.projector is None else choose_target(options.projector, (), options.overwrite)
    with Stages() as stages:
        examples = find_examples(loaded, options.input, options.n, options.dataset, options.data_dir, stages)
        folder = None if projector is None else _projector_folder(projector, loaded, examples)
        encoded = _encode(loaded, examples, options.batch_size, stages, pictures=folder is not None)
    prior = loaded.latents(len(encoded.z), options.seed).flatten(1) if able(loaded.model, "sample") else None
    target = chosen or default_target("latents", checkpoint_stem(loaded), ".png")
    flat, shown, told = _in_the_plane(encoded.z, prior)
    notes = [*examples.notes, *examples.left_out(), *told]
    if prior is None:
        notes.append(f"model={loaded.name} draws no latents: there is no prior to show.")
    with writing(target.path):
        files = [_write(target, options, examples, encoded, flat, shown, prior)]
        if folder is not None:
            write_projector(folder, encoded.z, _metadata(examples, encoded), encoded.images)
            files.append(folder)
    return Found(f"{len(encoded.z):,} examples of {examples.origin}: {encoded.z.shape[1]} numbers each",
                 _figures(encoded.z, prior), notes, files)


def principal_axes(z: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean [Z], the k directions of most variance [Z, k], and each one's share of the variance [k].

    The sign of a direction is the one with which its largest component is positive.
    """
    mean = z.double().mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(z.double().T).reshape(z.shape[1], z.shape[1]))  # ascending
    axes = vectors.flip(1)[:, :k]
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    total = values.clamp_min(0).sum()
    return mean, axes, values.flip(0)[:k].clamp_min(0) / total.clamp_min(1e-30)


def _projector_folder(target: Target, loaded: Loaded, examples: Examples) -> Path:
    """Return the folder of the projector's files; a UserError for more pictures than it shows."""
    if loaded.spec.is_image:
        most = (LARGEST_SPRITE // max(loaded.spec.shape[1:])) ** 2
        if examples.count > most:
            raise UserError(f"{examples.count:,} pictures are more than TensorBoard's projector shows at their size: give "
                            f"n={most}.")
    return target.path


def _encode(loaded: Loaded, examples: Examples, batch_size: int, stages: Stages, pictures: bool) -> _Encoded:
    """Return the latents of all inputs, with pictures of them if asked for."""
    z, labels, names, images = [], [], [], []
    for part in examples.parts(batch_size):
        z.append(loaded.encode(part.x, batch_size).flatten(1))
        labels += [] if part.labels is None else [part.labels]
        names += part.names
        if pictures and loaded.spec.is_image:
            images.append(to_uint8(part.x).permute(0, 2, 3, 1).numpy())
        stages.told("encoding", len(names), examples.count)
    return _Encoded(torch.cat(z), torch.cat(labels) if labels else None, names, np.concatenate(images) if images else None)


def _in_the_plane(z: Tensor, prior: Tensor | None) -> tuple[Tensor, Tensor | None, list[str]]:
    """Return latents and the prior's as at most two coordinates [N, 1 or 2], and what is to be said of that."""
    if z.shape[1] <= 2:
        return z, prior, []
    if len(z) < 2:
        return z[:, :2], None if prior is None else prior[:, :2], [
            f"One example has no principal axes: shown are the first two of its {z.shape[1]} numbers."]
    mean, axes, shares = principal_axes(z, 2)
    first, second = (f"{100 * share:.0f} %" for share in shares.tolist())
    placed = [None if each is None else ((each.double() - mean) @ axes).float() for each in (z, prior)]
    assert placed[0] is not None
    return placed[0], placed[1], [f"Shown are the two principal axes of the encoded examples, with {first} and {second} of "
                                  f"the variance of {z.shape[1]} numbers; the prior is seen along the same axes."]


def _write(target: Target, options: LatentsOptions, examples: Examples, encoded: _Encoded, flat: Tensor, shown: Tensor | None,
           prior: Tensor | None) -> Path:
    """Write the plot, or the numbers, and return the file."""
    path = target.path if target.kind in ENDINGS else target.path / "latents.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    if target.kind == ".npz":
        arrays = {"z": encoded.z.numpy(), "plane": flat.numpy(), "examples": np.array(encoded.names)}
        arrays |= {} if prior is None else {"prior": prior.numpy()}
        arrays |= {} if encoded.labels is None else {"labels": encoded.labels.numpy(), "classes": np.array(examples.classes)}
        with open(path, "wb") as file:
            np.savez(file, **arrays)
        return path
    axes = "principal axis" if encoded.z.shape[1] > 2 and len(encoded.z) > 1 else "latent"
    clouds = [Cloud("encoded", flat.numpy(), None if encoded.labels is None else encoded.labels.numpy())]
    clouds += [] if shown is None else [Cloud("prior", shown.numpy(), None)]
    save_png(path, draw_clouds(clouds, examples.classes, axes, size=512 * (options.zoom or 1)))
    return path


def _metadata(examples: Examples, encoded: _Encoded) -> list[tuple[str, str]]:
    """Return the name and the class of each example, for the projector."""
    classes = [""] * len(encoded.names) if encoded.labels is None else [examples.classes[i] for i in encoded.labels.tolist()]
    return list(zip(encoded.names, classes, strict=True))


def _figures(z: Tensor, prior: Tensor | None) -> list[tuple[str, str, str]]:
    """Return moments of the latents beside the prior's: how near the aggregated posterior is to what it is held to."""
    rows = []
    for name, least, figure in (("mean, its norm", 1, lambda x: x.mean(0).norm()),
                                ("deviation, least", 2, lambda x: x.std(0).min()),
                                ("deviation, largest", 2, lambda x: x.std(0).max()),
                                ("correlation, largest", 2, _largest_correlation)):
        rows.append((name, *("" if each is None or len(each) < least else f"{float(figure(each.double())):.3g}"
                             for each in (z, prior))))
    return rows


def _largest_correlation(x: Tensor) -> Tensor:
    """Return the largest absolute correlation of two of the numbers; 0 where there is but one."""
    if x.shape[1] < 2:
        return x.new_zeros(())
    return (torch.corrcoef(x.T).nan_to_num() - torch.eye(x.shape[1], dtype=x.dtype)).abs().max()
