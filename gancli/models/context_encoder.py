"""Context encoder: what belongs into a hole, from what surrounds it (Pathak 2016, 1604.07379).

    generator       lambda_l2 E W (G(x outside of the hole) - x)^2 + lambda_adversarial (its loss in the adversarial rule)
    discriminator   its loss in the rule: what was predicted is fake

The hole of an image is filled with the mean color before the encoder sees it.  model.mask=center is the authors' train.lua:
the decoder makes a part of half the sides in the middle, the discriminator judges that part alone, and the hole is smaller by
a rim (model.overlap, 4 pixels of 64), which the encoder sees, too: W is model.seen_weight (10) there, and 1 within.
model.mask=random is train_random.lua: blobs that cover a fifth to three tenths; the decoder makes a whole image, which the
discriminator judges as a whole, and W is 1 everywhere (10 outside of the hole with the code's useOverlapPred=1).

model.local=true has two discriminators (Li 2017, 1704.05838): the first one judges the image of which the hole alone was
replaced, the other one the part with the hole (of half the sides, so that the mask is center or square, as there).

Networks, initial weights, both weights of the loss and Adam with a rate that is ten times as high for the generator are
those of Pathak's code (github.com/pathak22/context-encoder).  The bottleneck is the paper's channel-wise fully connected layer
(section 3.1); the released networks have 4,000 fully connected units there (model.bottleneck=4000).

Differs from that code: the mean color is that of the run's first batch (there ImageNet's); every image has a hole of its own
(there one a batch); an image of 64x64 pixels or less keeps the widths of its last three halvings.  From Li 2017 the second
discriminator and the square holes are taken, not the networks, the stages of training, the parser of faces or the
absolute error: both adversarial losses weigh lambda_adversarial here.

Legend: N batch, C channels, H height, W width, h, w sides of the part that is judged by itself.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UsageError, check_choice, check_range
from gancli.game.holes import KINDS, Box, corners, crop, holes_of, middle
from gancli.game.model import Fixed, Model, Progress, no_loss_for
from gancli.game.showcase import interleave_rows
from gancli.losses.objective import Objective
from gancli.networks.context import ContextDiscriminator, ContextGenerator
from gancli.networks.layers import NORMS
from gancli.options import Recipe
from gancli.registry import models

RIM = 16  # parts of the middle's shorter side: 4 of 64 pixels
SEEN = {"center": 10.0, "random": 1.0, "square": 1.0}


@dataclass
class ContextEncoderOptions:
    """Where the holes are, how wide the networks, and how the losses are weighed."""

    name: str
    mask: str  # one of KINDS
    width: int  # channels after the first halving, of all networks
    bottleneck: int | None  # fully connected units; null: fully connected within each channel
    overlap: int | None  # pixels of the middle's rim that are seen and predicted; null: a sixteenth of its shorter side
    seen_weight: float | None  # of the error where pixels are seen; null: 10 in the middle's rim, 1 outside of random holes
    lambda_l2: float
    lambda_adversarial: float  # 0 leaves the error alone
    local: bool  # a second discriminator, of the part with the hole
    discriminator_norm: str
    recipe: Recipe

    def __post_init__(self) -> None:
        check_choice("model.mask", self.mask, KINDS)
        check_range("model.width", self.width, 1)
        check_range("model.bottleneck", self.bottleneck, 1)
        check_range("model.overlap", self.overlap, 0)
        check_range("model.seen_weight", self.seen_weight, 0)
        check_range("model.lambda_l2", self.lambda_l2, 0)
        check_range("model.lambda_adversarial", self.lambda_adversarial, 0)
        check_choice("model.discriminator_norm", self.discriminator_norm, NORMS)
        if self.local and self.mask == "random":
            raise ValueError("model.local=true judges the part with the hole, and random holes have no size of their own: "
                             "give model.mask=square or model.mask=center")
        if self.overlap and self.mask != "center":
            raise ValueError(f"model.overlap={self.overlap} is the rim of holes in the middle: leave it out, or give "
                             "model.mask=center")


class Filled(NamedTuple):
    """What was made of a batch."""

    mask: Tensor  # [N, 1, H, W], 1 in the hole
    predicted: Tensor  # [N, C, H, W], or [N, C, h, w] of the middle alone
    completed: Tensor  # [N, C, H, W]: the image where it was seen, what was predicted in the hole


@models.register("context_encoder", options=ContextEncoderOptions)
class ContextEncoder(Model):
    """A generator that fills holes against one discriminator or, with `local`, two."""

    small = {"width": 4}
    variants = ({}, {"mask": "random", "bottleneck": 6}, {"mask": "square", "local": True}, {"local": True})

    mean: Tensor  # [C, 1, 1], the color of holes

    def __init__(self, options: ContextEncoderOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        channels, height, width = spec.shape
        self.options = options
        self.middle = middle(height, width)
        self.rim = rim_of(options, self.middle) if options.mask == "center" else 0
        self.holes = holes_of(options.mask, height, width, self.rim)
        self.makes_part = options.mask == "center"
        self.generator = ContextGenerator(spec.shape, options.width, options.bottleneck, level=int(self.makes_part))
        part = (channels, self.middle.height, self.middle.width)
        judged = part if self.makes_part and not options.local else spec.shape
        self.discriminator = ContextDiscriminator(judged, options.width, options.discriminator_norm)
        self.players = {"discriminator": [self.discriminator], "generator": [self.generator]}
        if options.local:
            self.local_discriminator = ContextDiscriminator(part, options.width, options.discriminator_norm)
            self.discriminators = ("discriminator", "local_discriminator")
            self.players = {"discriminator": [self.discriminator], "local_discriminator": [self.local_discriminator],
                            "generator": [self.generator]}
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("weights", self._weights())

    @classmethod
    def check_data(cls, options: ContextEncoderOptions, spec: DataSpec) -> None:
        super().check_data(options, spec)
        height, width = spec.shape[1:]
        most = (min(height, width) // 2 - 1) // 2
        if options.mask == "center" and rim_of(options, middle(height, width)) > most:
            raise UsageError(f"model.overlap={options.overlap} leaves no hole in images of {height}x{width}: give at most "
                             f"{most}.")

    def begin(self, reference: Batch) -> None:
        self.mean.copy_(reference.real.mean((0, 2, 3))[:, None, None])
        super().begin(reference)

    # Training

    def prepare(self, batch: Batch) -> Filled:
        return self.filled(batch.real, self.holes.like(batch.real))

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        x = batch.real
        made = self.filled(x, self.holes.like(x)) if batch.prepared is None else batch.prepared
        if player in self.discriminators:
            if batch.prepared is not None:  # its graph is the generator's
                made = Filled(*(part.detach() for part in made))
            real, fake = self.shown(player, x, made)
            judged = self.objective.discriminator(self.players[player][0], (real,), (fake,), progress.turns.get(player, 0))
            return judged.loss, judged.scalars
        if player != "generator":
            raise no_loss_for(player, self)
        return self._generator_loss(x, made)

    def _generator_loss(self, x: Tensor, made: Filled) -> tuple[Tensor, dict[str, Tensor]]:
        error = self.error(x, made)
        loss, scalars = self.options.lambda_l2 * error, {"l2": error.detach()}
        for number, player in enumerate(self.discriminators):
            real, fake = self.shown(player, x, made)
            judged = self.objective.generator(self.players[player][0], (fake,), (real,))
            loss = loss + self.options.lambda_adversarial * judged.loss
            scalars |= {f"{name}/local" if number else name: value for name, value in judged.scalars.items()}
        return loss, scalars

    def error(self, x: Tensor, made: Filled) -> Tensor:
        """Return the mean of the weighted squared errors of what was predicted."""
        if self.makes_part:
            return (self.weights * (made.predicted - self._part(x)).square()).mean()
        weights = made.mask + self._seen_weight * (1 - made.mask)
        return (weights * (made.predicted - x).square()).mean()

    def filled(self, x: Tensor, mask: Tensor) -> Filled:
        """Return what the generator makes of images x [N, C, H, W] whose holes it does not see."""
        predicted = self.generator(torch.where(mask > 0, self.mean.to(x.dtype), x)).to(x.dtype)
        whole = self._pasted(x, predicted) if self.makes_part else predicted
        return Filled(mask, predicted, torch.where(mask > 0, whole, x))

    def shown(self, player: str, x: Tensor, made: Filled) -> tuple[Tensor, Tensor]:
        """Return the real and the fake images that a discriminator is to tell apart."""
        if not self.options.local:
            return (self._part(x) if self.makes_part else x), made.predicted
        if player == "discriminator":
            return x, made.completed
        if self.makes_part:
            return self._part(x), self._part(made.completed)
        corner = corners(made.mask)
        real, fake = (crop(images, corner, self.middle.height, self.middle.width) for images in (x, made.completed))
        return real, fake

    @property
    def _seen_weight(self) -> float:
        given = self.options.seen_weight
        return SEEN[self.options.mask] if given is None else given

    def _weights(self) -> Tensor:
        """Return the weights [h, w] of the middle's pixels."""
        weights = torch.full((self.middle.height, self.middle.width), self._seen_weight)
        inner = Box(0, 0, *self.middle[2:]).shrunk(self.rim)
        weights[inner.area] = 1.0
        return weights

    def _part(self, x: Tensor) -> Tensor:
        return x[(..., *self.middle.area)]

    def _pasted(self, x: Tensor, part: Tensor) -> Tensor:
        whole = x.clone()
        whole[(..., *self.middle.area)] = part
        return whole

    # Use

    @property
    def fillable(self) -> Box:
        """Where holes can be filled: anywhere, or in the middle."""
        return self.middle.shrunk(self.rim) if self.makes_part else Box(0, 0, *self.spec.shape[1:])

    def draw_holes(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n masks [n, 1, H, W] of the law that the model was trained on, on the CPU."""
        return self.holes.draw(n, generator)

    def inpaint(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return images x [N, C, H, W] with other content where the mask [N, 1, H, W] is 1, which lies in `fillable`.

        A network that knows holes of one place alone has all of that place hidden, whatever part of it is asked for.
        """
        hidden = self.holes.of(mask.new_zeros(len(x), 0)) if self.makes_part else mask
        return torch.where(mask > 0, self.filled(x, hidden).completed, x)

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        return "real", "hole", "filled"

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        x = fixed.batch.real[:max(fixed.columns, len(fixed.batch) // 3)]
        mask = self.draw_holes(len(x), torch.Generator().manual_seed(0)).to(x.device)
        hole = torch.where(mask > 0, self.mean.to(x.dtype), x)
        return {"inpainted": interleave_rows(fixed.columns, x, hole, self.inpaint(x, mask))}


def rim_of(options: ContextEncoderOptions, box: Box) -> int:
    """Return the pixels of the middle's rim that are seen and predicted."""
    return round(min(box.height, box.width) / RIM) if options.overlap is None else options.overlap
