"""What a run's configuration says about how its figures are to be read and what may be changed (torch-free)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PROBABILITY, TARGET, MARGIN, LOGIT_GAP = "probability", "target", "margin", "logit gap"
READINGS = {"minimax": PROBABILITY, "nonsaturating": PROBABILITY, "maximum_likelihood": PROBABILITY, "lsgan": TARGET,
            "hinge": MARGIN, "rpgan": LOGIT_GAP}  # of the recorded D(x) and D(G(z)); no entry: they bound nothing


@dataclass(frozen=True)
class Setting:
    """The loss, the rates and the turns of a run."""

    discriminators: tuple[str, ...]  # the players that discriminate
    rule: str  # none: the model brings its own losses
    reading: str | None  # what the recorded D(x) and D(G(z)) are; None where they are on no known scale
    saturating: bool  # the generator's loss is flat where the discriminator is sure
    lr: Mapping[str, float]
    betas: tuple[float, float] | None  # of Adam
    discriminator_turns: int
    penalized: bool  # the discriminator's gradient is held by a penalty or a bound on its weights
    label_smoothing: float
    clip_grad_norm: float | None
    averaged: bool
    model: Mapping[str, Any]

    @classmethod
    def of(cls, config: Mapping[str, Any], discriminators: Sequence[str] = ("discriminator",)) -> "Setting":
        """Read a run's resolved configuration (config.yaml).

        Args:
            discriminators: of the model (Model.discriminators).
        """
        loss, optimizer, trainer = config["loss"], config["optimizer"], config["trainer"]
        rule = loss["rule"]
        reading = READINGS.get(rule)
        if rule == "fgan" and loss["divergence"] != "total_variation":
            reading = PROBABILITY  # the ratio of densities can be read from every other divergence's output
        own = {player: optimizer[player]["lr"] for player in ("discriminator", "generator")}
        return cls(tuple(discriminators), rule, reading, rule == "minimax" or (rule == "fgan" and loss["saturating"]),
                   {player: optimizer["lr"] if lr is None else lr for player, lr in own.items()},
                   tuple(optimizer["betas"]) if optimizer["name"] in ("adam", "adamw") else None,
                   trainer["discriminator_turns"], _penalized(loss), loss["label_smoothing"], trainer["clip_grad_norm"],
                   trainer["ema_kimg"] is not None, config["model"])

    @property
    def exchangeable(self) -> bool:
        """Whether the loss is one of those that can be chosen, with their penalties."""
        return self.rule != "none"


def _penalized(loss: Mapping[str, Any]) -> bool:
    weights = [loss[name]["weight"] for name in ("gradient_penalty", "dragan", "r1", "r2")]
    return any(weights) or loss["weight_clip"] is not None or loss["spectral_norm"]
