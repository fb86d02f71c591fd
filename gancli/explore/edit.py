"""`gan edit`: an image changed by strokes of a brush, as a generator would have it.

Legend: N candidates, C channels, H height, W width, P a point's shape.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UserError, check_range
from gancli.explore.animations import ANIMATED, MAX_SIDE, save_animation
from gancli.explore.captions import Captioned
from gancli.explore.editing import Energy, Weights, given_back, kept_candidates
from gancli.explore.editor import make_editor
from gancli.explore.found_latents import read_points, save_points
from gancli.explore.inputs import find_inputs
from gancli.explore.loaded import Loaded, load
from gancli.explore.project import SearchOptions, frames_of, make_plan
from gancli.explore.projecting import Plan, Starts, project_batch
from gancli.explore.search import Descent, Found, descend
from gancli.explore.spaces import open_space
from gancli.explore.stages import Stages
from gancli.explore.strokes import Strokes, read_strokes
from gancli.explore.targets import FOLDER, Target, checkpoint_stem, choose_target, default_target
from gancli.explore.writing import writing
from gancli.monitor.grids import Picture, save_png, to_pictures
from gancli.options import typed
from gancli.runs.atomic import write_text

SPREAD = 0.5  # half-width of the noise on candidates' starts, in units of the space (Zhu 2016's code)


@dataclass(kw_only=True)
class EditOptions(SearchOptions):
    """What `gan edit` changes; the defaults stand in conf/edit.yaml."""

    input: str | None
    latents: str | None
    number: int
    strokes: str | None
    page: str | None
    n: int
    steps: int
    lr: float
    projection_steps: int | None
    sketch_weight: float
    smoothness: float
    keep: float
    give_back: bool
    film: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input is not None and self.latents is not None:
            raise ValueError("input= and latents= both say what to edit: give one of them")
        if self.strokes is None and self.page is None:
            raise ValueError("strokes has no value: give strokes=FILE.json or FILE.png, or page=edit.html to paint some")
        check_range("number", self.number, 0)
        check_range("n", self.n, 1, 64)
        check_range("steps", self.steps, 0)
        check_range("projection_steps", self.projection_steps, 0)
        check_range("lr", self.lr, 0, open_low=True)
        for key in ("sketch_weight", "smoothness", "keep"):
            check_range(key, getattr(self, key), 0)


@dataclass
class Report:
    """What an edit changed, and where it was written."""

    candidates: int
    strokes: tuple[float, float] | None  # mean squared difference from the colors within strokes, before and after, 0 to 1
    elsewhere: float | None  # mean squared change where no stroke is, of values from 0 to 1
    notes: list[str]
    files: list[Path]


@dataclass
class _Picture:
    """What is edited."""

    point: Tensor  # [1, *P]
    labels: Tensor | None  # [1]
    maps: list[Tensor]  # noise maps [1, 1, h, w] that belong to it
    image: Tensor  # [C, H, W] that the generator makes of it
    photo: Tensor | None  # [C, H, W] that was projected


@dataclass
class _Edited:
    """The candidates, the best first."""

    found: Found
    images: Tensor  # [N, C, H, W]
    frames: list[Picture] = field(default_factory=list)


def edit(values: Mapping[str, Any]) -> Report:
    """Edit an image as conf/edit.yaml describes, or write the page on which strokes are painted.

    Raises:
        UserError: anything that is wrong is found before anything is written, unless the disk becomes full.
    """
    options = typed(EditOptions, values, "")
    chosen = choose_target(options.out, (".png", ".npz", *ANIMATED), options.overwrite)
    page = choose_target(options.page, (".html",), options.overwrite)
    if page is not None and page.kind == FOLDER:
        raise UserError(f"page={options.page} is a folder: give a name that ends in .html.")
    loaded = load(options.ckpt, options.device, options.weights)
    photo, notes = _photo(loaded, options)
    with Stages() as stages:
        plan = make_plan(loaded, options, options.projection_steps, None, stages)
        if options.strokes is None:
            shown = photo if photo is not None else _picture(loaded, options, plan, None, stages).image
            return Report(0, None, None, notes, [_write_page(page, loaded, options, shown)])
        fit = str(dict(loaded.config.get("dataset") or {}).get("fit", "crop"))
        if photo is not None:  # strokes are looked at before the search for the photo
            read_strokes(options.strokes, photo, fit)
        picture = _picture(loaded, options, plan, photo, stages)
        strokes = read_strokes(options.strokes, picture.image if photo is None else photo, fit)
        grid = _grid(loaded, options, picture)
        target = chosen or default_target("edit", checkpoint_stem(loaded), "")
        film = options.film and target.kind == FOLDER or target.kind in ANIMATED
        edited = _edit(loaded, options, plan, picture, strokes, stages, film)
    with writing(target.path):
        files = _write(target, options, plan, picture, strokes, edited, grid)
        files += [] if page is None else [_write_page(page, loaded, options, picture.image if photo is None else photo)]
    return Report(len(edited.images), *_figures(picture, strokes, edited), notes, files)


def _photo(loaded: Loaded, options: EditOptions) -> tuple[Tensor | None, list[str]]:
    """Return the image [C, H, W] of `input=`, framed as the run's own were."""
    if options.input is None:
        return None, []
    inputs = find_inputs(options.input, loaded, 1)
    found = next(inputs.batches(), None)
    if found is None:
        raise UserError(" ".join([f"input={options.input} cannot be read.", *inputs.notes()]))
    return found[1][0].clone(), []


