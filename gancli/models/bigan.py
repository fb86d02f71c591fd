"""Bidirectional GAN: an encoder plays with the generator, the discriminator judges pairs (x, z) (Donahue 2017).

The MLPs are those of the published code (github.com/jeffdonahue/bigan, net.py): the generator's hidden layers are
batch-normalized, the first one too, and z joins the second again; the discriminator sees z at its second layer only.
Older runs of ours had neither, and z at every layer of the discriminator (model.layout=plain).

Differs from the paper: the learning rate stays constant (the paper lets it fall to a hundredth in the second half of
400 epochs), players take turns (its code updates all networks at once), the last layers and those before no norm have
biases (--nobias there), and backbone=conv is DCGAN's, with z at every layer of the discriminator alone (there z joins all
layers but the first of the generator, too).
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_choice, check_range
from gancli.game.backbone import check_backbone, check_backbone_data
from gancli.game.model import Fixed, Needs
from gancli.game.pair import Inputs, PairModel
from gancli.game.prior import Uniform
from gancli.game.showcase import reconstructions
from gancli.losses.objective import Objective
from gancli.networks.convolution import check_kernel
from gancli.networks.dcgan import ConvEncoder, DCGANDiscriminator, DCGANGenerator
from gancli.networks.initialization import normal_init
from gancli.networks.mlp import MLPDiscriminator, MLPEncoder, MLPGenerator
from gancli.options import Recipe
from gancli.registry import models

LAYOUTS = ("published", "plain")


@dataclass(kw_only=True)
class BiGANOptions:
    """The paper's MLPs for permutation-invariant MNIST, or DCGAN's networks."""

    name: str
    backbone: str  # mlp (the paper's for MNIST) or conv
    latent_size: int
    units: int  # mlp: of every hidden layer
    layers: int  # mlp: hidden layers of each network
    width: int  # conv: channels of the largest maps
    discriminator_norm: str  # batch, layer, instance (conv only) or none
    layout: str = "plain"  # mlp: where z joins, published (the authors' code) or plain (checkpoints older than this option)
    kernel: int = 4  # conv: side of the convolutions: 5 (the paper) or 4; checkpoints older than this option have 4
    recipe: Recipe

    def __post_init__(self) -> None:
        check_backbone(self.backbone, self.discriminator_norm)
        check_choice("model.layout", self.layout, LAYOUTS)
        check_kernel("model.kernel", self.kernel)
        for key in ("latent_size", "units", "layers", "width"):
            check_range(f"model.{key}", getattr(self, key), 1)


@models.register("bigan", options=BiGANOptions)
class BiGAN(PairModel):
    """Real pairs are (x, E(x)), fake ones (G(z), z); G and E together try to make D confuse them (eq. 3)."""

    needs = Needs(kinds=("images", "points"), min_side=1)
    small = {"latent_size": 6, "units": 16, "width": 4}
    variants = ({}, {"backbone": "conv"})
    encoder_plays = True

    def __init__(self, options: BiGANOptions, spec: DataSpec, objective: Objective) -> None:
        generator, encoder, discriminator = (_mlp if options.backbone == "mlp" else _conv)(options, spec)
        super().__init__(spec, objective, generator, discriminator, Uniform(options.latent_size, low=-1.0, high=1.0))
        self.encoder = encoder
        self.players["generator"].append(encoder)

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        super().check_data(options, spec)
        check_backbone_data(options.name, options.backbone, spec)

    def pairs(self, batch: Batch) -> tuple[Inputs, Inputs]:
        z = self.latents_for(batch.real)
        return (batch.real, self.encode(batch.real)), (self.generate(z), z)

    def judge(self, x: Tensor, z: Tensor) -> Tensor:
        return self.discriminator(x, z)

    def encode(self, x: Tensor) -> Tensor:
        """Return the latents of examples, [N, Z] in [-1, 1]."""
        return self.encoder(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return G(E(x))."""
        return self.generate(self.encode(x))

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {"samples": self.generate(fixed.z), "reconstructions": reconstructions(self, fixed)}


def _mlp(options: BiGANOptions, spec: DataSpec) -> tuple[MLPGenerator, MLPEncoder, MLPDiscriminator]:
    units, layers = options.units, options.layers
    published = options.layout == "published"
    networks = (MLPGenerator(options.latent_size, units, layers, spec.shape, spec.is_image, "batch", rejoined=published),
                MLPEncoder(spec.shape, units, layers, spec.is_image, options.latent_size),
                MLPDiscriminator(spec.shape, units, layers, spec.is_image, options.discriminator_norm,
                                 condition_size=options.latent_size, condition_from=int(published)))
    for network in networks:
        normal_init(network)
    return networks


def _conv(options: BiGANOptions, spec: DataSpec) -> tuple[DCGANGenerator, ConvEncoder, DCGANDiscriminator]:
    return (DCGANGenerator(options.latent_size, spec.shape, options.width, options.kernel),
            ConvEncoder(spec.shape, options.width, options.latent_size, options.kernel),
            DCGANDiscriminator(spec.shape, options.width, options.discriminator_norm,
                               condition_size=options.latent_size, kernel=options.kernel))
