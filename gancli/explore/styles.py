"""Images made of changed styles: truncation, layers by name, the noise on, off, or at some sizes.

Legend: N images, C channels, H height, W width, Z latent size, S style size, L layers that take a style.
"""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gancli.errors import UsageError, UserError
from gancli.explore.loaded import Loaded
from gancli.explore.options import StyleOptions
from gancli.game.abilities import able, refusal
from gancli.game.styles import bands, truncated
from gancli.networks.styled import Noise

Make = Callable[..., Tensor]  # from styles [N, S] or [N, L, S] to images [N, C, H, W] in [-1, 1]


def require_styles(loaded: Loaded, asked: str) -> None:
    """Raise a UserError unless the model maps latents to styles.

    Args:
        asked: what needs them, as "truncation=0.7".
    """
    if not able(loaded.model, "styles"):
        raise UserError(f"{asked} needs styles: {refusal(loaded.name, 'styles')}")


def with_changed_styles(loaded: Loaded, options: StyleOptions) -> Loaded:
    """Return the model that makes images of latents as the options say, itself if they change nothing."""
    if not options.changes_styles:
        return loaded
    require_styles(loaded, asked_for(options))
    synthesize = synthesis(loaded, options)
    return loaded.making(lambda z, *labels: synthesize(loaded.model.mapping(z, *labels)))


def with_styles_for_latents(loaded: Loaded, options: StyleOptions) -> Loaded:
    """Return the model that makes images of styles in the place of latents; labels are in them already."""
    synthesize = synthesis(loaded, options)
    return loaded.making(lambda styles, *labels: synthesize(styles))


def asked_for(options: StyleOptions) -> str:
    """Return the option that needs styles, as it is typed."""
    if options.truncation is not None:
        return f"truncation={options.truncation:g}"
    return f"noise={options.noise}".lower() if options.noise is not True else f"noise_seed={options.noise_seed}"


def synthesis(loaded: Loaded, options: StyleOptions) -> Make:
    """Return what makes images of styles, truncated and with the noise that the options describe.

    Raises:
        UserError: there is no such layer or size.
        UsageError: layers or sizes that cannot be read.
    """
    model, noise = loaded.model, chosen_noise(loaded, options)
    layers = None
    if options.truncation_layers is not None:
        layers = layers_of(options.truncation_layers, model.style_layers, "truncation_layers")

    def synthesize(styles: Tensor) -> Tensor:
        if options.truncation is not None:
            nearer = truncated(styles, model.mean_style, options.truncation)
            styles = nearer if layers is None else swapped(model, styles, nearer, layers)
        return model.synthesize(styles, noise).clamp(-1, 1)

    return synthesize


def swapped(model: Any, styles: Tensor, others: Tensor, layers: list[int]) -> Tensor:
    """Return a style for each layer [N, L, S]: those of `others` for some layers, of `styles` for the rest ([N, S], too)."""
    every = model.every_layer(styles).clone()
    every[:, layers] = model.every_layer(others)[:, layers]
    return every


def chosen_noise(loaded: Loaded, options: StyleOptions) -> Noise:
    """Return the noise maps that `noise=` and `noise_seed=` name, None for layers without."""
    maps = loaded.model.noise_maps()
    if options.noise_seed is not None:
        generator = torch.Generator().manual_seed(options.noise_seed)
        maps = [torch.randn(each.shape, generator=generator).to(each.device) for each in maps]
    if isinstance(options.noise, bool):
        return maps if options.noise else [None] * len(maps)
    heights = list(options.noise) if isinstance(options.noise, (list, tuple)) else [options.noise]
    known = sorted({each.shape[2] for each in maps})
    for height in heights:
        if isinstance(height, bool) or height not in known:
            raise UserError(f"noise={height} is no height of this model's maps: give true, false, or some of "
                            f"[{','.join(map(str, known))}].")
    return [each if each.shape[2] in heights else None for each in maps]


def layers_of(value: Any, count: int, key: str = "layers") -> list[int]:
    """Return the layers, of `count`, that the user names: coarse, middle, fine, 3, 0-3, or a list of such.

    Raises:
        UsageError: it cannot be read as layers.
        UserError: the model has no such layer, or (coarse, middle, fine) none of that kind.
    """
    found: set[int] = set()
    for word in value if isinstance(value, (list, tuple)) else [value]:
        named, span = bands(count).get(str(word)), re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", str(word))
        if named is None and span is None:
            raise UsageError(f"{key}={word} names no layers: give coarse, middle, fine, or numbers as 0-3.")
        first, last = (int(span[1]), int(span[2] or span[1])) if span else (0, -1)
        chosen = range(first, last + 1) if named is None else named
        if not len(chosen) or chosen[-1] >= count:
            raise UserError(f"{key}={word} is not among this model's layers: {_described(count)}.")
        found.update(chosen)
    if not found:
        raise UsageError(f"{key}=[] names no layers: give coarse, middle, fine, or numbers as 0-3.")
    return sorted(found)


def _described(count: int) -> str:
    spans = (f"{name} {span[0]}-{span[-1]}" for name, span in bands(count).items() if len(span))
    return f"there are 0 to {count - 1} ({', '.join(spans)})"
