"""What a model makes of held-out examples beside what it should have made: translated pairs, enlarged images, filled holes.

Legend: N batch, C channels, H height, W width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from gancli.game.abilities import able
from gancli.metrics.context import Context

Pairs = Iterator[tuple[Tensor, Tensor]]


def made_and_wanted(context: Context, most: int) -> tuple[str, Pairs]:
    """Return in a word what is compared, and batches of images made and wanted [N, C, H, W] in [-1, 1], so many at most."""
    model = context.sampler.model
    held = context.test_data
    random = torch.Generator().manual_seed(context.seed)
    rows = torch.randperm(held.counts[context.domain], generator=random)[:most]
    parts = rows.split(context.sampler.batch_size)
    if able(model, "upscale"):
        return "enlarged images", ((model.upscale(model.low_of(*held.domains(part))), held.examples(part)) for part in parts)
    if able(model, "inpaint"):
        return "whole images with filled holes", _filled(context, rows)
    to = held.spec.domains[context.domain]
    return "translations", ((model.translate(held.examples(part, 1 - context.domain), to), held.examples(part, context.domain))
                            for part in parts)


def _filled(context: Context, rows: Tensor) -> Pairs:
    sampler, start = context.sampler, 0
    held = context.test_data
    for part in rows.split(sampler.batch_size):
        x = held.examples(part)
        mask = sampler.holes_at(start, start + len(part)).to(x.device)
        start += len(part)
        yield sampler.model.inpaint(x, mask), x
