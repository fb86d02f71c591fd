"""The variational autoencoder (Kingma 2014, 1312.6114): the bound on the likelihood that GANs are set against.

Sizes, initial weights (torch's), Adam and the length are those of the PyTorch example (github.com/pytorch/examples, vae).
The paper has 500 tanh units, weights from N(0, 0.01) and Adagrad.  Its Gaussian decoder gives each value a deviation of
its own (appendix C.2), which has no bound where a pixel never changes; here one deviation serves all values.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_range
from gancli.game.model import Fixed, Progress, no_loss_for
from gancli.game.prior import Normal
from gancli.losses.likelihood import normal_divergence
from gancli.losses.objective import Objective
from gancli.models.autoencoder import Autoencoder, check_networks
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class VAEOptions:
    """An encoder with mean and log variance for its outputs, and a decoder that mirrors it."""

    name: str
    backbone: str  # mlp, or conv: DCGAN's generator for the decoder, the body of its discriminator for the encoder
    likelihood: str  # bernoulli (images alone) or gaussian
    sigma: float | None  # deviation of likelihood=gaussian, of images in [0, 1]; null: learned
    latent_size: int
    units: int  # mlp: of every hidden layer
    layers: int  # mlp: hidden layers of each network
    width: int  # conv: channels of the largest maps
    recipe: Recipe

    def __post_init__(self) -> None:
        check_networks(self)
        check_range("model.sigma", self.sigma, 0, open_low=True)


@models.register("vae", options=VAEOptions)
class VAE(Autoencoder):
    """q(z|x) is normal with an independent deviation for each latent; one z of it for each example (eq. 10)."""

    variants = ({}, {"backbone": "conv"}, {"likelihood": "gaussian"}, {"likelihood": "gaussian", "sigma": 0.1})

    def __init__(self, options: VAEOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(options, spec, objective, outputs=2, std=options.sigma)
        self.prior = Normal(options.latent_size)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if player not in self.players:
            raise no_loss_for(player, self)
        mean, log_variance = self.posterior(batch.real)
        z = mean + (log_variance / 2).exp() * self.prior.like(batch.real)
        reconstruction = self.likelihood.nats(self.decoder(z), batch.real).mean()
        divergence = normal_divergence(mean, log_variance).mean()
        loss = reconstruction + divergence
        return loss, {"bound": -loss.detach(), "reconstruction": reconstruction.detach(), "kl": divergence.detach()}

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of q(z|x), [N, Z] each, in the examples' precision."""
        return self.encoder(x).to(x.dtype).chunk(2, dim=1)

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, Z] of the prior, on the CPU."""
        return self.prior.draw(n, generator)

    def generate(self, z: Tensor) -> Tensor:
        """Return the means of p(x|z): what the decoder says without the noise of its values."""
        return self.likelihood.mean(self.decoder(z))

    def encode(self, x: Tensor) -> Tensor:
        """Return the means of q(z|x), [N, Z]."""
        return self.posterior(x)[0]

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {"samples": self.generate(fixed.z), **super().showcase(fixed)}
