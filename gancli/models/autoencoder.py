"""The plain autoencoder: codes from which examples can be rebuilt; no law of the codes, and so nothing to sample from.

The networks of `vae` with a code in place of a posterior, trained for the reconstruction alone: with the one beside the
other, what the divergence from the prior costs and gives shows.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.backbone import BACKBONES, check_backbone_data
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.showcase import reconstructions
from gancli.losses.likelihood import LIKELIHOODS, check_likelihood_data, likelihood_of
from gancli.losses.objective import Objective
from gancli.networks.autoencoder import ConvDecoder, ConvReader, MLPDecoder, MLPReader
from gancli.options import Recipe
from gancli.registry import models


@dataclass
class AutoencoderOptions:
    """An encoder and a decoder that mirrors it."""

    name: str
    backbone: str  # mlp, or conv: DCGAN's generator for the decoder, the body of its discriminator for the encoder
    likelihood: str  # bernoulli: cross-entropy of images; gaussian: half the squared distance, for points, too
    latent_size: int
    units: int  # mlp: of every hidden layer
    layers: int  # mlp: hidden layers of each network
    width: int  # conv: channels of the largest maps
    recipe: Recipe

    def __post_init__(self) -> None:
        check_networks(self)


def check_networks(options: Any) -> None:
    """Raise a ValueError for options of the networks that are out of range."""
    check_choice("model.backbone", options.backbone, BACKBONES)
    check_choice("model.likelihood", options.likelihood, LIKELIHOODS)
    for key in ("latent_size", "units", "layers", "width"):
        check_range(f"model.{key}", getattr(options, key), 1)


@models.register("autoencoder", options=AutoencoderOptions)
class Autoencoder(Model):
    """One player, who has both networks; its loss is -log p(x | code) in nats, of unit deviation where it is Gaussian."""

    discriminators = ()
    losses = ()
    needs = Needs(kinds=("images", "points"), min_side=1)
    small = {"latent_size": 6, "units": 16, "width": 4}
    variants = ({}, {"backbone": "conv"}, {"likelihood": "gaussian"})

    def __init__(self, options: Any, spec: DataSpec, objective: Objective, outputs: int = 1, std: float | None = 1.0) -> None:
        """Create the networks.

        Args:
            outputs: of the encoder for each number of the code.
            std: of a Gaussian likelihood; None: it is learned.
        """
        super().__init__(spec, objective)
        coders = _mlp if options.backbone == "mlp" else _conv
        self.encoder, self.decoder = coders(options, spec, outputs * options.latent_size)
        self.likelihood = likelihood_of(options.likelihood, spec.is_image, std)
        self.players = {"autoencoder": [self.encoder, self.decoder, self.likelihood]}

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        check_backbone_data(options.name, options.backbone, spec)
        check_likelihood_data(options.name, options.likelihood, spec.is_image)

    def begin(self, reference: Batch) -> None:
        super().begin(reference)
        self.likelihood.begin(reference.real)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if player not in self.players:
            raise no_loss_for(player, self)
        loss = self.likelihood.nats(self.decoder(self.encode(batch.real)), batch.real).mean()
        return loss, {"reconstruction": loss.detach()}

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes of examples, [N, Z]."""
        return self.encoder(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return examples as their codes tell them."""
        return self.likelihood.mean(self.decoder(self.encode(x)))

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {"reconstructions": reconstructions(self, fixed)}


def _mlp(options: Any, spec: DataSpec, outputs: int) -> tuple[nn.Module, nn.Module]:
    return (MLPReader(spec.shape, options.units, options.layers, spec.is_image, outputs),
            MLPDecoder(options.latent_size, options.units, options.layers, spec.shape))


def _conv(options: Any, spec: DataSpec, outputs: int) -> tuple[nn.Module, nn.Module]:
    return ConvReader(spec.shape, options.width, outputs), ConvDecoder(options.latent_size, spec.shape, options.width)
