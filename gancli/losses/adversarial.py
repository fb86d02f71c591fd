"""Adversarial rules: what the discriminator and the generator minimize, given the discriminator's outputs.

Outputs s are logits before any sigmoid, of any shape ([N], or [N, 1, h, w] for a patch discriminator); each rule
averages over all of them.  D = sigmoid(s) where a rule speaks of a probability.  Every formula is written so
that it stays finite, with the right gradient, however confident the discriminator is: log(sigmoid(s)) is
-softplus(-s), never the log of a probability.  Where a paper has a bare exponential, it is continued by its tangent
from 20 on (`bounded_exp`): there 1 - D is far below float32's resolution, and exp itself would overflow in Adam's
second moment soon after.
"""

import math
from abc import ABC, abstractmethod

from torch import Tensor
from torch.nn.functional import relu, softplus

from gancli.losses.options import LossOptions

LARGEST_EXPONENT = 20.0


def bounded_exp(v: Tensor) -> Tensor:
    """Return exp(v), continued by its tangent above v = 20."""
    return v.clamp(max=LARGEST_EXPONENT).exp() + math.exp(LARGEST_EXPONENT) * relu(v - LARGEST_EXPONENT)


class Rule(ABC):
    """One adversarial rule; all methods return scalars to be minimized."""

    relativistic = False  # the generator's loss needs the real outputs too
    undecided: float | None = 0.0  # a discriminator's best output where real and fake are equally likely; None: any

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return the generator's loss."""

    def encoder(self, real: Tensor) -> Tensor:
        """Return the generator's loss seen from the real side: what a maker of the real pairs minimizes (BiGAN)."""
        return self.generator(-real)

    def score(self, outputs: Tensor) -> Tensor:
        """Return what the D(x) and D(G(z)) curves show: the probability of real, or a critic's score."""
        return outputs.sigmoid()


class Minimax(Rule):
    """The zero-sum game (Goodfellow 2014, eq. 1): the generator minimizes E log(1 - D(G(z))), which saturates."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing  # one-sided: real targets only (Salimans 2016, section 3.4)
        self.undecided = math.log((1 - label_smoothing) / (1 + label_smoothing))  # D = (1 - smoothing) / 2

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real_cost = softplus(-real)
        if self.label_smoothing:
            real_cost = real_cost + self.label_smoothing * real  # t softplus(-s) + (1 - t) softplus(s)
        return real_cost.mean() + softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -softplus(fake).mean()


class NonSaturating(Minimax):
    """The generator minimizes -E log D(G(z)) (Goodfellow 2014, section 3)."""

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return softplus(-fake).mean()


class MaximumLikelihood(Minimax):
    """The generator minimizes -E exp(s), whose gradient is that of the likelihood if D is optimal (1412.6515)."""

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -bounded_exp(fake).mean()


class LeastSquares(Rule):
    """LSGAN with 0-1 coding, a = 0, b = c = 1 (Mao 2017, eq. 9)."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.real_target = 1 - label_smoothing
        self.undecided = self.real_target / 2

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * (real - self.real_target).square().mean() + 0.5 * fake.square().mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return 0.5 * (fake - 1).square().mean()

    def encoder(self, real: Tensor) -> Tensor:
        return 0.5 * real.square().mean()

    def score(self, outputs: Tensor) -> Tensor:
        return outputs  # its targets are 0 and 1 already


class Wasserstein(Rule):
    """The critic's estimate of the Wasserstein-1 distance (Arjovsky 2017, algorithm 1; Gulrajani 2017)."""

    undecided: float | None = None

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.mean()

    def score(self, outputs: Tensor) -> Tensor:
        return outputs


class Hinge(Wasserstein):
    """Hinge loss for the critic, -E s for the generator (Lim & Ye 2017, 1705.02894; Miyato 2018, eqs. 16, 17)."""

    undecided = 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return relu(1 - real).mean() + relu(1 + fake).mean()


class RelativisticPairing(Rule):
    """RpGAN with softplus: each real is judged against a fake (Jolicoeur-Martineau 2019; Huang 2024, eq. 2)."""

    relativistic = True
    undecided = None

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        assert real is not None  # the rule is relativistic
        return softplus(real - fake).mean()

    def encoder(self, real: Tensor) -> Tensor:
        return real.new_zeros(())  # the generator's loss holds the real outputs already

    def score(self, outputs: Tensor) -> Tensor:
        return outputs


