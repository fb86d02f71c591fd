"""VAE/GAN: a VAE whose reconstructions are compared in the features of a discriminator (Larsen 2016, 1512.09300).

Three players with three losses, D_l the features of the discriminator's layer l, z the posterior's latent,
z_p the prior's:

    encoder         KL(q(z|x) || p(z)) + |D_l(x) - D_l(Dec(z))|^2 / 2
    decoder         w |D_l(x) - D_l(Dec(z))|^2 / 2 + (1 - w) (its loss in the adversarial rule)
    discriminator   its loss in the rule: x is real; Dec(z_p), and Dec(z) too, are fake

The reconstruction's gradient does not reach the discriminator, and that of the rule not the encoder.  Squares and
divergence are sums, so that w is small.  Networks, initial weights, optimizer (RMSprop), its first rate, w and the layer are
those of the authors' code (github.com/andersbll/autoencoding_beyond_pixels, cifar_aegan.py), and so is one pass of the
discriminator, with common batch statistics, over real and fake images, and another up to layer l over images and
reconstructions: in statistics of their own, one that is too dark would look like its image.  All players step together, from
gradients at one point, as there; a decoder's loss counts every fake once, so that two kinds weigh twice.

The code also balances the two sides, and so does this (model.equilibrium=0.68 with model.margin=0.35; null: nobody rests, as
in the paper): costs are -log D(x) and -log(1 - D) of fakes, averaged; the discriminator rests while either is below
equilibrium - margin, the decoder while either is above equilibrium + margin, and nobody if both would.  Neither weights nor
optimizer state of who rests move.  Without it the discriminator wins at these rates within a few thousand images, and samples
go gray.  Rules whose costs are no logarithms of a probability (hinge, wgan, ...) have no balance.

Differs from both: the decoder's rule does not saturate (loss=nonsaturating; loss=minimax is the paper's).  log(1 - D) has the
slope D, so that fakes that are surely known for such are hardly moved: after 90,000 images of Fashion-MNIST half the prior's
were one pattern of noise, at D = 0.001, and stayed it, while the others and the balance were well.

Differs from that code: the rate falls linearly to 0 (there along a power, from 0.025 to 1e-5 over the batch of 64), there is
no weight decay (1e-5 there), reconstructions and the prior's images are decoded in one pass, and logarithms need no
1e-3 in them.  Its settings for CIFAR-10 and CelebA take Dec(z_p) alone for fake (model.fakes=samples).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.phase import Phase, in_turn
from gancli.game.prior import Normal
from gancli.game.showcase import reconstructions
from gancli.losses.likelihood import normal_divergence
from gancli.losses.objective import Objective
from gancli.losses.output import Judged
from gancli.networks.layers import NORMS, statistics_kept
from gancli.networks.vaegan import LAYERS, ConvDecoder, ConvGaussianEncoder, FeatureDiscriminator
from gancli.options import Recipe
from gancli.ranks import shards
from gancli.registry import models

FAKES = ("both", "samples")
PROBABILITIES = ("minimax", "nonsaturating", "maximum_likelihood")  # rules whose logits are those of D
Scalars = dict[str, Tensor]


@dataclass
class VAEGANOptions:
    """Sizes, the layer whose features are compared, and how the losses are weighed."""

    name: str
    latent_size: int
    width: int  # channels of the encoder's first maps; the others are multiples
    feature_layer: int  # of the discriminator's convolutions, 1 to 4; 0: the image itself
    reconstruction_weight: float  # w in the decoder's loss
    fakes: str  # one of FAKES: what is fake beside the prior's samples
    equilibrium: float | None  # null: nobody rests
    margin: float
    discriminator_norm: str
    recipe: Recipe

    def __post_init__(self) -> None:
        check_range("model.latent_size", self.latent_size, 1)
        check_range("model.width", self.width, 1)
        check_range("model.feature_layer", self.feature_layer, 0, LAYERS)
        check_range("model.reconstruction_weight", self.reconstruction_weight, 0, 1)
        check_range("model.equilibrium", self.equilibrium, 0, open_low=True)
        check_range("model.margin", self.margin, 0)
        check_choice("model.fakes", self.fakes, FAKES)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)


@models.register("vaegan", options=VAEGANOptions)
class VAEGAN(Model):
    """Encoder, decoder and discriminator, who learn at one point and then step."""

    needs = Needs(min_side=8)
    losses = (*PROBABILITIES, "lsgan", "hinge", "wgan", "fgan")  # rpgan pairs each real image with one fake
    refuses_augment = "an image and its reconstruction would be changed apart before their features are compared"
    small = {"latent_size": 6, "width": 8}
    variants = ({}, {"fakes": "samples"})

    def __init__(self, options: VAEGANOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        objective.together = True
        self.options = options
        self.equilibrium = options.equilibrium if objective.options.rule in PROBABILITIES else None
        self.prior = Normal(options.latent_size)
        self.encoder = ConvGaussianEncoder(spec.shape, options.width, options.latent_size)
        self.decoder = ConvDecoder(options.latent_size, spec.shape, options.width)
        self.discriminator = FeatureDiscriminator(spec.shape, options.width, options.discriminator_norm,
                                                  options.feature_layer)
        self.players = {"encoder": [self.encoder], "decoder": [self.decoder], "discriminator": [self.discriminator]}

    def phase(self, progress: Progress, default: Phase) -> Phase:
        """All players step from one point; a discriminator of several turns takes them by itself."""
        if len(default.turns) > len(self.players):
            return default
        return in_turn(list(self.players), together=True)

    def prepare(self, batch: Batch) -> "Decoded":
        return self._decoded(batch.real, detach=True)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        x, prepared = batch.real, batch.prepared
        if player == "encoder":
            return self._encoder_loss(x, self._posterior(x) if prepared is None else prepared.posterior)
        if player not in self.players:
            raise no_loss_for(player, self)
        made = self._decoded(x) if prepared is None else prepared
        if player == "decoder":
            return self._decoder_loss(x, made)
        fake = made.fake if prepared is None else made.fake.detach()  # its graph is the decoder's
        judged = self.objective.discriminator(self.discriminator, (x,), (fake,), progress.turns.get(player, 0))
        return self._unless_resting(judged.loss, judged, player)

    def _encoder_loss(self, x: Tensor, posterior: "Posterior") -> tuple[Tensor, Scalars]:
        divergence = normal_divergence(posterior.mean, posterior.log_variance).mean()
        with statistics_kept(self.decoder):  # they are those of the pass over both kinds
            distance = self._distance(x, self.decoder(posterior.z))
        return divergence + distance, {"kl": divergence.detach(), "feature_distance": distance.detach()}

    def _decoder_loss(self, x: Tensor, made: "Decoded") -> tuple[Tensor, Scalars]:
        judged = self.objective.generator(self.discriminator, (made.fake,), (x,))
        distance, weight = self._distance(x, made.reconstruction), self.options.reconstruction_weight
        kinds = len(made.fake) // len(x)
        loss, scalars = self._unless_resting(weight * distance + (1 - weight) * kinds * judged.loss, judged, "decoder")
        return loss, scalars | {"feature_distance": distance.detach()}

    def _distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return half the squared distance of the features of x and y [N, C, H, W], its mean over the examples."""
        one, two = self.discriminator.features(torch.cat((x, y.to(x.dtype)))).float().chunk(2)
        return 0.5 * (one - two).square().flatten(1).sum(1).mean()

    def _unless_resting(self, loss: Tensor, judged: Judged, player: str) -> tuple[Tensor, Scalars]:
        """Return the loss, or its zero where the player rests, and the scalars of what was judged."""
        if self.equilibrium is None:
            return loss, judged.scalars
        assert judged.real is not None  # real and fake are judged together
        costs = torch.stack((softplus(-judged.real.logits.detach()).mean(), softplus(judged.fake.logits.detach()).mean()))
        shards.average(costs)
        rests = resting(costs, self.equilibrium, self.options.margin)[player]
        return loss * (~rests), judged.scalars | {"rests": rests.float()}

    # What the networks say

    def _posterior(self, x: Tensor) -> "Posterior":
        mean, log_variance = (part.to(x.dtype) for part in self.encoder(x))
        return Posterior(mean, log_variance, mean + (log_variance / 2).exp() * self.prior.like(x))

    def _decoded(self, x: Tensor, detach: bool = False) -> "Decoded":
        """Return what encoder and decoder make of examples; detached, the decoder's graph ends at the latents."""
        posterior = self._posterior(x)
        z = posterior.z.detach() if detach else posterior.z
        both = self.decoder(torch.cat((z, self.prior.like(x))))
        return Decoded(posterior, both[:len(x)], both if self.options.fakes == "both" else both[len(x):])

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, Z] of the prior, on the CPU."""
        return self.prior.draw(n, generator)

    def generate(self, z: Tensor) -> Tensor:
        """Return the images that the latents [N, Z] stand for."""
        return self.decoder(z)

    def encode(self, x: Tensor) -> Tensor:
        """Return the means of q(z|x), [N, Z]."""
        return self.encoder(x)[0]

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the images that the means of q(z|x) stand for."""
        return self.generate(self.encode(x))

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # the prior is there to be drawn from
        return {"samples": self.generate(fixed.z), "reconstructions": reconstructions(self, fixed)}


class Posterior(NamedTuple):
    """q(z|x) of examples and a latent of it for each, [N, Z]."""

    mean: Tensor
    log_variance: Tensor
    z: Tensor


class Decoded(NamedTuple):
    """What was made of a batch."""

    posterior: Posterior
    reconstruction: Tensor  # [N, C, H, W]
    fake: Tensor  # what the discriminator is to know from real images, [N, C, H, W] or [2 N, C, H, W]


def resting(costs: Tensor, equilibrium: float, margin: float) -> dict[str, Tensor]:
    """Return who has no step, for the mean costs [2] of real and of fake images: one, the other or nobody."""
    discriminator, decoder = (costs < equilibrium - margin).any(), (costs > equilibrium + margin).any()
    return {"discriminator": discriminator & ~decoder, "decoder": decoder & ~discriminator}
