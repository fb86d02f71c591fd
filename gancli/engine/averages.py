"""The exponential moving average of the weights that samples are drawn from."""

import copy

import torch
from torch import Tensor

from gancli.game.model import Model, Progress

RAMP_UP = 0.05  # the half-life is at most this fraction of the images shown so far (Karras 2020, ADA, appendix)


class Average:
    """A copy of the model in which all networks but the discriminator's follow slowly.

    Floating buffers (batch statistics) follow like the weights; the discriminator is shared, not copied, so
    switch the copy between training and evaluation only for as long as it is looked at.
    """

    def __init__(self, model: Model, half_life_kimg: float) -> None:
        shared = {id(m): m for name, ms in model.players.items() if name == "discriminator" for m in ms}
        shared[id(model.objective)] = model.objective
        self.model = copy.deepcopy(model, shared)
        self.half_life_images = 1000 * half_life_kimg
        still = {id(t) for m in model.players.get("discriminator", []) for t in (*m.parameters(), *m.buffers())}
        pairs = [(name, mine, theirs) for (name, mine), theirs in
                 zip(self._tensors(self.model), dict(self._tensors(model)).values(), strict=True) if id(theirs) not in still]
        self.names = [name for name, _, _ in pairs]
        self.mine = [mine for _, mine, _ in pairs]
        self.theirs = [theirs for _, _, theirs in pairs]
        self.floating = [i for i, tensor in enumerate(self.mine) if tensor.is_floating_point()]

    @staticmethod
    def _tensors(model: Model) -> list[tuple[str, Tensor]]:
        return [*model.named_parameters(), *model.named_buffers()]

    @torch.no_grad()
    def update(self, images: int, progress: Progress) -> None:
        """Move towards the model's weights after a round that showed so many images."""
        half_life = max(min(self.half_life_images, progress.images * RAMP_UP), 1e-8)
        mine, theirs = [self.mine[i] for i in self.floating], [self.theirs[i] for i in self.floating]
        torch._foreach_lerp_(mine, theirs, 1 - 0.5 ** (images / half_life))
        for i in set(range(len(self.mine))) - set(self.floating):
            self.mine[i].copy_(self.theirs[i])

    def tensors(self) -> dict[str, Tensor]:
        """Return the averaged tensors by their names in the model."""
        return dict(zip(self.names, self.mine, strict=True))

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        for name, mine in zip(self.names, self.mine, strict=True):
            mine.copy_(tensors[name])
