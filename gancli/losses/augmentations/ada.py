"""Adaptive discriminator augmentation: rare enough changes of images, as rare as the discriminator needs (Karras 2020).

2006.06676, section 3 and appendix B, with the ranges of the authors' code.  A change that happens to an image with a
probability p below 1 does not leak into the generated images; p follows how sure the discriminator is of real ones.

Legend: N batch, C channels, H height, W width.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.errors import UsageError, check_range
from gancli.losses.adversarial import rule_of
from gancli.losses.augmentation import Draw, ImageAugmentation, check_policy
from gancli.losses.coloring import recolored
from gancli.losses.options import LossOptions
from gancli.losses.warping import moved
from gancli.ranks import shards
from gancli.registry import augmentations

POLICY = ("blit", "geometry", "color")
SHIFT = 0.125  # largest whole-pixel translation, and deviation of the fractional one, of the side
STRETCH = 0.2  # deviation of log2 of the isotropic and of the anisotropic scale
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0  # deviations; of contrast and saturation those of log2


@dataclass
class ADAOptions:
    """Which changes, how often at first, and how that follows the discriminator."""

    name: str
    policy: list[str]  # of POLICY
    p: float  # probability of each change at the start
    target: float | None  # of r, the mean sign of the logits of real images; null: p stays
    kimg: float  # thousands of images in which p moves by 1
    interval: int  # rounds between two moves

    def __post_init__(self) -> None:
        check_policy(self.policy, POLICY)
        check_range("augment.p", self.p, 0, 1)
        check_range("augment.target", self.target, -1, 1)
        check_range("augment.kimg", self.kimg, 0, open_low=True)
        check_range("augment.interval", self.interval, 1)


@augmentations.register("ada", options=ADAOptions)
class AdaptiveAugment(ImageAugmentation):
    """Each change of the policy happens to each image with probability p, and p is moved by a heuristic of overfitting.

    r = E sign D(x) over the real images of `interval` rounds, p <- max(0, p + sign(r - target) images / (1000 kimg)),
    without a bound above, as in the authors' code: beyond 1 all changes happen.  The sign is taken from where the loss
    leaves the discriminator undecided, and logits of patches count each for itself.
    """

    p: Tensor
    r: Tensor  # as it was when p was moved last
    signs: Tensor  # sum over all ranks' logits since then, and their number [2]
    heard: Tensor  # the same of this rank and round
    images: Tensor  # shown since then
    rounds: Tensor  # in all

    def __init__(self, options: ADAOptions, shape: tuple[int, ...]) -> None:
        super().__init__(shape[0])
        self.options = options
        self.register_buffer("p", torch.tensor(float(options.p)))
        self.register_buffer("r", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(2))
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))
        self.register_buffer("rounds", torch.zeros((), dtype=torch.int64))
        self.register_buffer("heard", torch.zeros(2), persistent=False)

    def check(self, loss: LossOptions) -> None:
        if self.options.target is not None and rule_of(loss).undecided is None:
            raise UsageError(f"augment=ada reads the sign of the discriminator's logits, and loss={loss.name} gives them no "
                             "zero: give augment.target=null augment.p=0.3 for a fixed probability, or augment=diffaugment.")
        if "color" in self.options.policy and self.channels not in (1, 3):
            raise UsageError(f"augment=ada changes the colors of 1 or 3 channels and these images have {self.channels}: give "
                             "augment.policy=[blit,geometry] or dataset.channels=3.")

    def describe(self) -> str:
        options = self.options
        what = f"{', '.join(options.policy)}, each with probability {options.p:g}"
        if options.target is None:
            return what
        return (f"{what} at first; it rises or falls by 1 in {options.kimg:g} kimg as the discriminator's r is above or below "
                f"{options.target:g}")

    # The controller

    def scalars(self) -> dict[str, Tensor]:
        return {"augment_p": self.p, "augment_r": self.r}

    def observe(self, real_logits: Tensor) -> None:
        self.heard += torch.stack((real_logits.sign().sum(), torch.full_like(self.p, real_logits.numel())))

    def after_round(self, images: int) -> None:
        shards.average(self.heard)
        self.signs += self.heard
        self.heard.zero_()
        self.images += images
        self.rounds += 1
        due = (self.rounds % self.options.interval == 0) & (self.signs[1] > 0)
        r = self.signs[0] / self.signs[1].clamp_min(1)
        self.r.copy_(torch.where(due, r, self.r))
        if self.options.target is not None:
            step = torch.sign(r - self.options.target) * self.images / (1000 * self.options.kimg)
            self.p.copy_(torch.where(due, (self.p + step).clamp_min(0), self.p))
        self.signs.mul_(~due)
        self.images.mul_(~due)

    # The changes

    def draw(self, n: int, height: int, width: int, device: torch.device) -> Draw:
        """Return the parameters of each image's changes; those that do not happen have the neutral value."""

        def uniform(*shape: int) -> Tensor:
            return 2 * shards.rand(n, *shape, device=device) - 1

        def normal(deviation: float, *shape: int) -> Tensor:
            return deviation * shards.randn(n, *shape, device=device)

        def sometimes(value: Tensor, p: Tensor = self.p) -> Tensor:
            happens = (shards.rand(n, device=device) < p).to(value.dtype)
            return value * happens.view(n, *[1] * (value.dim() - 1))  # 0 is neutral

        drawn: Draw = {}
        if "blit" in self.options.policy:
            drawn["flip"] = sometimes(shards.randint(2, n, device=device))
            drawn["quarters"] = sometimes(shards.randint(4, n, device=device))
            drawn["shift"] = sometimes(SHIFT * uniform(2))
        if "geometry" in self.options.policy:
            either = 1 - (1 - self.p).clamp(0, 1).sqrt()  # so that one rotation or the other happens with probability p
            drawn["scale"] = sometimes(normal(STRETCH))
            drawn["turn"] = sometimes(math.pi * uniform(), either)
            drawn["stretch"] = sometimes(normal(STRETCH))
            drawn["turn_again"] = sometimes(math.pi * uniform(), either)
            drawn["slide"] = sometimes(normal(SHIFT, 2))
        if "color" in self.options.policy:
            drawn["brightness"] = sometimes(normal(BRIGHTNESS))
            drawn["contrast"] = sometimes(normal(CONTRAST))
            drawn["luma_flip"] = sometimes(shards.randint(2, n, device=device))
            if self.channels == 3:
                drawn["hue"] = sometimes(math.pi * uniform())
                drawn["saturation"] = sometimes(normal(SATURATION))
        return drawn

    def change(self, x: Tensor, draw: Draw) -> Tensor:
        x = moved(x, draw)
        return recolored(x, draw) if x.shape[1] == self.channels else x
