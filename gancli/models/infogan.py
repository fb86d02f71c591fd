"""InfoGAN: codes beside the noise, which the discriminator's features must tell from the image (Chen 2016).

Networks, codes, rates and lengths are those of the authors' code for MNIST (github.com/openai/InfoGAN, run_mnist_exp.py),
at any size of images; weights are plainly normal where that code truncates those of convolutions, and Q's
log-probabilities are exact where it adds 1e-8.

Who trains what is as in that code: the lower bound of the mutual information is in both players' losses with the same
weight.  The discriminator's optimizer steps its networks, Q's head and the body that both share, along it, and the
generator's optimizer the generator.  Q never sees real images.  That code draws new latents for the generator's turn, which
is trainer.reuse_generated=false here.

The weight of continuous codes is 0.1 and not that code's 1: the paper (section 4) wants it smaller than that of categorical
ones, and with 1 continuous codes took part of what tells digits apart.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_choice, check_range
from gancli.game.headed import HeadedPair, Made, Scalars
from gancli.game.model import Fixed
from gancli.game.prior import Codes
from gancli.losses.information import categorical_information, gaussian_information
from gancli.losses.objective import Objective
from gancli.losses.output import Judged
from gancli.networks.infogan import CodeHead, InfoGANDiscriminator, InfoGANGenerator
from gancli.options import Recipe
from gancli.registry import models

CODE_NORMS = ("batch", "layer", "none")  # fully connected layers have no maps that instance norm could take
ENTROPY = math.log(2)  # of a code that is uniform in [-1, 1], in nats
WALK = 2.0  # continuous codes are shown from -2 to 2 (Chen 2016, figure 2), beyond the [-1, 1] of training
MOST_ROWS = 16  # of a grid of codes


@dataclass
class InfoGANOptions:
    """The paper's networks for MNIST, with any codes."""

    name: str
    noise_size: int  # latents beside the codes
    categorical: list[int]  # the number of categories of each categorical code
    continuous: int  # codes that are uniform in [-1, 1]
    learned_variance: bool  # Q tells the variance of continuous codes, too; false: it is 1, as in the paper's code
    lambda_categorical: float  # weights of the bounds
    lambda_continuous: float
    width: int  # channels of the largest maps
    units: int  # of the fully connected layers
    head_units: int  # of Q's hidden layer
    discriminator_norm: str  # batch (the paper), layer or none; Q's, too
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("width", "units", "head_units"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("noise_size", "continuous", "lambda_categorical", "lambda_continuous"):
            check_range(f"model.{key}", getattr(self, key), 0)
        for size in self.categorical:
            check_range("model.categorical", size, 2)
        check_choice("model.discriminator_norm", self.discriminator_norm, CODE_NORMS)
        if not self.categorical and not self.continuous:
            raise ValueError("model.categorical=[] and model.continuous=0 leave no code: give one of them, "
                             "or model=dcgan, which has none")


@models.register("infogan", options=InfoGANOptions)
class InfoGAN(HeadedPair):
    """min over G, Q, max over D of V(D, G) - lambda L_I(G, Q) (Chen 2016, eq. 6), L_I the bound of eq. 5."""

    small = {"noise_size": 6, "width": 4, "units": 16, "head_units": 8}
    variants = ({}, {"learned_variance": True})
    clusters = True

    prior: Codes

    def __init__(self, options: InfoGANOptions, spec: DataSpec, objective: Objective) -> None:
        prior = Codes(options.noise_size, options.categorical, options.continuous)
        self.outputs = [*options.categorical, options.continuous * (2 if options.learned_variance else 1)]
        generator = InfoGANGenerator(*prior.shape, spec.shape, options.width, options.units)
        discriminator = InfoGANDiscriminator(spec.shape, options.width, options.units, options.discriminator_norm)
        head = CodeHead(options.units, options.head_units, sum(self.outputs), options.discriminator_norm)
        super().__init__(spec, objective, generator, discriminator, prior, head)
        self.weights = options.lambda_categorical, options.lambda_continuous

    def make(self, batch: Batch) -> Made:
        z = self.latents_for(batch.real)
        return Made(self.generate(z), z)

    def head_loss(self, judged: Judged, made: Made, batch: Batch, discriminates: bool) -> tuple[Tensor, Scalars]:
        *logits, values = self.tell(judged.fake).split(self.outputs, 1)
        prior, loss, scalars = self.prior, 0.0, {}
        for name, each, code in zip(prior.codes, logits, prior.categories_of(made.given), strict=False):
            information = categorical_information(each, code)
            loss = loss - self.weights[0] * information
            scalars[f"information/{name}"] = information.detach()
        if prior.continuous:
            mean, *spread = values.split(prior.continuous, 1)
            codes = prior.continuous_of(made.given)
            information = gaussian_information(mean, spread[0] if spread else None, codes, ENTROPY)
            loss = loss - self.weights[1] * information
            scalars["information/continuous"] = information.detach()
        return loss, scalars

    @property
    def codes(self) -> Mapping[str, int | None]:
        """The codes by name: how many categories each has, None for a continuous one."""
        return self.prior.codes

    def with_codes(self, z: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Return latents [N, Z] in which some codes have other values [N]."""
        return self.prior.with_codes(z, values)

    def classify(self, x: Tensor) -> Tensor:
        """Return the logits of Q's posterior of the first categorical code, [N, categories].

        The categories are the code's own, in an order of no meaning, and not the classes of the data.
        """
        if not self.prior.categorical:
            raise UserError("model=infogan with model.categorical=[] has no categorical code to classify images by.")
        return self.tell(self.judge(x))[:, :self.outputs[0]]

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        """Samples, and a grid of each code: a category a row, or a continuous code growing from left to right."""
        return {"samples": self.generate(fixed.z)} | {f"code-{name}": self._shown(fixed, name) for name in self.codes}

    def _shown(self, fixed: Fixed, name: str) -> Tensor:
        """Return a grid in which only the code changes along its axis.

        The rows of a continuous code have the categories of the first categorical one in turn.
        """
        size, first = self.codes[name], next(iter(self.codes))
        of_first = self.codes[first]
        rows = min(size or of_first or fixed.columns, MOST_ROWS)
        device = fixed.z.device
        row = torch.arange(rows, device=device).repeat_interleave(fixed.columns)
        column = torch.arange(fixed.columns, device=device).repeat(rows)
        if size is not None:
            return self.generate(self.with_codes(fixed.z[column % len(fixed.z)], {name: row}))
        values = torch.linspace(-WALK, WALK, fixed.columns, device=device)[column]
        chosen = {name: values} if of_first is None else {first: row, name: values}
        return self.generate(self.with_codes(fixed.z[row % len(fixed.z)], chosen))
