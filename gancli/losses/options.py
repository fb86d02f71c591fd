"""Options of the adversarial loss, its penalties, constraints and stabilizers (group `loss`; free of torch)."""

import math
from dataclasses import dataclass, field

from gancli.errors import check_choice, check_range
from gancli.options import Recipe

RULES = ("none", "minimax", "nonsaturating", "maximum_likelihood", "lsgan", "hinge", "wgan", "fgan", "rpgan")
DIVERGENCES = ("kl", "reverse_kl", "js", "pearson", "hellinger", "total_variation")
DISTANCES = ("squared", "mean_squared", "mean_absolute")
MOST_PACKED = 4  # examples that Lin 2018 packs at most


@dataclass
class Penalty:
    """A penalty added to the discriminator's loss."""

    weight: float  # 0 switches it off
    interval: int  # lazy: applied every `interval`-th turn, its weight multiplied by `interval` (Karras 2020)

    def __post_init__(self) -> None:
        check_range("weight", self.weight, 0)
        check_range("interval", self.interval, 1)

    def due(self, turn: int) -> bool:
        """Whether the penalty is part of the loss on this turn of its player."""
        return self.weight > 0 and turn % self.interval == 0


@dataclass
class GradientPenalty(Penalty):
    """The gradient penalty of Gulrajani 2017."""

    one_sided: bool  # punish only norms above 1 (Gulrajani 2017, section 4)


@dataclass
class FeatureMatching:
    """The generator matches the mean of a layer's features over the batch (Salimans 2016, section 3.1)."""

    weight: float = 0.0  # 0 switches it off
    instead: bool = True  # it is the generator's whole loss (the paper); false: it is added to the adversarial one
    layer: str | None = None  # of the discriminator, by its name; null: what the layer of the logits takes
    distance: str = "squared"  # of the means, one of DISTANCES: |.|^2 (the paper), or a mean over features (its code)

    def __post_init__(self) -> None:
        check_range("loss.feature_matching.weight", self.weight, 0)
        check_choice("loss.feature_matching.distance", self.distance, DISTANCES)


@dataclass
class TopK:
    """Only the generated examples that the discriminator finds most real teach the generator (Sinha 2020)."""

    floor: float = 1.0  # the least share of a batch that does (nu); 1 switches it off
    decay: float = 0.99  # the share is multiplied by it after each pass over the data (gamma)

    def __post_init__(self) -> None:
        check_range("loss.top_k.floor", self.floor, 0, 1, open_low=True)
        check_range("loss.top_k.decay", self.decay, 0, 1, open_low=True)

    def of(self, n: int, passes: int) -> int:
        """Return how many of n examples count after so many whole passes over the data, at least 1."""
        return max(1, math.ceil(n * max(self.decay**passes, self.floor)))


@dataclass
class MinibatchDiscrimination:
    """The discriminator sees how close an example is to the others of its batch (Salimans 2016, section 3.2)."""

    kernels: int = 0  # similarities for each example (B); 0 switches it off
    size: int = 5  # numbers that each compares (C)

    def __post_init__(self) -> None:
        check_range("loss.minibatch_discrimination.kernels", self.kernels, 0)
        check_range("loss.minibatch_discrimination.size", self.size, 1)