def activation(divergence: str, v: Tensor) -> Tensor:
    """Return g_f(v), the output activation that maps v into the domain of f* (Nowozin 2016, table 6)."""
    match divergence:
        case "kl":
            return v
        case "reverse_kl":
            return -bounded_exp(-v)
        case "js":
            return math.log(2) - softplus(-v)
        case "pearson":
            return v
        case "hellinger":
            return 1 - bounded_exp(-v)
        case "total_variation":
            return 0.5 * v.tanh()
    raise ValueError(f"there is no divergence called {divergence}")


def conjugate(divergence: str, v: Tensor) -> Tensor:
    """Return f*(g_f(v)), the Fenchel conjugate of table 6 at the activation, simplified to be stable in v."""
    match divergence:
        case "kl":
            return bounded_exp(v - 1)
        case "reverse_kl":
            return v - 1  # -1 - log(-t) at t = -exp(-v)
        case "js":
            return softplus(v) - math.log(2)  # -log(2 - exp(t)) at exp(t) = 2 sigmoid(v)
        case "pearson":
            return 0.25 * v.square() + v
        case "hellinger":
            return bounded_exp(v) - 1  # t / (1 - t) at t = 1 - exp(-v)
        case "total_variation":
            return 0.5 * v.tanh()
    raise ValueError(f"there is no divergence called {divergence}")


def probability_of_real(divergence: str, v: Tensor) -> Tensor:
    """Return p / (p + q) where v is optimal, g_f(v) = f'(p / q) (Nowozin 2016, section 2.2 with table 6).

    The total variation's f' is only a sign: its optimal v is unbounded and tells no ratio, so that v itself is returned.
    """
    match divergence:
        case "kl":
            return (v - 1).sigmoid()  # v = 1 + log(p / q)
        case "reverse_kl" | "js":
            return v.sigmoid()  # v = log(p / q)
        case "pearson":
            ratio = relu(1 + v / 2)  # v = 2 (p / q - 1)
            return ratio / (1 + ratio)
        case "hellinger":
            return (2 * v).sigmoid()  # v = log(p / q) / 2
        case "total_variation":
            return v
    raise ValueError(f"there is no divergence called {divergence}")


class FDivergence(Rule):
    """Variational f-divergence minimization (Nowozin 2016, eq. 7 with the activations of table 6).

    The discriminator maximizes E g_f(s_real) - E f*(g_f(s_fake)).  The generator minimizes that bound where
    `saturating`, else it maximizes E g_f(s_fake), the paper's alternative (section 3.2).  An encoder does the same on the
    other side: it minimizes the bound, else E f*(g_f(s_real)), whose gradient is there when the discriminator is sure
    (but for the total variation, both of whose terms are tanh(s) / 2).
    """

    def __init__(self, divergence: str, saturating: bool) -> None:
        self.divergence = divergence
        self.saturating = saturating
        self.undecided = 1.0 if divergence == "kl" else 0.0  # where g_f is f'(1)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return conjugate(self.divergence, fake).mean() - activation(self.divergence, real).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        if self.saturating:
            return -conjugate(self.divergence, fake).mean()
        return -activation(self.divergence, fake).mean()

    def encoder(self, real: Tensor) -> Tensor:
        term = activation if self.saturating else conjugate
        return term(self.divergence, real).mean()

    def score(self, outputs: Tensor) -> Tensor:
        return probability_of_real(self.divergence, outputs)


def rule_of(options: LossOptions) -> Rule:
    """Return the rule that the options name."""
    match options.rule:
        case "minimax":
            return Minimax(options.label_smoothing)
        case "nonsaturating":
            return NonSaturating(options.label_smoothing)
        case "maximum_likelihood":
            return MaximumLikelihood(options.label_smoothing)
        case "lsgan":
            return LeastSquares(options.label_smoothing)
        case "hinge":
            return Hinge()
        case "wgan":
            return Wasserstein()
        case "rpgan":
            return RelativisticPairing()
        case "fgan":
            return FDivergence(options.divergence, options.saturating)
    raise ValueError(f"there is no rule called {options.rule}")
