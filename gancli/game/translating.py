"""Translation among domains as everybody who looks at it does it: which images, into which domains, with which styles.

A model translates between the data's two domains, or among domains that labels or attributes tell of one set of images.
Only of the latter it must be asked which domains an image is in already.

Legend: N examples, C channels, H height, W width, Z latent size, T targets.
"""

from typing import Any

import torch
from torch import Tensor

from gancli.data.spec import Batch
from gancli.game.abilities import able
from gancli.game.model import Model

ROWS = 4096  # examples whose domains are looked at together: a number for each domain


def among_domains(model: Any) -> bool:
    """Whether a model translates among domains of one set of images, not between two sets."""
    return able(model, "translate") and len(model.spec.domains) == 1


def labeled_rows(data: Any, rows: Tensor) -> Batch:
    """Return what data tell of their examples at `rows` [N] but for the images themselves: labels and attributes."""
    return Batch((rows,), data.labels(rows) if data.spec.classes else None,
                 data.attributes(rows) if data.spec.attributes else None)


def sources(model: Model, data: Any, domain: str) -> tuple[Tensor, int]:
    """Return the rows [N] of the data whose images can be translated into a domain, and the place of the set they are in."""
    if not among_domains(model):
        other = 1 - model.spec.domains.index(domain)
        return torch.arange(data.counts[other]), other
    rows = torch.arange(data.counts[0])
    return rows[~model.shows(domain, labeled_rows(data, rows)).cpu()], 0


def next_targets(model: Model, batch: Batch, numbers: Tensor) -> Tensor:
    """Return a domain for each example that it is not in yet, in turn by its number: places in model.targets [N], on the CPU.

    Args:
        batch: with labels or attributes, which tell where examples are.
        numbers: [N], of the examples: every prefix of them meets all domains about alike.
    """
    return torch.cat([_next_targets(model, _taken(batch, rows), numbers[rows])
                      for rows in torch.arange(len(numbers)).split(ROWS)])


def _next_targets(model: Model, batch: Batch, numbers: Tensor) -> Tensor:
    inside = torch.stack([model.shows(domain, batch).cpu() for domain in model.targets], 1)  # [N, T]
    free = ~inside
    wanted = numbers % free.sum(1).clamp_min(1)  # of those that are free, this one
    return ((free.cumsum(1) == wanted[:, None] + 1) & free).float().argmax(1)


def _taken(batch: Batch, rows: Tensor) -> Batch:
    """Return some rows [n] of a batch, of what tells where its examples are."""
    labels, attributes = (None if whole is None else whole[rows.to(whole.device)]
                          for whole in (batch.labels, batch.attributes))
    return Batch((rows,), labels, attributes)


def translated(model: Model, x: Tensor, targets: Tensor, z: Tensor | None = None) -> Tensor:
    """Return images x [N, C, H, W] each as the domain `targets` [N] (places in model.targets, on the CPU) would show it.

    Args:
        z: latents [N, Z] of their styles, of a model that has some; None: the style that it takes where none is given.
    """
    made = torch.empty(x.shape, device=x.device, dtype=torch.float32)
    for place in targets.unique().tolist():
        mine, domain = (targets == place).nonzero()[:, 0].to(x.device), model.targets[place]
        style = () if z is None else (model.latent_style(z.to(x.device)[mine], domain),)
        made[mine] = model.translate(x[mine], domain, *style).float()
    return made