@dataclass(kw_only=True)
class LossOptions:
    """Adversarial rule with every penalty and stabilizer as a switch; checkpoints may be older than those with defaults."""

    name: str  # what runs are listed under: the option of the group
    rule: str  # one of RULES
    divergence: str  # of rule=fgan, one of DIVERGENCES
    saturating: bool  # of rule=fgan: the generator minimizes the divergence's bound itself (Nowozin 2016, eq. 6)
    label_smoothing: float  # one-sided: the real target is 1 - label_smoothing (Salimans 2016, section 3.4)
    gradient_penalty: GradientPenalty
    dragan: Penalty
    r1: Penalty  # weight is gamma: gamma/2 E |grad D(x)|^2
    r2: Penalty
    weight_clip: float | None  # the discriminator's weights are clipped to [-weight_clip, weight_clip]
    spectral_norm: bool  # of every weight of the discriminator
    orthogonal_init: bool  # of every weight of every player, in place of the paper's initialization
    feature_matching: FeatureMatching = field(default_factory=FeatureMatching)
    historical_averaging: float = 0.0  # weight of |theta - mean of theta|^2 in each player's loss (Salimans 2016, 3.3)
    top_k: TopK = field(default_factory=TopK)
    packing: int = 1  # examples that the discriminator judges together (Lin 2018)
    minibatch_discrimination: MinibatchDiscrimination = field(default_factory=MinibatchDiscrimination)
    minibatch_stddev: int | None = None  # examples of a group; 0: the whole batch is one (Karras 2018); null: off
    virtual_batch_norm: int | None = None  # reference examples, in place of the generator's batch norm (Salimans 2016, 3.5)
    recipe: Recipe

    def __post_init__(self) -> None:
        check_choice("loss.rule", self.rule, RULES)
        check_choice("loss.divergence", self.divergence, DIVERGENCES)
        check_range("loss.label_smoothing", self.label_smoothing, 0, 0.5)
        check_range("loss.weight_clip", self.weight_clip, 0, open_low=True)
        if self.label_smoothing and self.rule not in ("minimax", "nonsaturating", "maximum_likelihood", "lsgan"):
            raise ValueError(f"loss.label_smoothing needs a loss with a target for real images; {self.rule} has none: "
                             "set loss.label_smoothing=0")
        if self.spectral_norm and self.weight_clip is not None:
            raise ValueError("loss.spectral_norm and loss.weight_clip both bound the discriminator's weights: "
                             "set loss.weight_clip=null or loss.spectral_norm=false")
        check_range("loss.historical_averaging", self.historical_averaging, 0)
        check_range("loss.packing", self.packing, 1, MOST_PACKED)
        check_range("loss.minibatch_stddev", self.minibatch_stddev, 0)
        check_range("loss.virtual_batch_norm", self.virtual_batch_norm, 2)
        self._check_generators()

    def _check_generators(self) -> None:
        """Refuse what would ask two things of the generator's loss."""
        matches = self.feature_matching.weight > 0
        if self.rule == "none" and (matches or self.picks or self.packing > 1):
            key = "feature_matching" if matches else "top_k" if self.picks else "packing"
            raise ValueError(f"loss.{key} changes an adversarial loss, and loss={self.name} has none: leave it out")
        if self.picks and self.packing > 1:
            raise ValueError(f"loss.top_k picks examples by their own logits, and with loss.packing={self.packing} a logit is "
                             "of several: set loss.packing=1 or loss.top_k.floor=1")
        if self.picks and matches and self.feature_matching.instead:
            raise ValueError("loss.feature_matching takes the place of the generator's adversarial loss, of which loss.top_k "
                             "picks a part: set loss.feature_matching.instead=false or loss.top_k.floor=1")

    @property
    def picks(self) -> bool:
        """Whether only some generated examples teach the generator."""
        return self.top_k.floor < 1

    @property
    def on_discriminators(self) -> list[str]:
        """The options that are switched on and mean nothing without a discriminator."""
        penalties = [key for key in ("gradient_penalty", "dragan", "r1", "r2") if getattr(self, key).weight > 0]
        bounds = {"weight_clip": self.weight_clip is not None, "spectral_norm": self.spectral_norm,
                  "minibatch_discrimination": self.minibatch_discrimination.kernels > 0,
                  "minibatch_stddev": self.minibatch_stddev is not None}
        return [*penalties, *(key for key, on in bounds.items() if on)]

    @property
    def punishes_input_gradients(self) -> bool:
        """Whether a penalty takes the discriminator's gradient per example, which batch norm makes meaningless."""
        return any(penalty.weight > 0 for penalty in (self.gradient_penalty, self.dragan, self.r1, self.r2))
