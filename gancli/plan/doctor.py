"""`gan data`: what a data set is, what is the matter with it, and what to type next."""

import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gancli.config.groups import conf_dir
from gancli.data.crops import cropped
from gancli.data.dataset import data_folder, open_source
from gancli.data.files import FileSource
from gancli.data.geometry import set_channels
from gancli.data.listing import shown
from gancli.data.options import FileOptions
from gancli.data.source import Source
from gancli.data.spec import DataSpec
from gancli.data.survey import Survey, chosen_rows, count_classes, decoded_rows, survey_blocks, survey_files
from gancli.errors import UserError, check_range
from gancli.explore.targets import choose_target
from gancli.monitor.grids import Picture, picture_grid, preview_zoom, save_png
from gancli.options import typed
from gancli.registry import load_plugins, models

FEW = 2000  # examples, below which augmentation is proposed (Karras 2020a: a few thousand make a discriminator overfit)
NAMED = 5  # files or classes that a line names
UNEVEN = 5.0  # times as many examples, from which classes are said to be uneven

Line = tuple[str, str]
Progress = Callable[[str, int, int], None]


@dataclass
class DoctorOptions:
    """What stands at the top of conf/data.yaml."""

    out: str | None
    overwrite: bool
    n: int  # examples in the grid
    data_dir: str | None

    def __post_init__(self) -> None:
        check_range("n", self.n, 1, 4096)


@dataclass
class Report:
    """Lines for the screen, and a grid of examples."""

    lines: list[Line] = field(default_factory=list)
    use: list[str] = field(default_factory=list)  # commands to type next
    grid: Picture | None = None  # [H, W, 1 or 3]
    files: list[Path] = field(default_factory=list)
    columns: list[np.ndarray] = field(default_factory=list)  # the examples themselves