def _picture(loaded: Loaded, options: EditOptions, plan: Plan, photo: Tensor | None, stages: Stages) -> _Picture:
    """Return what is edited: a photo's projection, a point of an archive, or a seed's first image.

    The space makes all images with the noise that belongs to it from here on.
    """
    space = plan.space
    if photo is not None:
        steps = plan.descent.steps + 1
        found = project_batch(loaded, plan, Starts(loaded, plan, options.label, stages.told), photo[None],
                              watch=lambda step, images: stages.told("projecting", step + 1, steps, "steps"))
        picture = _Picture(found.points, found.labels, found.maps, found.images[0], photo)
    elif options.latents is not None:
        picture = _of_archive(loaded, options, plan)
    else:
        label = 0 if options.label is None and loaded.model.needs.labels else options.label
        labels = loaded.labels_for(1, label)
        point = space.of_latents(loaded.latents(1, options.seed), labels, options.batch_size)
        picture = _Picture(point, labels if space.name == "z" else None, [], torch.empty(0), None)
    space.fixed = [each.to(loaded.device) for each in picture.maps] or None
    if not len(picture.image):
        picture.image = space.images(picture.point, picture.labels, options.batch_size)[0]
    return picture


def _of_archive(loaded: Loaded, options: EditOptions, plan: Plan) -> _Picture:
    found = read_points(options.latents, loaded)
    if options.number >= len(found.points):
        raise UserError(f"number={options.number} is not in {options.latents}, which holds {len(found.points)}: give 0 to "
                        f"{len(found.points) - 1}.")
    if found.space != plan.space.name:
        if options.space is not None and not (found.space == "z" and options.space != "z"):
            raise UserError(f"{options.latents} holds points of {found.space}, and space={options.space} was asked for: leave "
                            "it out.")
        plan.space = open_space(loaded, found.space if options.space is None else options.space, options.batch_size)
    row = slice(options.number, options.number + 1)
    labels = None if found.labels is None else found.labels[row]
    if options.label is not None and found.space == "z":
        labels = loaded.labels_for(1, options.label)
    point = found.points[row]
    if found.space == "z" and plan.space.name != "z":
        point, labels = plan.space.of_latents(point, labels, options.batch_size), None
    return _Picture(point, labels, [each[row] for each in found.maps], torch.empty(0), None)


def _edit(loaded: Loaded, options: EditOptions, plan: Plan, picture: _Picture, strokes: Strokes, stages: Stages,
          film: bool) -> _Edited:
    """Search from the point and from points near it, each of which becomes a candidate."""
    space, device = plan.space, loaded.device
    starts = _starts(plan, picture, options)
    energy = Energy(strokes, picture.image.to(device), starts.to(device), space.scale,
                    Weights(options.sketch_weight, options.smoothness, options.keep))
    labels = None if picture.labels is None else picture.labels.expand(len(starts))
    frames: list[Picture] = []

    def watch(step: int, images: Tensor) -> None:
        if film and step in frames_of(options.steps):
            frames.append(to_pictures(images.float().clamp(-1, 1)))
        stages.told("editing", step + 1, options.steps + 1, "steps")

    with torch.enable_grad():
        found = descend(space, starts.to(device), None if labels is None else labels.to(device), energy,
                        Descent(options.steps, options.lr), watch=watch)
    order = kept_candidates(found.losses)
    found = Found(found.points[order], found.losses[order], [])
    images = space.images(found.points, None if labels is None else labels[order], options.batch_size)
    return _Edited(found, images, [frame[order.numpy()] for frame in frames])


def _starts(plan: Plan, picture: _Picture, options: EditOptions) -> Tensor:
    """Return where candidates begin [N, *P]: at the point itself, then near it."""
    generator = torch.Generator().manual_seed(options.seed)
    noise = torch.rand(options.n - 1, *picture.point.shape[1:], generator=generator) * 2 - 1
    near = picture.point + SPREAD * plan.space.scale * noise
    around = picture.point.expand(len(near), *picture.point.shape[1:])
    return torch.cat((picture.point, plan.space.held(plan.space.free(near), around)))


