"""`gan export`: what makes a model's images, as one file for programs without gancli, with a card beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gancli import __version__
from gancli.errors import UserError, check_range
from gancli.explore.card import make_card
from gancli.explore.drawing import Drawing, packed, traced, unpacked
from gancli.explore.loaded import load
from gancli.explore.onnx_files import onnx_run, require_onnx, runtime_name, to_onnx
from gancli.explore.options import FileOptions
from gancli.explore.playground import check_size, make_page
from gancli.explore.targets import FOLDER, Target, checkpoint_stem, choose_target, default_target
from gancli.explore.web_runtime import WHERE, WebRuntime, read_runtime
from gancli.explore.writing import writing
from gancli.game.abilities import able
from gancli.options import typed
from gancli.runs.atomic import write_atomic, write_json, write_text
from gancli.runs.card import as_text

PAGE = ".html"
ENDINGS = (".onnx", ".pt2", PAGE)


@dataclass
class ExportOptions(FileOptions):
    """What `gan export` writes; the defaults stand in conf/export.yaml."""

    domain: str | None
    license: str | None  # of the weights, for the card
    runtime: str | None  # of a page: the folder of onnxruntime-web
    seed: int  # of a page: whose latents it shows

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("seed", self.seed, 0)


@dataclass
class Report:
    """What was exported."""

    difference: float  # the largest from the model's images, of values from -1 to 1
    by: str  # what made the file's images
    bytes: int
    files: list[Path]


@dataclass
class Made:
    """A file before it is written."""

    data: bytes
    difference: float
    by: str
    runtime: Mapping[str, Any] | None = None  # the files of onnxruntime-web in it


def export(values: Mapping[str, Any]) -> Report:
    """Export the model as conf/export.yaml describes.

    Raises:
        UserError: nothing has been written, unless the disk became full.
    """
    options = typed(ExportOptions, values, "")
    chosen = choose_target(options.out, ENDINGS, options.overwrite)
    if chosen is not None and chosen.kind == FOLDER:
        raise UserError(f"out={options.out} is no file: end it in {' or '.join(ENDINGS)}.")
    if chosen is not None:
        _check(chosen, options)
    runtime = _runtime(options, chosen is not None and chosen.kind == PAGE)
    loaded = load(options.ckpt, "cpu", options.weights)
    target = chosen or default_target("export", checkpoint_stem(loaded), ".pt2")
    _check(target, options)
    drawing = Drawing(loaded, options.domain, target.kind == PAGE and able(loaded.model, "styles"))
    made = _page(drawing, runtime, options.seed) if runtime is not None else FORMATS[target.kind](drawing)
    card = make_card(drawing, target.path, made.data, made.difference, made.by, options.weights, options.license)
    card |= {} if made.runtime is None else {"onnxruntime-web": made.runtime}
    return Report(made.difference, made.by, len(made.data), _write(target.path, made.data, card))


def _runtime(options: ExportOptions, for_page: bool) -> WebRuntime | None:
    """Return what runs the model in a page; None for another format."""
    if for_page and options.runtime is None:
        raise UserError(f"out={options.out} runs in a browser by onnxruntime-web: give runtime=FOLDER with its files "
                        f"({WHERE}).")
    if not for_page and options.runtime is not None:
        raise UserError(f"runtime={options.runtime} is for out=*.html alone: leave it out.")
    return None if options.runtime is None else read_runtime(options.runtime)


def _check(target: Target, options: ExportOptions) -> None:
    """Raise a UserError for a card that exists, or for packages that the format needs and that are not installed."""
    if target.kind != ".pt2":
        require_onnx(f"out={options.out}")
    for path in _cards(target.path):
        if path.exists() and not options.overwrite:
            raise UserError(f"{path}, which would be the card, exists: give another out=, or overwrite=true.")


def _pt2(drawing: Drawing) -> Made:
    data = packed(traced(drawing))
    return Made(data, drawing.largest_difference(unpacked(data)), f"torch {torch.__version__}")


def _onnx(drawing: Drawing) -> Made:
    data = to_onnx(drawing, traced(drawing))
    return Made(data, drawing.largest_difference(onnx_run(data, drawing.names)), runtime_name())


def _page(drawing: Drawing, runtime: WebRuntime, seed: int) -> Made:
    made = _onnx(drawing)
    check_size(made.data)
    loaded = drawing.loaded
    about = (f"Drawn by this browser from latents of seed {seed}: {loaded.name} after {loaded.kimg:g} kimg. "
             f"Written by gan export, gancli {__version__}.")
    page = make_page(drawing, made.data, runtime, seed, about).encode()
    return Made(page, made.difference, made.by, runtime.record)


FORMATS: dict[str, Callable[[Drawing], Made]] = {".onnx": _onnx, ".pt2": _pt2}


def _cards(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".json"), path.with_suffix(".md")


def _write(path: Path, data: bytes, card: Mapping[str, Any]) -> list[Path]:
    """Write the file and its cards; returns them."""
    as_json, as_markdown = _cards(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: file.write(data))
        write_json(as_json, card)
        write_text(as_markdown, as_text(card))
    return [path, as_json, as_markdown]
