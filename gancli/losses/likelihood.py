"""What a decoder's outputs say of data, in nats: log-likelihoods, and how far a posterior is from the prior (Kingma 2014).

Everything is summed over an example's values or latents: means over pixels would make the divergence count as often too much.

Legend: N batch, Z latent size.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gancli.errors import UserError

LIKELIHOODS = ("bernoulli", "gaussian")
FIRST_STD = 0.5  # of the data's deviation
SMALLEST_STD = 1e-3


class Likelihood(nn.Module, ABC):
    """The law p(x | outputs) of examples; images are in [-1, 1] outside, and measured as values in [0, 1]."""

    @abstractmethod
    def mean(self, outputs: Tensor) -> Tensor:
        """Return the law's mean [N, ...] for a decoder's outputs, images in [-1, 1]."""

    @abstractmethod
    def nats(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return -log p(x | outputs) of each example, [N], in the examples' precision."""

    def begin(self, x: Tensor) -> None:
        """Look at examples before the first step."""

    def scalars(self) -> dict[str, Tensor]:
        """Return what the law has learned, to be recorded."""
        return {}


class Bernoulli(Likelihood):
    """Each value v in [0, 1] of an image counts as v ones and 1 - v zeros: for gray pixels it is no law of theirs."""

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid() * 2 - 1

    def nats(self, outputs: Tensor, x: Tensor) -> Tensor:
        each = binary_cross_entropy_with_logits(outputs.to(x.dtype), (x + 1) / 2, reduction="none")
        return each.flatten(1).sum(1)


class Gaussian(Likelihood):
    """Independent normal values of one deviation, given or learned; the mean of images is a sigmoid (appendix C.2).

    The learned one starts at half of the data's.  From the data's own, a VAE of a ring had not left the posterior that
    equals the prior after 200 kimg; from a tenth, one of MNIST was 3,000 nats behind after 100 kimg.
    """

    log_std: Tensor

    def __init__(self, images: bool, std: float | None) -> None:
        super().__init__()
        self.images, self.learned = images, std is None
        if std is None:
            self.log_std = nn.Parameter(torch.zeros(()))
        else:
            self.register_buffer("log_std", torch.tensor(std).log())

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid() * 2 - 1 if self.images else outputs

    def nats(self, outputs: Tensor, x: Tensor) -> Tensor:
        outputs = outputs.to(x.dtype)
        gap = (x + 1) / 2 - outputs.sigmoid() if self.images else x - outputs
        each = (gap * (-self.log_std).exp()).square() / 2 + self.log_std + math.log(2 * math.pi) / 2
        return each.flatten(1).sum(1)

    def scalars(self) -> dict[str, Tensor]:
        return {"sigma": self.log_std.detach().exp()} if self.learned else {}

    @torch.no_grad()
    def begin(self, x: Tensor) -> None:
        if self.learned:
            values = (x + 1) / 2 if self.images else x
            spread = (values - values.mean(0)).square().mean().sqrt()
            self.log_std.copy_((FIRST_STD * spread).clamp_min(SMALLEST_STD).log())


def likelihood_of(name: str, images: bool, std: float | None) -> Likelihood:
    """Return the likelihood that an option names; `std` is the Gaussian's, None where it is learned."""
    return Bernoulli() if name == "bernoulli" else Gaussian(images, std)


def check_likelihood_data(model: str, name: str, images: bool) -> None:
    """Raise a UserError if examples can have no such likelihood."""
    if name == "bernoulli" and not images:
        raise UserError(f"model={model} model.likelihood=bernoulli needs values in [0, 1], as images have, and this data set "
                        "holds points: set model.likelihood=gaussian.")


def normal_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) || N(0, 1)) of each example [N], for [N, Z] (Kingma 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)
