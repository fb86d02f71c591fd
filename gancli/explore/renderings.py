"""How `gan translate` is to show images: in which domains and, where the model takes styles, in which of these.

Legend: N images, C channels, H height, W width, S style size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gancli.data.listing import list_names
from gancli.errors import UserError
from gancli.explore.inputs import find_inputs
from gancli.explore.loaded import Loaded
from gancli.game.abilities import able, models_able, refusal

ALL = "all"
IN_GRID, REFERENCES = 4, 8  # styles without styles=: of latents in a grid (in a folder one), and of references at most


class Asked(Protocol):
    """What the command's options say."""

    to: Any
    style: Any
    styles: int | None
    seed: int | None
    batch_size: int


@dataclass(frozen=True)
class Rendering:
    """A domain, and a style where the model takes one."""

    domain: str
    number: int  # of the style
    style: Tensor | None = None  # [S]
    reference: Tensor | None = None  # [C, H, W], the image that the style is of


def domains_of(loaded: Loaded, to: Any) -> list[str]:
    """Return the domains that `to=` names, the last that the model makes for none; a UserError where it makes none such."""
    if not able(loaded.model, "translate"):
        raise UserError(refusal(loaded.name, "translate"))
    targets = loaded.model.targets
    if to == ALL and ALL not in targets:
        return list(targets)
    named = [targets[-1]] if to is None else [str(one) for one in to] if isinstance(to, (list, tuple)) else [str(to)]
    if not named:
        raise UserError(f"to=[] names no domain: give to={' or '.join(targets[:2])}, or leave it out.")
    for one in named:
        if one not in targets:
            known = f"give to={' or '.join(targets)}" if len(targets) < 4 else f"there is {list_names(targets, 20)}"
            raise UserError(f"to={one} is no domain that this model translates into: {known}.")
    return list(dict.fromkeys(named))


def renderings_of(loaded: Loaded, asked: Asked, domains: Sequence[str], grid: bool) -> tuple[list[Rendering], list[str]]:
    """Return how each image is shown, domain by domain, and sentences on references that were left out.

    Raises:
        UserError: a style is asked of a model without styles, or a reference cannot be read.
    """
    if not able(loaded.model, "guided"):
        given = [key for key in ("style", "styles", "seed") if getattr(asked, key) is not None]
        if given:
            raise UserError(f"{given[0]}= is for models whose translations take a style ({', '.join(models_able('guided'))}), "
                            f"and model={loaded.name} takes none: leave it out.")
        return [Rendering(domain, 0) for domain in domains], []
    if asked.style is None:
        count = asked.styles or (IN_GRID if grid else 1)
        return [Rendering(domain, number, style) for domain in domains
                for number, style in enumerate(loaded.latent_styles(count, domain, asked.seed or 0))], []
    references, notes = _references(loaded, asked)
    return [Rendering(domain, number, style, references[number]) for domain in domains
            for number, style in enumerate(loaded.image_styles(references, domain, asked.batch_size))], notes


def _references(loaded: Loaded, asked: Asked) -> tuple[Tensor, list[str]]:
    """Return the images that give the styles [N, C, H, W], and sentences on those that could not be read."""
    if asked.seed is not None:
        raise UserError("style= takes styles of images and seed= draws them from latents: give one of them.")
    wanted = asked.styles or REFERENCES
    files = find_inputs(asked.style, loaded, wanted)
    parts = [x for _, x in files.batches()]
    if not parts:
        raise UserError(" ".join(["style= names no image that can be read.", *files.notes()]))
    return torch.cat(parts)[:wanted], files.notes()
