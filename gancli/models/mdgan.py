"""Mode-regularized GANs: an encoder leads the generator back to every real example (Che 2017, 1612.02136).

Two systems of the paper (sections 3.1 and 3.2), by model.form:

- regularized: one discriminator on real examples x and generated ones G(z).  Encoder and generator also minimize
  lambda_distance |x - G(E(x))|^2 - lambda_mode log D(G(E(x))).
- diffusion: two discriminators in a round of two steps.  In the manifold step D1 tells x from G(E(x)), and encoder and
  generator, both at once, minimize |x - G(E(x))|^2 - lambda_manifold log D1(G(E(x))).  In the diffusion step, on another
  batch, D2 tells G(E(x)), its "real" examples, from G(z), and the generator minimizes - log D2(G(z)).

The sign of lambda_mode's term: printed is + lambda_2 log D(G(E(x))) in losses that are minimized, which would have
reconstructions judged fake; the text wants them judged real, and so it is here.

The logarithms are those of loss=nonsaturating, the default; any loss takes their place.  No code of the authors is known:
networks, rates and the order of turns are ours (discriminator, encoder, generator; the two steps as above).  The distance is
summed over an example's values, images in [-1, 1].
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.backbone import check_backbone, check_backbone_data
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.phase import Phase, Turn
from gancli.game.prior import Normal
from gancli.game.showcase import reconstructions
from gancli.losses.objective import Objective
from gancli.networks.autoencoder import ConvReader, MLPReader
from gancli.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gancli.networks.initialization import he_init
from gancli.networks.layers import statistics_kept
from gancli.networks.mlp import MLPDiscriminator, MLPGenerator
from gancli.options import Recipe
from gancli.registry import models

FORMS = ("regularized", "diffusion")
SECOND = "diffusion_discriminator"  # the player of the diffusion step
MANIFOLD = "manifold"  # the part of the generator's loss that it minimizes together with the encoder
Scalars = dict[str, Tensor]


@dataclass
class MDGANOptions:
    """DCGAN's networks, or MLPs; the encoder mirrors the generator."""

    name: str
    form: str  # one of FORMS
    backbone: str  # conv or mlp
    latent_size: int
    units: int  # mlp: of every hidden layer
    layers: int  # mlp: hidden layers of each network
    width: int  # conv: channels of the largest maps
    discriminator_norm: str  # batch, layer, instance (conv only) or none
    lambda_distance: float  # regularized: weight of the squared distance (the paper's lambda_1)
    lambda_mode: float  # regularized: weight of the reconstructions' part of the game (lambda_2)
    lambda_manifold: float  # diffusion: weight of the manifold step's game beside the distance (lambda)
    recipe: Recipe

    def __post_init__(self) -> None:
        check_choice("model.form", self.form, FORMS)
        check_backbone(self.backbone, self.discriminator_norm)
        for key in ("latent_size", "units", "layers", "width"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("lambda_distance", "lambda_mode", "lambda_manifold"):
            check_range(f"model.{key}", getattr(self, key), 0)


@models.register("mdgan", options=MDGANOptions)
class MDGAN(Model):
    """A generator and an encoder against one discriminator, or against two that share no weight."""

    discriminators = ("discriminator", SECOND)
    needs = Needs(kinds=("images", "points"), min_side=1)
    small = {"latent_size": 6, "units": 16, "width": 4}
    variants = ({}, {"backbone": "mlp"}, {"form": "diffusion"})

    def __init__(self, options: MDGANOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        self.options, self.prior = options, Normal(options.latent_size)
        networks = _mlp if options.backbone == "mlp" else _conv
        self.generator, self.encoder, self.discriminator = networks(options, spec)
        self.players = {"discriminator": [self.discriminator], "encoder": [self.encoder], "generator": [self.generator]}
        self.second = None
        if options.form == "diffusion":
            self.second = networks(options, spec)[2]
            self.players = {**self.players, SECOND: [self.second]}
        else:
            self.discriminators = ("discriminator",)

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        check_backbone_data(options.name, options.backbone, spec)

    def phase(self, progress: Progress, default: Phase) -> Phase:
        """The regularized form is played as ever; the other one's round has two steps, each on batches of its own."""
        if self.second is None:
            return default
        times = sum(turn.player == "discriminator" for turn in default.turns)
        manifold = [Turn("discriminator", True)] * times
        manifold += [Turn("encoder", False, together=True), Turn("generator", False, part=MANIFOLD)]
        diffusion = [Turn(SECOND, True)] * (times - 1) + [Turn(SECOND, True, shared=True), Turn("generator", False)]
        return Phase((*manifold, *diffusion), full_steps=True)

    def prepare(self, batch: Batch) -> Tensor:
        return self.generate(self.prior.like(batch.real))

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        turn = progress.turns.get(player, 0)
        if player == "encoder":
            return self._return(batch)
        if player == "generator":
            return self._generators_loss(batch)
        if player == "discriminator":
            fake = self._made(batch, detached=True) if self.second is None else self._led_back(batch)
            judged = self.objective.discriminator(self.discriminator, (batch.real,), (fake,), turn)
        elif player == SECOND and self.second is not None:
            real, fake = self._led_back(batch), self._made(batch, detached=True)
            judged = self.objective.discriminator(self.second, (real,), (fake,), turn)
        else:
            raise no_loss_for(player, self)
        return judged.loss, judged.scalars

    def part_loss(self, part: str, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        if (part, player) == (MANIFOLD, "generator") and self.second is not None:
            return self._return(batch)
        return super().part_loss(part, player, batch, progress)

    def _made(self, batch: Batch, detached: bool = False) -> Tensor:
        """Return examples of new latents, or those that the turns on this batch share."""
        if batch.prepared is None:
            return self.prepare(batch)
        return batch.prepared.detach() if detached else batch.prepared  # its graph is the generator's

    def _led_back(self, batch: Batch) -> Tensor:
        """Return G(E(x)) of a training batch, of which the generator's running statistics learn nothing.

        Encodings are not spread as the prior is: statistics of both would fit neither, least of all the samples.
        """
        with statistics_kept(self.generator):
            return self.reconstruct(batch.real)

    def _generators_loss(self, batch: Batch) -> tuple[Tensor, Scalars]:
        fake = self._made(batch)
        if self.second is not None:
            judged = self.objective.generator(self.second, (fake,), (self._led_back(batch),))
            return judged.loss, judged.scalars
        judged = self.objective.generator(self.discriminator, (fake,), (batch.real,))
        back, scalars = self._return(batch)
        return judged.loss + back, judged.scalars | {"distance": scalars["distance"], "mode": scalars["adversarial"]}

    def _return(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """Return what encoder and generator minimize for the way back to real examples, and its parts."""
        options = self.options
        back = self._led_back(batch)
        distance = (batch.real - back.to(batch.real.dtype)).square().flatten(1).sum(1).mean()
        judged = self.objective.generator(self.discriminator, (back,), (batch.real,))
        of_distance, of_game = (options.lambda_distance, options.lambda_mode) if self.second is None else (
            1.0, options.lambda_manifold)
        return of_distance * distance + of_game * judged.loss, judged.scalars | {"distance": distance.detach()}

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, Z] of the prior, on the CPU."""
        return self.prior.draw(n, generator)

    def generate(self, z: Tensor) -> Tensor:
        """Return the examples of latents [N, Z]."""
        return self.generator(z)

    def encode(self, x: Tensor) -> Tensor:
        """Return the latents of examples, [N, Z]."""
        return self.encoder(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return G(E(x))."""
        return self.generate(self.encode(x))

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # it draws latents
        return {"samples": self.generate(fixed.z), "reconstructions": reconstructions(self, fixed)}


def _mlp(options: MDGANOptions, spec: DataSpec) -> tuple[nn.Module, nn.Module, nn.Module]:
    units, layers, unit_range = options.units, options.layers, spec.is_image
    networks = (MLPGenerator(options.latent_size, units, layers, spec.shape, unit_range),
                MLPReader(spec.shape, units, layers, unit_range, options.latent_size),
                MLPDiscriminator(spec.shape, units, layers, unit_range, options.discriminator_norm))
    for network in networks:
        he_init(network)
    return networks


def _conv(options: MDGANOptions, spec: DataSpec) -> tuple[nn.Module, nn.Module, nn.Module]:
    return (DCGANGenerator(options.latent_size, spec.shape, options.width),
            ConvReader(spec.shape, options.width, options.latent_size),
            DCGANDiscriminator(spec.shape, options.width, options.discriminator_norm))
