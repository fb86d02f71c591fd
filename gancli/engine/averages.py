"""The exponential moving average of the weights that samples are drawn from."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gancli.game.model import Model, Progress


class Average:
    """A copy of the model in which all networks but those that only discriminate follow slowly.

    Batch statistics follow like the weights; all other buffers are the model's own, copied after every round.  What only
    discriminates, and the objective, is shared and not copied, so switch the copy between training and evaluation only
    for as long as it is looked at.
    """

    def __init__(self, model: Model, half_life_kimg: float, ramp: float | None = 0.05) -> None:
        """Copy what follows.

        Args:
            ramp: the half-life is at most this fraction of the images shown so far (Karras 2020, ADA, appendix); None: it is
                what it is from the first round on, and the first weights are forgotten only after some half-lives.
        """
        judges = judging(model)
        shared = {id(module): module for module in (*judges, model.objective)}
        self.model = copy.deepcopy(model, shared)
        self.half_life_images, self.ramp = 1000 * half_life_kimg, ramp
        still = {id(t) for module in (*judges, model.objective) for t in (*module.parameters(), *module.buffers())}
        pairs = [(name, mine, theirs) for (name, mine), theirs in
                 zip(_tensors(self.model), dict(_tensors(model)).values(), strict=True)
                 if id(theirs) not in still and mine is not theirs]
        self.names = [name for name, _, _ in pairs]
        self.mine = [mine for _, mine, _ in pairs]
        self.theirs = [theirs for _, _, theirs in pairs]
        moving = {name for name, _ in model.named_parameters()} | statistics(model)
        follows = [name in moving and tensor.is_floating_point() for name, tensor in zip(self.names, self.mine, strict=True)]
        self.following = [i for i, follow in enumerate(follows) if follow]
        self.copied = [i for i, follow in enumerate(follows) if not follow]

    @torch.no_grad()
    def update(self, images: int, progress: Progress) -> None:
        """Move towards the model's weights after a round that showed so many images."""
        half_life = self.half_life_images
        if self.ramp is not None:
            half_life = max(min(half_life, progress.images * self.ramp), 1e-8)
        mine, theirs = [self.mine[i] for i in self.following], [self.theirs[i] for i in self.following]
        torch._foreach_lerp_(mine, theirs, 1 - 0.5 ** (images / half_life))
        for i in self.copied:
            self.mine[i].copy_(self.theirs[i])

    def tensors(self) -> dict[str, Tensor]:
        """Return the averaged tensors by their names in the model."""
        return dict(zip(self.names, self.mine, strict=True))

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        for name, mine in zip(self.names, self.mine, strict=True):
            mine.copy_(tensors[name])


def judging(model: Model) -> list[nn.Module]:
    """Return the networks that only discriminate: no other player has a part of them, and none is in use afterwards."""
    judging = [player for player in model.discriminators if player not in model.averaged]
    others = {id(t) for player, networks in model.players.items() if player not in judging
              for network in networks for t in (*network.parameters(), *network.buffers())}
    judges = [network for player in judging for network in model.players[player]]
    return [judge for judge in judges if not any(id(t) in others for t in (*judge.parameters(), *judge.buffers()))]


def _tensors(model: Model) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def statistics(model: Model) -> set[str]:
    """Return the names of batch statistics."""
    return {f"{name}.{key}" if name else key for name, module in model.named_modules() if isinstance(module, _BatchNorm)
            for key in ("running_mean", "running_var")}
