"""A third party's model: one file of its own, found through the entry-point group `gancli.plugins`."""

from dataclasses import dataclass

import torch
from torch import nn

from gancli.game.model import Model
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class ToyOptions:
    name: str
    hidden: int
    recipe: Recipe


@models.register("toygan", options=ToyOptions)
class ToyGAN(Model):
    needs_images = False

    def __init__(self, options, spec, objective):
        super().__init__(spec, objective)
        size = torch.Size(spec.shape).numel()
        self.generator = nn.Sequential(nn.Linear(4, options.hidden), nn.ReLU(), nn.Linear(options.hidden, size),
                                       nn.Unflatten(1, spec.shape))
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(size, options.hidden), nn.ReLU(),
                                    nn.Linear(options.hidden, 1), nn.Flatten(0))
        self.players = {"discriminator": [self.critic], "generator": [self.generator]}

    def player_loss(self, player, batch, progress):
        z = torch.randn(len(batch), 4, device=batch.real.device)
        if player == "discriminator":
            with torch.no_grad():
                fake = self.generator(z)
            return self.objective.discriminator(self.critic, (batch.real,), (fake,), progress.turns.get(player, 0))
        return self.objective.generator(self.critic, (self.generator(z),), (batch.real,))

    def draw_latents(self, n, generator):
        return torch.randn(n, 4, generator=generator)

    def generate(self, z):
        return self.generator(z)

    def showcase(self, fixed):
        return {"samples": self.generate(fixed.z)}
