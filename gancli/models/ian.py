"""IAN: a discriminator's features are the encoder's input, and images are compared in them (Brock 2017, 1609.07093).

A trunk of convolutions has two heads, a verdict among three kinds of images and the latent's law q(z|x) = N(mean, deviation).
With a decoder Dec, x' = Dec(z), z of q(z|x), and x_p = Dec(z_p), z_p of the prior N(0, 1):

    discriminator   (trunk, verdict)       CE(x, real) + CE(x', reconstructed) + CE(x_p, generated) + lambda_orthogonal R
    autoencoder     (latent heads, Dec)    lambda_adversarial (CE(x', real) + CE(x_p, real)) + lambda_pixel mean 2 |x' - x|
                                           + lambda_feature (mean over the trunk's layers of their mean squared difference)
                                           + lambda_kl KL(q(z|x) || N(0, 1)) / Z + lambda_orthogonal R + decay |heads|^2

The trunk learns from the verdicts alone.  R is `distance_from_orthogonal` of the player's convolutions.  Networks (dilated
blocks, channels that see those before them, minibatch discrimination), weights, Adam and the batch of 16 are those of the
authors' code (github.com/ajbrock/Neural-Photo-Editor, IAN.py and train_IAN.py).  The ternary game is inseparable from
the system: it brings its own loss.

Differs from that code: no inverse autoregressive flow between q(z|x) and the decoder (the code's is random and never
trained); the players take turns on one batch, where there discriminator and decoder have every second one, and the latent
heads step once a round and not with both; the rate falls linearly after 31 % of the run (there to a half, a quarter and a
twentieth after 25, 50 and 75 of 80 epochs); running statistics of the trunk, by which it encodes after training, are of
real images alone; reconstructions and the prior's images are decoded in one pass, so that its batch statistics, and the
running ones afterwards, fit both.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_range
from gancli.game.model import Fixed, Model, Progress, no_loss_for
from gancli.game.prior import Normal
from gancli.game.showcase import reconstructions
from gancli.losses.likelihood import normal_divergence
from gancli.losses.objective import Objective
from gancli.losses.ternary import share_of_real, ternary_discrimination, ternary_generation
from gancli.networks.ian import IANDecoder, LatentHeads, Trunk, Verdict, distance_from_orthogonal
from gancli.networks.layers import statistics_kept
from gancli.options import Recipe
from gancli.registry import models

Maps = tuple[Tensor, ...]  # [N, F, h, w] of every layer of the trunk
Scalars = dict[str, Tensor]


@dataclass
class IANOptions:
    """The widths of the networks, and how the losses are weighed."""

    name: str
    latent_size: int
    width: int  # of the first maps of the trunk, and of the decoder's last
    units: int  # of the hidden layer between the trunk and the latent
    minibatch_kernels: int
    lambda_pixel: float
    lambda_feature: float
    lambda_adversarial: float
    lambda_kl: float
    lambda_orthogonal: float
    decay: float  # times the squared weights of the latent heads
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("latent_size", "width", "units", "minibatch_kernels"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("pixel", "feature", "adversarial", "kl", "orthogonal"):
            check_range(f"model.lambda_{key}", getattr(self, f"lambda_{key}"), 0)
        check_range("model.decay", self.decay, 0)


@models.register("ian", options=IANOptions)
class IAN(Model):
    """Trunk and verdict against latent heads and decoder; normal latents."""

    averaged = ("discriminator",)  # its trunk encodes
    losses = ()
    refuses_augment = "an image and its reconstruction would be changed apart before their features are compared"
    small = {"latent_size": 6, "width": 4, "units": 8, "minibatch_kernels": 4}

    def __init__(self, options: IANOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        self.options = options
        self.prior = Normal(options.latent_size)
        self.trunk = Trunk(spec.shape, options.width)
        self.verdict = Verdict(self.trunk.top[0], options.minibatch_kernels)
        self.heads = LatentHeads(self.trunk.top, options.units, options.latent_size)
        self.decoder = IANDecoder(options.latent_size, spec.shape, options.width)
        self.players = {"discriminator": [self.trunk, self.verdict], "autoencoder": [self.heads, self.decoder]}

    def logit_networks(self) -> list[nn.Module]:
        return [self.verdict]

    def prepare(self, batch: Batch) -> "Decoded":
        return self._decoded(batch.real, self.trunk(batch.real))

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        if player not in self.players:
            raise no_loss_for(player, self)
        maps = self.trunk(batch.real)
        made = self._decoded(batch.real, maps) if batch.prepared is None else batch.prepared
        if player == "autoencoder":
            return self._autoencoder_loss(batch.real, maps, made)
        if batch.prepared is not None:  # its graph is the autoencoder's
            made = Decoded(*(part.detach() for part in made))
        return self._discriminator_loss(maps, made)

    def _discriminator_loss(self, maps: Maps, made: "Decoded") -> tuple[Tensor, Scalars]:
        real, again, drawn = map(self._verdict, (maps, self._of_fakes(made.reconstruction), self._of_fakes(made.sample)))
        adversarial = ternary_discrimination(real, again, drawn)
        loss = adversarial + self.options.lambda_orthogonal * distance_from_orthogonal(self.trunk)
        return loss, {"adversarial": adversarial.detach(), "D(x)": share_of_real(real.detach()),
                      "D(G(z))": share_of_real(drawn.detach()), "D(reconstruction)": share_of_real(again.detach())}

    def _autoencoder_loss(self, x: Tensor, maps: Maps, made: "Decoded") -> tuple[Tensor, Scalars]:
        options = self.options
        maps_again = self._of_fakes(made.reconstruction)
        again, drawn = self._verdict(maps_again), self._verdict(self._of_fakes(made.sample))
        adversarial = ternary_generation(again, drawn)
        pixel = 2 * (made.reconstruction.float() - x).abs().mean()
        feature = feature_error(maps, maps_again)
        divergence = normal_divergence(made.mean, 2 * made.log_std).mean() / options.latent_size
        loss = (options.lambda_adversarial * adversarial + options.lambda_pixel * pixel + options.lambda_feature * feature
                + options.lambda_kl * divergence + options.lambda_orthogonal * distance_from_orthogonal(self.decoder)
                + options.decay * self.heads.squared_weights())
        return loss, {"adversarial": adversarial.detach(), "D(G(z))": share_of_real(drawn.detach()), "pixel": pixel.detach(),
                      "feature": feature.detach(), "kl": divergence.detach()}

    # What the networks say

    def _verdict(self, maps: Maps) -> Tensor:
        """Return the logits [N, 3] of what the trunk made of images, float32."""
        return self.verdict(maps[-1]).float()

    def _of_fakes(self, x: Tensor) -> Maps:
        """Return what the trunk makes of images that are not real, which its running statistics pass over."""
        with statistics_kept(self.trunk):
            return self.trunk(x)

    def _decoded(self, x: Tensor, maps: Maps) -> "Decoded":
        """Return reconstructions of x, and as many samples; no gradient goes through the latent to the trunk."""
        mean, log_std = (part.to(x.dtype) for part in self.heads(maps[-1].detach()))
        z = mean + log_std.exp() * self.prior.like(x)
        return Decoded(mean, log_std, *self.decoder(torch.cat((z, self.prior.like(x)))).chunk(2))

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, Z] of the prior, on the CPU."""
        return self.prior.draw(n, generator)

    def generate(self, z: Tensor) -> Tensor:
        """Return the images that the latents [N, Z] stand for."""
        return self.decoder(z)

    def encode(self, x: Tensor) -> Tensor:
        """Return the means of q(z|x), [N, Z]."""
        return self.heads(self.trunk(x)[-1])[0]

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the images that the means of q(z|x) stand for."""
        return self.generate(self.encode(x))

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # the prior is there to be drawn from
        return {"samples": self.generate(fixed.z), "reconstructions": reconstructions(self, fixed)}


class Decoded(NamedTuple):
    """What was made of a batch."""

    mean: Tensor  # of q(z|x), [N, Z]
    log_std: Tensor  # of its deviation
    reconstruction: Tensor  # [N, C, H, W]
    sample: Tensor  # from the prior


def feature_error(one: Maps, other: Maps) -> Tensor:
    """Return the mean over layers of the mean squared difference of their maps."""
    return torch.stack([(a.float() - b.float()).square().mean() for a, b in zip(one, other, strict=True)]).mean()
