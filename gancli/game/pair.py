"""What two-player systems share: a generator and a discriminator over uniform latents, one objective for both.

Legend: N batch, Z latent size.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.game.model import Fixed, Model, Progress, no_loss_for
from gancli.losses.objective import Objective
from gancli.ranks import shards

Inputs = tuple[Tensor, ...]


class PairModel(Model):
    """A generator against a discriminator (Goodfellow 2014, algorithm 1).

    Subclasses define `pairs`, the discriminator's real and fake inputs for a batch, and `judge`, its logits.

    The generator's turn judges the examples that the discriminator has just been trained on, as the code published
    with Goodfellow 2014 and Donahue 2017 does, and DCGAN's port to Torch with PyTorch's example after it.  Algorithm 1,
    and the Theano code of Radford 2016 itself, draw new latents (trainer.reuse_generated=false), which takes one more pass
    of the generator.
    """

    encoder_plays: ClassVar[bool] = False  # the generator's player also makes the real inputs (BiGAN)

    def __init__(self, spec: DataSpec, objective: Objective, generator: nn.Module, discriminator: nn.Module,
                 latent_size: int, latent_range: tuple[float, float]) -> None:
        super().__init__(spec, objective)
        self.generator = generator
        self.discriminator = discriminator
        self.latent_size, self.latent_range = latent_size, latent_range
        self.players = {"discriminator": [discriminator], "generator": [generator]}
        self._prepared: tuple[Batch, tuple[Inputs, Inputs]] | None = None

    def pairs(self, batch: Batch) -> tuple[Inputs, Inputs]:
        """Return the real and the fake inputs of `judge`."""
        return (batch.real,), (self.generate(self.latents_for(batch.real)),)

    def judge(self, x: Tensor) -> Tensor:
        """Return the discriminator's logits, [N]."""
        return self.discriminator(x)

    def generate(self, z: Tensor) -> Tensor:
        """Return the examples that the latents [N, Z] stand for."""
        return self.generator(z)

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, Z], uniform in the latent range, on the CPU."""
        low, high = self.latent_range
        return low + (high - low) * torch.rand(n, self.latent_size, generator=generator)

    def latents_for(self, x: Tensor) -> Tensor:
        """Return one latent for each example of x, from the global generator of its device."""
        low, high = self.latent_range
        return low + (high - low) * shards.rand(len(x), self.latent_size, device=x.device)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if player == "discriminator":
            with torch.no_grad():
                real, fake = (tuple(x.detach() for x in inputs) for inputs in self._pairs(batch))
            return self.objective.discriminator(self.judge, real, fake, progress.turns.get(player, 0))
        if player == "generator":
            real, fake = self._pairs(batch)
            self._prepared = None  # its graph is used once
            return self.objective.generator(self.judge, fake, real, encoder=self.encoder_plays)
        raise no_loss_for(player, self)

    def prepare(self, batch: Batch) -> None:
        self._prepared = batch, self.pairs(batch)

    def _pairs(self, batch: Batch) -> tuple[Inputs, Inputs]:
        """Return what was prepared of this very batch, or pairs made now."""
        if self._prepared is not None and self._prepared[0] is batch:
            return self._prepared[1]
        return self.pairs(batch)

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {"samples": self.generate(fixed.z)}