def _grid(loaded: Loaded, options: EditOptions, picture: _Picture) -> Captioned:
    """Lay out the sheet: the picture, the strokes on it, and the candidates; of a photo a second row with projections."""
    count = options.n + 2
    grid = Captioned.of(loaded.spec.shape, 1 if picture.photo is None else 2, count, min(count, 9), options.zoom)
    if grid.columns * (loaded.spec.shape[2] + 2) * grid.zoom > MAX_SIDE:
        raise UserError(f"A sheet of {count} images at zoom {grid.zoom} is wider than {MAX_SIDE} pixels: give n or zoom "
                        "smaller.")
    return grid


def _write(target: Target, options: EditOptions, plan: Plan, picture: _Picture, strokes: Strokes, edited: _Edited,
           grid: Captioned) -> list[Path]:
    """Write what the target asks for and return the files."""
    whole = target.kind == FOLDER
    path = (lambda name: target.path / name) if whole else lambda name: target.path
    results, files = _results(options, picture, strokes, edited), []
    if whole or target.kind == ".png":
        files.append(path("edit.png"))
        save_png(files[-1], _sheet(picture, strokes, results, edited, grid, to_pictures(edited.images)))
    if whole:
        files.append(path("result.png"))
        save_png(files[-1], to_pictures(results[:1])[0])
    if whole or target.kind == ".npz":
        files.append(path("latents.npz"))
        n = len(edited.images)
        save_points(files[-1], plan.space.name, edited.found.points,
                    None if picture.labels is None else picture.labels.expand(n).clone(),
                    [each.expand(n, -1, -1, -1).clone() for each in picture.maps], {"energies": edited.found.losses.numpy()})
    if edited.frames:
        films = Target(path("film.gif"), ".gif") if whole else target
        save_animation(films, _film(picture, strokes, results, edited, grid), options.fps)
        files.append(films.path)
    return files


def _results(options: EditOptions, picture: _Picture, strokes: Strokes, edited: _Edited) -> Tensor:
    """Return the edited images [N, C, H, W], those of a photo given back to it unless that is not wanted."""
    if picture.photo is None or not options.give_back:
        return edited.images
    return given_back(picture.photo, picture.image, edited.images, strokes.touched)


def _sheet(picture: _Picture, strokes: Strokes, results: Tensor, edited: _Edited, grid: Captioned, made: Picture) -> Picture:
    """Return the picture, its strokes and all candidates `made` [N, H, W, 1 or 3]; with a photo, that in a row above."""
    texts = ["before", "strokes", *(f"{energy:.3f}" for energy in edited.found.losses.tolist())]
    made = np.concatenate((to_pictures(torch.stack((picture.image, overlaid(picture.image, strokes)))), made))
    if picture.photo is None:
        return grid.draw([made], texts)
    photos = to_pictures(torch.cat((torch.stack((picture.photo, overlaid(picture.photo, strokes))), results)))
    return grid.draw([photos, made], texts)


def _film(picture: _Picture, strokes: Strokes, results: Tensor, edited: _Edited, grid: Captioned) -> Iterator[Picture]:
    for frame in edited.frames:
        yield _sheet(picture, strokes, results, edited, grid, frame)
    for _ in range(max(1, len(edited.frames) // 4)):  # the end stays for a while
        yield _sheet(picture, strokes, results, edited, grid, to_pictures(edited.images))


def overlaid(image: Tensor, strokes: Strokes) -> Tensor:
    """Return an image [C, H, W] with the strokes painted on it; lines of a sketch are white."""
    painted = torch.lerp(image, strokes.color, strokes.color_mask)
    return torch.lerp(painted, torch.ones_like(painted), strokes.sketch_mask)


def _figures(picture: _Picture, strokes: Strokes, edited: _Edited) -> tuple[tuple[float, float] | None, float | None]:
    """Return how far the best candidate is from the strokes' colors, before and after, and how far it changed elsewhere."""
    before, after = picture.image[None], edited.images[:1]

    def apart(x: Tensor, y: Tensor, mask: Tensor) -> float | None:
        area = float(mask.sum()) * len(x[0])
        return float(((x - y).square() / 4 * mask).sum()) / area if area > 0 else None

    old = apart(before, strokes.color[None], strokes.color_mask[None])
    new = apart(after, strokes.color[None], strokes.color_mask[None])
    elsewhere = apart(before, after, (1 - strokes.touched)[None])
    return None if old is None or new is None else (old, new), elsewhere


def _write_page(page: Target, loaded: Loaded, options: EditOptions, shown: Tensor) -> Path:
    """Write the page on which strokes are painted over a picture [C, H, W]."""
    words = [f"ckpt={options.ckpt}"] + [f"{key}={getattr(options, key)}" for key in ("input", "latents", "space", "label")
                                        if getattr(options, key) is not None]
    words += [f"seed={options.seed}"] if options.seed else []
    words += [f"number={options.number}"] if options.latents is not None and options.number else []
    with writing(page.path):
        page.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(page.path, make_editor(to_pictures(shown[None])[0], f"{loaded.name}, {loaded.kimg:g} kimg", words))
    return page.path