def examine(cfg: Mapping[str, Any], progress: Progress) -> Report:
    """Return what there is to say of a data set; of what lies on disk alone, nothing is downloaded.

    Raises:
        UserError: the data are missing, empty or unreadable, or out= cannot be written.
    """
    load_plugins()
    dataset = OmegaConf.to_container(cfg["dataset"], resolve=True)
    options = typed(DoctorOptions, {key: cfg[key] for key in ("out", "overwrite", "n", "data_dir")}, "")
    target = choose_target(options.out, (".png",), options.overwrite)
    data_dir = data_folder(options.data_dir)
    source = open_source(dataset, data_dir)
    spec = source.inspect()
    notes = [*source.notes, *filter(None, [source.absent])]
    report = Report([("data", f"{dataset['name']}, {spec.describe()}"), *(("found", note) for note in notes)])
    if not source.present():
        report.use = _commands(dataset, spec, source, 0)
        return report
    if isinstance(source, FileSource):
        survey = survey_files(_everything(dataset, data_dir, source), source.place().split("|")[0], progress)
        survey.classes = count_classes(source)
        report.columns = _pictures(source, spec, options.n)
    else:
        whole = source.look()
        rows = [row * whole.count // min(options.n, whole.count) for row in range(min(options.n, whole.count))]
        survey, examples = survey_blocks(source, whole, rows, progress)
        report.columns = examples if whole.is_image else []
    report.lines += list(_lines(survey, spec, source))
    if report.columns:
        report.grid = grid_of(report.columns, len(spec.domains))
        if target is not None:
            path = target.path if target.path.suffix else target.path / "examples.png"
            zoom = preview_zoom(*report.grid.shape[:2])
            save_png(path, report.grid.repeat(zoom, 0).repeat(zoom, 1))
            report.files = [path]
    report.lines += _fitting(cropped(source.look(), source.options))
    report.use = _commands(dataset, spec, source, survey.broken_count)
    return report


def grid_of(examples: list[np.ndarray], domains: int, columns: int | None = None) -> Picture:
    """Return examples, each uint8 [H, W, C], as one picture; those of two domains stand side by side."""
    pictures = np.stack([set_channels(example[None], 1 if example.shape[2] == 1 else 3, (255, 255, 255))[0]
                         for example in examples])
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    return picture_grid(pictures, columns + columns % domains)


def _everything(dataset: dict[str, Any], data_dir: Path, source: FileSource) -> FileSource:
    """Return the source with all of its parts, among which images should not be repeated."""
    if not isinstance(source.options, FileOptions):
        return source
    return open_source(dataset | {"split": "all", "limit": None, "second": None, "labeled": None}, data_dir)


def _pictures(source: FileSource, spec: DataSpec, n: int) -> list[np.ndarray]:
    """Return n examples as training would see them; of two domains those of each by turns."""
    looked = source.look()
    rows = chosen_rows(source, max(1, n // len(spec.domains)))
    decoded = decoded_rows(source, rows, looked)
    if len(spec.domains) > 1 and not spec.paired:
        half = len(decoded) // 2
        decoded = [pair for both in zip(decoded[:half], decoded[half:]) for pair in both]
    return [image for row in decoded for image in row]


def _lines(survey: Survey, spec: DataSpec, source: Source) -> Iterator[Line]:
    """Yield what was found, worst first where there is a choice."""
    if survey.broken_count:
        more = f" and {survey.broken_count - NAMED} more" if survey.broken_count > NAMED else ""
        yield "broken", f"{survey.broken_count}: {'; '.join(map(shown, survey.broken[:NAMED]))}{more}"
    elif survey.formats:
        yield "broken", "none"
    if survey.sizes:
        yield "sizes", _sizes(survey)
    if len(spec.domains) == 1 and survey.sizes and all(width == 2 * height for height, width in survey.sizes):
        yield "pairs", ("every image is twice as wide as high: if its halves are a pair, give dataset=paired "
                        "dataset.side_by_side=true")
    if survey.modes:
        yield "modes", ", ".join(f"{mode} {count:,}" for mode, count in survey.modes.most_common())
    if spec.is_image:
        yield from _duplicates(survey)
    if spec.classes and survey.classes:
        yield "classes", _balance(survey, spec)


def _sizes(survey: Survey) -> str:
    sizes = sorted(survey.sizes)
    if len(sizes) == 1:
        return "all {}x{}".format(*sizes[0])
    ordered = sorted(min(size) for size, count in survey.sizes.items() for _ in range(count))
    (height, width), (tall, wide) = min(sizes, key=math.prod), max(sizes, key=math.prod)
    return (f"{len(sizes):,} different, from {height}x{width} to {tall}x{wide} (height x width); shorter sides: median "
            f"{ordered[len(ordered) // 2]}, one in ten below {ordered[len(ordered) // 10]}")


def _duplicates(survey: Survey) -> Iterator[Line]:
    found, names = survey.duplicates, survey.names
    copies = sum(len(rows) - 1 for rows in found.exact)
    if copies:
        groups = [" = ".join(shown(names[row]) for row in rows[:3]) for rows in found.exact[:NAMED]] if names else []
        are = "image is" if copies == 1 else "images are"
        yield "copies", f"{copies:,} {are} equal to another to the byte{_named(groups, len(found.exact))}"
    if survey.formats:
        least = "" if found.complete else "at least "
        if found.near:
            pairs = [f"{shown(names[a])} ~ {shown(names[b])}" for a, b in found.near[:NAMED]]
            look = "pair looks" if len(found.near) == 1 else "pairs look"
            yield "near", f"{least}{len(found.near):,} {look} the same{_named(pairs, len(found.near))}"
        if not found.near and not copies:
            yield "copies", "none, to the byte or to the eye"
    elif not copies:
        yield "copies", "none"
    across = _across(survey)
    if across:
        yield "leak", f"{across:,} of these stand in two parts: what is evaluated on has been trained on"


def _across(survey: Survey) -> int:
    """Return how many copies or near ones lie in different parts."""
    parts = survey.parts
    pairs = [(rows[0], row) for rows in survey.duplicates.exact for row in rows[1:]] + survey.duplicates.near
    return sum(None not in (parts[a], parts[b]) and parts[a] != parts[b] for a, b in pairs) if parts else 0


def _named(found: list[str], count: int) -> str:
    more = f" and {count - len(found):,} more" if count > len(found) else ""
    return f": {'; '.join(found)}{more}" if found else ""


def _balance(survey: Survey, spec: DataSpec) -> str:
    counts = [(survey.classes.get(number, 0), name) for number, name in enumerate(spec.classes)]
    least, most = min(counts), max(counts)
    if least[0] == most[0]:
        return f"{len(counts)}, {least[0]:,} images of each: {', '.join(shown(name) for _, name in counts[:12])}" + (
            " ..." if len(counts) > 12 else "")
    told = ", ".join(f"{shown(name)} {count:,}" for count, name in counts) if len(counts) <= 12 else (
        f"from {shown(least[1])} {least[0]:,} to {shown(most[1])} {most[0]:,}")
    uneven = "; uneven" if most[0] > UNEVEN * max(least[0], 1) else ""
    return f"{len(counts)}: {told}{uneven}"


def _fitting(spec: DataSpec) -> list[Line]:
    """Return which models such data can be given to, those that need labels apart."""
    fit: list[str] = []
    for name, options in _defaults().items():
        try:
            models.get(name).build.check_data(options, spec)
        except UserError:
            continue
        fit.append(name)
    labeled = [name for name in fit if models.get(name).build.needs.labels or models.get(name).build.needs.labeled]
    plain = [name for name in fit if name not in labeled]
    lines = [("models", ", ".join(plain))] if plain else []
    return lines + ([("with labels", ", ".join(labeled))] if labeled else [])


@cache
def _defaults() -> dict[str, Any]:
    """Return the options of every model as its file in conf/ has them; a plugin's without one is left out."""
    found = {}
    for name in models.names():
        try:
            values = OmegaConf.load(conf_dir() / "model" / f"{name}.yaml")
            values.pop("defaults", None)
            found[name] = typed(models.get(name).options, values, "model")
        except (UserError, OSError, OmegaConfBaseException):
            continue
    return found


def _commands(dataset: dict[str, Any], spec: DataSpec, source: Source, broken: int) -> list[str]:
    """Return the line that trains on these data, and one for what would be worth a try."""
    words = [f"dataset={dataset['name']}"]
    for key in ("path", "images"):
        if dataset.get(key) is not None:
            words.append(f"dataset.{key}={_typed_path(dataset[key]) if key == 'path' else shlex.quote(dataset[key])}")
    if source.chosen_size is not None:
        height, width = source.chosen_size
        words.append(f"dataset.size={height}" if height == width else f"'dataset.size=[{height},{width}]'")
    if dataset.get("side_by_side"):
        words.append("dataset.side_by_side=true")
    if broken and dataset.get("broken") == "fail":
        words.append("dataset.broken=skip")
    data = " ".join(words)
    few = spec.is_image and len(spec.domains) == 1 and spec.count < FEW
    lines = [f"gan train{model} {data}" for model in _suggested(spec)]
    if spec.paired and dataset["name"] == "paired" and not dataset.get("side_by_side"):
        lines.append(f"gan train model=cyclegan {data.replace('dataset=paired', 'dataset=unpaired', 1)}")
    lines += [f"{lines[0]} augment=diffaugment"] if few else []
    return [*([f"gan validate price=true{lines[0].removeprefix('gan train')}"] if source.present() else []), *lines]


def _suggested(spec: DataSpec) -> list[str]:
    """Return models that such data are for, each as it is typed; the first suits best."""
    if len(spec.domains) > 1:
        return [" model=pix2pix" if spec.paired else " model=cyclegan"]
    if spec.is_image:
        return [" model=cgan", ""] if spec.classes else [""]
    return [" model=seqgan" if spec.kind == "tokens" else " model=gan"]


def _typed_path(path: str) -> str:
    """Return a path as a person would type it."""
    try:
        return shlex.quote(str(Path(path).relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(path)
