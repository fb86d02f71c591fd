"""`gan project`: the latents whose images are nearest to given ones.

Legend: N images, C channels, H height, W width.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.devices import keep_freed_memory
from gancli.errors import UserError, check_choice, check_range
from gancli.explore.animations import ANIMATED, MAX_SIDE, save_animation
from gancli.explore.captions import Captioned
from gancli.explore.dataset import DatasetPlace, data_place
from gancli.explore.examples import Examples, Part, find_examples, labels_of_run
from gancli.explore.found_latents import save_points
from gancli.explore.likeness import open_likeness
from gancli.explore.loaded import Loaded, load
from gancli.explore.options import PictureOptions
from gancli.explore.projecting import RATE, STARTS, STEPS, Plan, Projected, Starts, choose_start, project_batch
from gancli.explore.reconstruct import errors_of
from gancli.explore.room import check_room
from gancli.explore.search import Descent
from gancli.explore.spaces import SPACES, open_space
from gancli.explore.stages import Stages
from gancli.explore.targets import FOLDER, Target, checkpoint_stem, choose_target, default_target
from gancli.explore.writing import writing
from gancli.features.weights import check_features
from gancli.monitor.grids import Picture, save_png, to_pictures
from gancli.options import typed
from gancli.runs.atomic import write_atomic

FRAMES = 60  # of a film, at most
SHOWN = 64  # images of a grid, at most


@dataclass(kw_only=True)
class SearchOptions(PictureOptions):
    """How a command searches for latents; the defaults stand in conf/project.yaml and conf/edit.yaml."""

    space: str | None  # one of SPACES; None: w where the model has styles, else z
    init: str | None  # one of STARTS; None: encoder where the model has one, else optimizer
    starts: int  # random latents of which the nearest is begun at
    move_noise: bool  # styles: the noise maps are searched, too
    label: Any  # a class for all images; None: that of labeled examples, else any
    features: str | None
    features_weight: float
    features_weights: str | None
    seed: int
    fps: float
    data_dir: str | None
    dataset: DatasetPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, known in (("space", SPACES), ("init", STARTS)):
            if getattr(self, key) is not None:
                check_choice(key, getattr(self, key), known)
        check_range("starts", self.starts, 1)
        check_range("features_weight", self.features_weight, 0)
        check_range("seed", self.seed, 0)
        check_range("fps", self.fps, 0.5, 50)
        if self.features is not None:
            check_features(self.features)
        if isinstance(self.label, (list, tuple)):
            raise ValueError("label is one class for all images: give label=NAME")


@dataclass(kw_only=True)
class ProjectOptions(SearchOptions):
    """What `gan project` searches for; the defaults stand in conf/project.yaml."""

    input: str | None
    n: int | None
    steps: int | None  # None: STEPS
    lr: float | None  # None: RATE
    film: bool
    columns: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("n", self.n, 1)
        check_range("steps", self.steps, 0)
        check_range("lr", self.lr, 0, open_low=True)
        check_range("columns", self.columns, 1)


@dataclass
class Report:
    """How near the images came, and where that was written."""

    origin: str
    count: int
    start: float  # mean error of the images that projections began at
    mean: float
    median: float
    worst: tuple[str, float]  # an image's name and error
    notes: list[str]
    files: list[Path]


@dataclass
class _Done:
    """What is kept of all images: points and errors, and pictures of the first ones."""

    names: list[str] = field(default_factory=list)
    projected: list[Projected] = field(default_factory=list)
    errors: list[Tensor] = field(default_factory=list)  # mean squared differences, of values from 0 to 1
    starts: list[Tensor] = field(default_factory=list)  # the same where the search began
    inputs: list[Picture] = field(default_factory=list)
    frames: list[list[Picture]] = field(default_factory=list)  # of each batch: its images at each step that a film shows


def project(values: Mapping[str, Any]) -> Report:
    """Project images as conf/project.yaml describes; writes projections.png, latents.npz, errors.csv, and film.gif if asked.

    Raises:
        UserError: anything that is wrong is found before anything is written, unless the disk becomes full.
    """
    options = typed(ProjectOptions, values, "")
    chosen = choose_target(options.out, (".png", ".npz", *ANIMATED), options.overwrite)
    film = options.film or chosen is not None and chosen.kind in ANIMATED
    loaded = load(options.ckpt, options.device, options.weights)
    with Stages() as stages:
        plan = make_plan(loaded, options, options.steps, options.lr, stages)
        examples = find_examples(loaded, options.input, options.n, options.dataset, options.data_dir, stages)
        shown = min(examples.count, SHOWN)
        grid = _grid(loaded, options, shown, film)
        check_room(loaded, shown * (2 + FRAMES * film), "n", Path(options.out or "."), on_disk=False)
        target = chosen or default_target("project", f"{checkpoint_stem(loaded)}-{plan.space.name}", "")
        done = _project_all(loaded, options, plan, examples, film, stages)
    with writing(target.path):
        files = _write(target, loaded, options, plan, done, grid, film)
    errors, starts = torch.cat(done.errors), torch.cat(done.starts)
    worst = int(errors.argmax())
    return Report(examples.origin, len(errors), float(starts.mean()), float(errors.mean()), float(errors.median()),
                  (done.names[worst], float(errors[worst])), [*examples.notes, *examples.left_out()], files)


def make_plan(loaded: Loaded, options: SearchOptions, steps: int | None, rate: float | None, stages: Stages) -> Plan:
    """Return how images are projected as the options say.

    Raises:
        UserError: the model has no such space or encoder, or there is no such extractor.
    """
    keep_freed_memory()
    space = open_space(loaded, options.space, options.batch_size)
    start = choose_start(loaded, space, options.init)
    loaded.labels_for(1, options.label)  # or it is refused
    likeness = open_likeness(loaded, options.features, options.features_weight, options.features_weights,
                             data_place(loaded, options.data_dir), options.dataset, stages)
    steps = STEPS[space.name] if steps is None else steps
    return Plan(space, likeness, start, options.starts, Descent(steps, rate or RATE),
                options.move_noise and bool(space.maps(1)), options.seed, options.batch_size)


def _grid(loaded: Loaded, options: ProjectOptions, shown: int, film: bool) -> Captioned:
    grid = Captioned.of(loaded.spec.shape, 2, shown, options.columns, options.zoom)
    width = grid.columns * (loaded.spec.shape[2] + 2) * grid.zoom
    height = 2 * -(-shown // grid.columns) * (loaded.spec.shape[1] + 2) * grid.zoom
    if film and max(width, height) > MAX_SIDE:
        raise UserError(f"A frame of {shown} images has about {width} x {height} pixels: give n or zoom smaller, so that its "
                        f"sides are at most {MAX_SIDE}.")
    return grid


def _project_all(loaded: Loaded, options: ProjectOptions, plan: Plan, examples: Examples, film: bool, stages: Stages) -> _Done:
    """Project all images, a batch at a time; only points and errors are kept of those that no picture shows."""
    done, numbers = _Done(), labels_of_run(loaded, examples) if loaded.model.needs.labels else None
    starts, length = Starts(loaded, plan, options.label, stages.told), plan.descent.steps + 1
    turns = -(-examples.count // options.batch_size)
    for turn, part in enumerate(examples.parts(options.batch_size)):
        known = None
        if options.label is None and numbers is not None and part.labels is not None:
            known = torch.tensor(numbers)[part.labels]

        def told(step: int, before: int = min(turn, turns - 1) * length) -> None:
            stages.told("projecting", before + step + 1, turns * length, "steps")

        _project_part(loaded, plan, starts, part, known, film, told, done)
    return done


def _project_part(loaded: Loaded, plan: Plan, starts: Starts, part: Part, labels: Tensor | None, film: bool,
                  told: Callable[[int], None], done: _Done) -> None:
    """Project a batch and add what is kept of it.

    Args:
        labels: of the images, [N], as the model numbers them; None: unknown.
        told: receives each step.
    """
    seen, steps = len(done.names), plan.descent.steps
    shown = max(0, min(len(part.x), SHOWN - seen))
    frames: list[Picture] = []

    def watch(step: int, images: Tensor) -> None:
        if step == 0:
            done.starts.append(errors_of(part.x, images.float().clamp(-1, 1).cpu()))
        if film and shown and step in frames_of(steps):
            frames.append(to_pictures(images[:shown].float().clamp(-1, 1)))
        told(step)

    found = project_batch(loaded, plan, starts, part.x, labels, seen, watch)
    done.errors.append(errors_of(part.x, found.images))
    done.names += part.names
    if shown:
        done.inputs.append(to_pictures(part.x[:shown]))
        done.frames.append([*frames, to_pictures(found.images[:shown])])
    found.images = found.images[:0]  # no longer needed
    done.projected.append(found)


def frames_of(steps: int) -> set[int]:
    """Return the steps that a film shows: all of few, else the first ones more densely, since most happens there."""
    if steps < FRAMES:
        return set(range(steps + 1))
    return {round(steps * (number / (FRAMES - 1)) ** 1.5) for number in range(FRAMES)}


def _write(target: Target, loaded: Loaded, options: ProjectOptions, plan: Plan, done: _Done, grid: Captioned,
           film: bool) -> list[Path]:
    """Write what the target asks for and return the files."""
    whole = target.kind == FOLDER
    path = (lambda name: target.path / name) if whole else lambda name: target.path
    files = []
    if whole or target.kind == ".png":
        files.append(path("projections.png"))
        save_png(files[-1], _picture(done, grid, -1, True))
    if whole or target.kind == ".npz":
        files.append(path("latents.npz"))
        joined = join_projected(done.projected)
        save_points(files[-1], plan.space.name, joined.points, joined.labels, joined.maps,
                    {"errors": torch.cat(done.errors).numpy(), "examples": np.array(done.names)})
    if whole:
        files.append(path("errors.csv"))
        write_atomic(files[-1], lambda file: _write_errors(file, done))
    if film:
        films = Target(path("film.gif"), ".gif") if whole else target
        save_animation(films, _film(done, grid), options.fps)
        files.append(films.path)
    return files


def join_projected(parts: list[Projected]) -> Projected:
    """Return the projections of several batches as one."""
    labels = [part.labels for part in parts if part.labels is not None]
    return Projected(torch.cat([part.points for part in parts]), torch.cat(labels) if labels else None,
                     torch.cat([part.images for part in parts]), torch.cat([part.losses for part in parts]),
                     [torch.cat(maps) for maps in zip(*(part.maps for part in parts), strict=True)])


def _picture(done: _Done, grid: Captioned, frame: int, told: bool) -> Picture:
    """Return inputs above their images at a frame, with each one's final error below if `told`."""
    inputs = np.concatenate(done.inputs)
    images = np.concatenate([frames[frame] for frames in done.frames])
    errors = torch.cat(done.errors)[:len(inputs)].tolist()
    return grid.draw([inputs, images], [f"{error:.4f}" if told else "" for error in errors])


def _film(done: _Done, grid: Captioned) -> Iterator[Picture]:
    count = len(done.frames[0])
    for frame in range(count):
        yield _picture(done, grid, frame, frame == count - 1)
    for _ in range(count // 4):  # the end stays for a while
        yield _picture(done, grid, -1, True)


def _write_errors(file: Any, done: _Done) -> None:
    text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(("example", "error", "error_at_start"))
    writer.writerows(zip(done.names, *(map("{:.6g}".format, torch.cat(each).tolist()) for each in (done.errors, done.starts)),
                         strict=True))
    text.detach()
