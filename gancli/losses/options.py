"""Options of the adversarial loss, its penalties, constraints and stabilizers (group `loss`; free of torch)."""

from dataclasses import dataclass

from gancli.errors import check_choice, check_range
from gancli.options import Recipe

RULES = ("none", "minimax", "nonsaturating", "maximum_likelihood", "lsgan", "hinge", "wgan", "fgan", "rpgan")
DIVERGENCES = ("kl", "reverse_kl", "js", "pearson", "hellinger", "total_variation")


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
class LossOptions:
    """Adversarial rule with every penalty and stabilizer as a switch."""

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

    @property
    def on_discriminators(self) -> list[str]:
        """The options that are switched on and mean nothing without a discriminator."""
        penalties = [key for key in ("gradient_penalty", "dragan", "r1", "r2") if getattr(self, key).weight > 0]
        bounds = {"weight_clip": self.weight_clip is not None, "spectral_norm": self.spectral_norm}
        return [*penalties, *(key for key, on in bounds.items() if on)]

    @property
    def punishes_input_gradients(self) -> bool:
        """Whether a penalty takes the discriminator's gradient per example, which batch norm makes meaningless."""
        return any(penalty.weight > 0 for penalty in (self.gradient_penalty, self.dragan, self.r1, self.r2))
