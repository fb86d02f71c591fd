"""SRGAN: a network enlarges images, first for the squared error, then against a discriminator (Ledig 2017, 1609.04802).

Networks, losses, rates and the order (a generator trained for the squared error alone begins the game) are the paper's.
Low resolution is made of the data's images, in steps of 8 bits (networks/bicubic.py), or comes with them
(dataset=resolutions).  Phases:

    pretraining     |y - G(x)|^2, mean over images in [-1, 1]; that is SRResNet
    game            content + 1e-3 (-log D(G(x))), and D's own loss; after model.decay_kimg at a tenth of the rates
    content         in its place without a game (model.lambda_adversarial=0): SRResNet-VGG22 and the like

`content` is the mean squared difference of VGG19's maps before the fifth (vgg54) or the second pooling (vgg22), of the images
themselves (mse), or of another network's maps, which is not the paper's.  model.lambda_pixel > 0 adds the images' own squared
error to it, for networks whose maps do not see all that can go wrong; the paper has none, ESRGAN (Wang 2018, eq. 3) has such a
term beside its perceptual loss, of absolute errors.  model.pretrain_kimg=null never leaves pretraining.

Differs: lengths are a hundredth of the paper's 10^6 + 10^5 + 10^5 updates; images are enlarged by an average of the weights
(trainer.ema_kimg=null: by the weights themselves); the paper's VGG19 was another training of that network than torchvision's;
no total variation, which the paper has with vgg22 alone (weight 2e-8).  Optimizers begin anew with the game, whose networks
the paper trains in a run of its own.

Legend: N batch, C channels, H height, W width.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor
from torch.nn.functional import mse_loss

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_choice, check_range
from gancli.features.perceptual import PERCEPTIONS, build_maps, read_maps
from gancli.game.model import Fixed, Model, Progress, no_loss_for
from gancli.game.phase import Phase, in_turn
from gancli.game.showcase import interleave_rows
from gancli.losses.objective import Objective
from gancli.networks.bicubic import enlarged, reduced
from gancli.networks.frozen import Frozen
from gancli.networks.layers import NORMS
from gancli.networks.srgan import SRDiscriminator, SRResNet
from gancli.options import Recipe
from gancli.registry import models

FACTORS = (2, 4)
CONTENTS = ("mse", *PERCEPTIONS)
GENERATOR_NORMS = ("batch", "none")  # the others look at the whole image, of which tiles would have statistics of their own
LATE = 0.1  # of the rates, after model.decay_kimg


@dataclass
class SRGANOptions:
    """A residual generator, a discriminator as deep as the images allow, and what is near to what."""

    name: str
    factor: int  # of both sides, one of FACTORS
    width: int  # channels of the generator, and of the discriminator's first maps
    blocks: int  # residual ones
    content: str  # one of CONTENTS: in what the game's images are to be near to the originals
    content_weights: str | None  # file of that network's weights; null: data_dir/weights
    lambda_adversarial: float  # weight of the game beside the content; 0: no game
    pretrain_kimg: float | None  # for which the squared error alone is trained; null: for ever (SRResNet)
    decay_kimg: float | None  # of the game, after which rates are a tenth; null: never
    generator_norm: str  # batch (the paper) or none
    discriminator_norm: str
    recipe: Recipe
    lambda_pixel: float = 0.0  # weight of the images' own squared error beside a network's content; runs of before have none

    def __post_init__(self) -> None:
        check_choice("model.factor", str(self.factor), map(str, FACTORS))
        check_choice("model.content", self.content, CONTENTS)
        check_choice("model.generator_norm", self.generator_norm, GENERATOR_NORMS)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)
        check_range("model.width", self.width, 1)
        check_range("model.blocks", self.blocks, 1)
        for key in ("lambda_adversarial", "lambda_pixel", "pretrain_kimg", "decay_kimg"):
            check_range(f"model.{key}", getattr(self, key), 0)
        if self.lambda_pixel and self.content == "mse":
            raise ValueError("model.lambda_pixel weighs pixels beside a network's maps, and model.content=mse is of pixels "
                             "alone: leave model.lambda_pixel=0")

    @property
    def perceives(self) -> bool:
        """Whether a frozen network takes part."""
        return self.content in PERCEPTIONS and self.pretrain_kimg is not None

    @property
    def plays(self) -> bool:
        """Whether there is a game at any time."""
        return self.lambda_adversarial > 0 and self.pretrain_kimg is not None


@models.register("srgan", options=SRGANOptions)
class SRGAN(Model):
    """min over G of content + lambda (-log D(G(x))), max over D of the adversarial game on originals and G(x) (eq. 2, 3)."""

    small = {"width": 4, "blocks": 1, "content": "mse", "pretrain_kimg": 0.004, "decay_kimg": 0.004}
    variants = ({}, {"factor": 2, "generator_norm": "none"})

    def __init__(self, options: SRGANOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        self.options = options
        self.generator = SRResNet(spec.shape[0], options.width, options.blocks, options.factor, options.generator_norm)
        self.perception = Frozen(build_maps(options.content)) if options.perceives else None
        self.players = {"generator": [self.generator]}
        self.discriminators = ("discriminator",) if options.plays else ()  # type: ignore[misc]
        if options.plays:
            self.discriminator = SRDiscriminator(spec.shape, options.width, options.discriminator_norm)
            self.players = {"discriminator": [self.discriminator], **self.players}

    @classmethod
    def check_data(cls, options: SRGANOptions, spec: DataSpec) -> None:
        if spec.reduction not in (0, options.factor):
            raise UserError(f"model={options.name} has model.factor={options.factor} and these originals are {spec.reduction} "
                            "times as large as their low resolution: "
                            + (f"give model.factor={spec.reduction}." if spec.reduction in FACTORS else
                               f"give data of a factor of {' or '.join(map(str, FACTORS))}."))
        super().check_data(options, replace(spec, domains=spec.domains[:1], paired=False) if spec.reduction else spec)
        factor, (height, width) = options.factor, spec.shape[1:]
        if height % factor or width % factor:
            fits = [side // factor * factor for side in (height, width)]
            key = f"{fits[0]}" if fits[0] == fits[1] else f"[{fits[0]},{fits[1]}]"
            raise UserError(f"model={options.name} with model.factor={factor} needs sides that are multiples of it and these "
                            f"are {height}x{width}: give dataset.crops={key}, or dataset.size={key}.")

    @classmethod
    def check_files(cls, options: SRGANOptions, data_dir: Path) -> None:
        if options.perceives:
            cls._read(options, data_dir)

    @classmethod
    def _read(cls, options: SRGANOptions, data_dir: Path) -> dict[str, Tensor]:
        try:
            return read_maps(options.content, options.content_weights, data_dir)
        except UserError as error:
            raise UserError(f"model.content={options.content}: {error} Give model.content_weights=FILE for another place, or "
                            "model.content=mse, which needs no weights.") from None

    def read_files(self, data_dir: Path) -> None:
        if self.perception is not None:
            self.perception.fill(self._read(self.options, data_dir))

    # The course

    def phase(self, progress: Progress, default: Phase) -> Phase:
        options = self.options
        if self._pretrains(progress):
            return in_turn(["generator"], name="pretraining")
        since = progress.images - 1000 * (options.pretrain_kimg or 0)
        factor = LATE if options.decay_kimg is not None and since >= 1000 * options.decay_kimg else 1.0
        if not options.plays:
            return in_turn(["generator"], name="content", lr_factor=factor, fresh_optimizers=True)
        return Phase(default.turns, "game", lr_factor=factor, fresh_optimizers=True)

    def _pretrains(self, progress: Progress) -> bool:
        kimg = self.options.pretrain_kimg
        return kimg is None or progress.images < 1000 * kimg

    # The losses

    def prepare(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x = self.low_of(*batch.domains)
        return x, self.generator(x)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if player not in self.players:
            raise no_loss_for(player, self)
        _, fake = self.prepare(batch) if batch.prepared is None else batch.prepared
        if player == "discriminator":
            fake = fake if batch.prepared is None else fake.detach()  # its graph is the generator's
            judged = self.objective.discriminator(self.discriminator, (batch.real,), (fake,), progress.turns.get(player, 0))
            return judged.loss, judged.scalars
        error = mse_loss(fake, batch.real)
        if self._pretrains(progress):
            return error, {"mse": error.detach()}
        content = error if self.perception is None else self._content(fake, batch.real) + self.options.lambda_pixel * error
        scalars = {"mse": error.detach(), "content": content.detach()}
        if not self.options.plays:
            return content, scalars
        judged = self.objective.generator(self.discriminator, (fake,), (batch.real,))
        return content + self.options.lambda_adversarial * judged.loss, judged.scalars | scalars

    def _content(self, fake: Tensor, real: Tensor) -> Tensor:
        """Return the mean squared difference of the frozen network's maps, brought to the size of the images' own."""
        maps: Callable[[Tensor], Tensor] = self.perception  # type: ignore[assignment]
        return PERCEPTIONS[self.options.content].scale * mse_loss(maps(fake), maps(real))

    # What it can do

    @property
    def factor(self) -> int:
        """How many times as large both sides become."""
        return self.options.factor

    @property
    def reach(self) -> int:
        """The pixels of the input to each side on which those of an output's place depend."""
        return self.generator.reach

    def reduce(self, x: Tensor) -> Tensor:
        """Return images [N, C, H, W] as the low resolution that training undoes, [N, C, H / factor, W / factor]."""
        return reduced(x, self.factor)

    def low_of(self, real: Tensor, repeated: Tensor | None = None) -> Tensor:
        """Return the low resolution of images [N, C, H, W]: what the data give, each pixel repeated, else reduced here."""
        return self.reduce(real) if repeated is None else repeated[..., ::self.factor, ::self.factor].contiguous()

    def upscale(self, x: Tensor) -> Tensor:
        """Return images [N, C, H, W] of any size as [N, C, factor H, factor W], cut off at -1 and 1."""
        return self.generator(x).clamp(-1, 1)

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        return "bicubic", "enlarged", "original"

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        """Show a row enlarged bicubically, the same by the network, and the originals."""
        real = fixed.batch.real[:max(fixed.columns, len(fixed.batch) // 3)]
        x = self.low_of(*(images[:len(real)] for images in fixed.batch.domains))
        return {"upscaled": interleave_rows(fixed.columns, enlarged(x, self.factor), self.upscale(x), real)}
