"""What two-player systems share: a generator and a discriminator over uniform latents, one objective for both.

Legend: N batch, Z latent size.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.game.model import Fixed, Model, Progress, no_loss_for
from gancli.game.prior import Prior
from gancli.losses.objective import Objective
from gancli.losses.output import Output

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
                 prior: Prior) -> None:
        super().__init__(spec, objective)
        self.generator = generator
        self.discriminator = discriminator
        self.prior = prior
        self.players = {"discriminator": [discriminator], "generator": [generator]}

    def pairs(self, batch: Batch) -> tuple[Inputs, Inputs]:
        """Return the real and the fake inputs of `judge`."""
        return (batch.real,), (self.generate(self.latents_for(batch.real)),)

    def judge(self, x: Tensor) -> Tensor | Output:
        """Return the discriminator's logits [N], with its features where losses read them."""
        return self.discriminator(x)

    def generate(self, z: Tensor) -> Tensor:
        """Return the examples that the latents [N, Z] stand for."""
        return self.generator(z)

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, Z] of the prior, on the CPU."""
        return self.prior.draw(n, generator)

    def latents_for(self, x: Tensor) -> Tensor:
        """Return one latent for each example of x, from the global generator of its device."""
        return self.prior.like(x)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        real, fake = self.pairs(batch) if batch.prepared is None else batch.prepared
        if player == "discriminator":
            if batch.prepared is not None:  # its graph is the generator's
                real, fake = (tuple(x.detach() for x in inputs) for inputs in (real, fake))
            judged = self.objective.discriminator(self.judge, real, fake, progress.turns.get(player, 0),
                                                  self.penalty_factor(progress))
        elif player == "generator":
            judged = self.objective.generator(self.judge, fake, real, encoder=self.encoder_plays)
        else:
            raise no_loss_for(player, self)
        return judged.loss, judged.scalars

    def penalty_factor(self, progress: Progress) -> float:
        """Return what the weights of the loss's penalties are multiplied by at this point of the run."""
        return 1.0

    def prepare(self, batch: Batch) -> Any:  # a subclass with turns of its own shares what they read
        return self.pairs(batch)

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # a pair draws latents
        return {"samples": self.generate(fixed.z)}
