"""The card beside an exported model, written down by gancli.runs.card: what it is, how well it does, how it is used."""

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gancli import __version__
from gancli.explore.drawing import BATCHES, SEEDS, TOLERANCE, Drawing
from gancli.explore.loaded import Loaded
from gancli.explore.targets import run_stem
from gancli.game.abilities import next_command
from gancli.game.prior import Normal, Uniform
from gancli.runs.files import CHECKPOINTS, EVALUATION, STATS
from gancli.runs.records import Damaged, read_json
from gancli.runs.stats import METRIC_TAG, read_ticks

VERSIONS = {".onnx": "ONNX", ".pt2": "torch.export", ".html": "a page for browsers"}


def make_card(drawing: Drawing, path: Path, data: bytes, difference: float, runtime: str, weights: str,
              license_name: str | None) -> dict[str, Any]:
    """Return the card in JSON types.

    Args:
        path: of the file that the card describes, and `data` what it holds.
        difference: the largest from the model's images, as `runtime` made them.
        license_name: of the weights, as the user gave it.
    """
    loaded = drawing.loaded
    dataset = loaded.config.get("dataset")
    return {
        "file": path.name, "format": VERSIONS[path.suffix.lower()], "bytes": len(data), "sha256": digest(data),
        "model": loaded.name, "kind": loaded.spec.kind, "next": next_command(loaded.model),
        "loss": loaded.config["loss"].get("rule"), "license": license_name,
        "data": dataset.get("name") if isinstance(dataset, dict) else None, "data_fingerprint": loaded.data_fingerprint,
        "run": run_stem(loaded), "kimg": loaded.kimg, "weights": weights, "spec": loaded.spec.as_dict(),
        "inputs": _inputs(drawing),
        "outputs": {"images": {"shape": ["n", *loaded.spec.shape], "type": "float32", "range": [-1, 1]}},
        "latents": _law(drawing), "sampling": sampling(drawing, path), "figures": recorded_figures(loaded),
        "check": {"largest_difference": difference, "tolerance": TOLERANCE, "seeds": list(SEEDS), "images": list(BATCHES),
                  "against": "the model in float32 on the CPU", "by": runtime},
        "made_by": {"gancli": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def _inputs(drawing: Drawing) -> dict[str, Any]:
    shape = list(drawing.loaded.latents(1).shape[1:])
    kinds: dict[str, Any] = {"z": {"shape": ["n", *shape], "type": "float32"}}
    if drawing.labels:
        kinds["labels"] = {"shape": ["n"], "type": "int64", "classes": list(drawing.loaded.spec.classes)}
    if drawing.truncation:
        kinds["truncation"] = {"shape": [], "type": "float32", "meaning": "1: styles as they are, 0: their average"}
    return kinds


def _law(drawing: Drawing) -> dict[str, Any]:
    """Return what latents are drawn from, and how the seeds of gan sample are had."""
    prior = getattr(drawing.loaded.model, "prior", None)
    law: dict[str, Any] = {"law": "as gan sample draws them"}
    if type(prior) is Normal:
        law = {"law": "normal", "deviation": prior.std}
    elif isinstance(prior, Uniform):
        law = {"law": "uniform", "low": prior.low, "high": prior.high}
    return {**law, "seeds": "gan sample ckpt=RUN seed=0 n=16 out=latents.npz writes those of a seed as z"}


def sampling(drawing: Drawing, path: Path) -> list[str]:
    """Return three lines of numpy that draw images from the file [N, C, H, W], and what must be imported before."""
    if path.suffix.lower() == ".html":
        return []
    size = ", ".join(map(str, (16, *drawing.loaded.latents(1).shape[1:])))
    law = _law(drawing)
    if law["law"] == "normal":
        drawn = f"z = {law['deviation']:g} * numpy.random.default_rng(0).standard_normal(({size}))"
    elif law["law"] == "uniform":
        drawn = f"z = numpy.random.default_rng(0).uniform({law['low']!r}, {law['high']!r}, ({size}))"
    else:
        drawn = 'z = numpy.load("latents.npz")["z"]  # of gan sample ckpt=RUN n=16 out=latents.npz'
    classes = len(drawing.loaded.spec.classes)
    if path.suffix.lower() == ".onnx":
        fed = ['"z": z.astype("float32")', *[f'"labels": numpy.arange(16) % {classes}'] * drawing.labels]
        made = f'images = onnxruntime.InferenceSession("{path.name}").run(None, {{{", ".join(fed)}}})[0]'
        before = "import numpy, onnxruntime"
    else:
        fed = ["torch.tensor(z).float()", *[f"torch.arange(16) % {classes}"] * drawing.labels]
        made = f'images = torch.export.load("{path.name}").module()({", ".join(fed)}).detach().numpy()'
        before = "import numpy, torch"
    return [before, drawn, made, 'pixels = ((images + 1) * 127.5 + 0.5).clip(0, 255).astype("uint8").transpose(0, 2, 3, 1)']


def recorded_figures(loaded: Loaded) -> dict[str, Any]:
    """Return the figures that the run recorded for this very checkpoint, with their protocols where those were kept."""
    parent = loaded.path.absolute().parent
    if parent.name != CHECKPOINTS:
        return {}
    values = {tag.removeprefix(METRIC_TAG): value for tick in read_ticks(parent.parent / STATS)
              if tick["images"] == loaded.images for tag, value in tick.items() if tag.startswith(METRIC_TAG)}
    protocols = _protocols(parent.parent / EVALUATION)
    return {name: {"value": value, "protocol": protocols.get(name)} for name, value in values.items()}


def _protocols(path: Path) -> Mapping[str, Any]:
    try:
        return read_json(path)
    except (OSError, Damaged):
        return {}
