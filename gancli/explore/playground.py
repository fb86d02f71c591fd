"""The page on which a generator draws in the browser while latents are moved: one HTML file, without a server or a network.

Legend: Z latent size (any shape), P places in a flattened latent, K categories of a code.
"""

import base64
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UserError
from gancli.explore.codes import FARTHEST
from gancli.explore.drawing import Drawing
from gancli.explore.loaded import Loaded
from gancli.explore.web_runtime import WebRuntime
from gancli.game.abilities import able
from gancli.monitor.page import Page, build

LATENTS = 16  # of the seed, which the page can stand at
MOST_BYTES = 20 << 20  # of the model
FEWEST = 3  # numbers of a latent: a plane's point and its two directions
SOURCES = "blob: 'wasm-unsafe-eval'"  # the runtime loads its module and runs WebAssembly


def check_size(data: bytes) -> None:
    """Raise a UserError for a model that is too large for a page."""
    if len(data) > MOST_BYTES:
        raise UserError(f"The model has {len(data) / 2**20:.1f} MiB and a page takes {MOST_BYTES >> 20} MiB at most: give "
                        "out=model.onnx, or train a narrower generator.")


def make_page(drawing: Drawing, model: bytes, runtime: WebRuntime, seed: int, about: str) -> str:
    """Return the page.

    Args:
        model: the drawing as an ONNX file.
        about: a sentence on what is shown.
    """
    return build(Page(
        title=f"Latents of {drawing.loaded.name}", note=about, main="playground", style=_file("playground.css"),
        body=_file("playground.html"), data=page_data(drawing, seed),
        blocks={"model": _base64(model), "module": _base64(runtime.module.encode()), "program": _base64(runtime.program)},
        scripts=[runtime.script, _file("playground.js")], sources=SOURCES))


def page_data(drawing: Drawing, seed: int) -> dict[str, Any]:
    """Return what the page's script reads: latents, how a plane lies among them, and what can be set."""
    loaded = drawing.loaded
    latents = loaded.latents(LATENTS, seed)
    prior = getattr(loaded.model, "prior", None)
    low, high = prior.span if prior is not None else (-3.0, 3.0)
    round_law = bool(getattr(prior, "spherical", False)) and latents[0].numel() >= FEWEST
    return {"shape": list(loaded.spec.shape), "latent": list(latents.shape[1:]), "seed": seed, "round": round_law,
            "low": low, "high": high, "latents": _base64(latents.float().flatten(1).numpy().astype("<f4").tobytes()),
            "classes": list(loaded.spec.classes) if drawing.labels else [], "codes": _codes(loaded),
            "truncation": drawing.truncation}


def _codes(loaded: Loaded) -> list[dict[str, Any]]:
    """Return the model's codes as numbers at places of a flattened latent."""
    if not able(loaded.model, "codes"):
        return []
    return [_code(loaded, name, kinds) for name, kinds in _kinds(loaded).items()]


def _kinds(loaded: Loaded) -> Mapping[str, int | None]:
    return loaded.model.codes


def _code(loaded: Loaded, name: str, categories: int | None) -> dict[str, Any]:
    """Return the places [P] that a code stands at, with their numbers for each category [K, P], or for -1 and 1."""
    values = torch.arange(categories) if categories is not None else torch.tensor([-1.0, 1.0])
    z = loaded.latents(1).expand(len(values), *loaded.latents(1).shape[1:])
    changed: Tensor = loaded.model.with_codes(z, {name: values}).flatten(1)
    places = (changed != changed[:1]).any(0).nonzero().flatten()
    return {"name": name, "categories": categories, "farthest": FARTHEST, "places": places.tolist(),
            "numbers": changed[:, places].tolist()}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _file(name: str) -> str:
    return files("gancli.explore").joinpath(name).read_text(encoding="utf-8")
