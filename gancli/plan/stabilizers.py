"""All switches that help a game to settle: what each does, the paper, what to type, what it costs, and what it bears ill.

Free of torch: `gan list stabilizers` reads the table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]  # a run's, composed


@dataclass(frozen=True)
class Stabilizer:
    """One switch."""

    key: str  # to type
    text: str
    paper: str
    cost: str
    setting: Callable[[Config], str]  # what stands in a run, as it is typed; empty where it is off


def _stands(key: str, *off: Any) -> Callable[[Config], str]:
    """Return a function that tells a key's value in a run unless it is None, or one of those that switch it off."""

    def setting(config: Config) -> str:
        value: Any = config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None  # None where a run is older than the option
        return "" if value is None or value in off else f"{key}={str(value).lower() if value is True else value}"

    return setting


def _rates(config: Config) -> str:
    """Tell the players' rates where they are not alike."""
    optimizer = config["optimizer"]
    rates = {role: optimizer[role]["lr"] for role in ("discriminator", "generator")}
    rates |= {f"players.{player}": (own or {}).get("lr") for player, own in (optimizer.get("players") or {}).items()}
    return ", ".join(f"optimizer.{name}.lr={lr:g}" for name, lr in rates.items() if lr is not None and lr != optimizer["lr"])


def _augment(name: str) -> Callable[[Config], str]:
    return lambda config: f"augment={name}" if config.get("augment", {}).get("name") == name else ""


GRADIENTS = "a gradient through the discriminator, and one through that gradient, on its turn"
STABILIZERS = (
    Stabilizer("loss.label_smoothing=0.1", "the real target is 0.9, the generated one stays 0", "Salimans 2016, 3.4",
               "nothing", _stands("loss.label_smoothing", 0)),
    Stabilizer("loss.feature_matching.weight=1", "the generator matches the mean of a layer's features, in place of its "
               "loss or beside it (.instead=false)", "Salimans 2016, 3.1", "real examples pass the discriminator on the "
               "generator's turn, too", _stands("loss.feature_matching.weight", 0)),
    Stabilizer("loss.historical_averaging=0.01", "weights are drawn to their mean over the run", "Salimans 2016, 3.3",
               "memory of the weights once more", _stands("loss.historical_averaging", 0)),
    Stabilizer("loss.top_k.floor=0.5", "only generated examples that look most real teach the generator, fewer with each pass",
               "Sinha 2020", "a sort of the logits", _stands("loss.top_k.floor", 1)),
    Stabilizer("loss.packing=2", "the discriminator judges 2 to 4 examples at once", "Lin 2018", "a wider first layer, and "
               "that many times fewer passes through the others", _stands("loss.packing", 1)),
    Stabilizer("loss.minibatch_discrimination.kernels=16", "the discriminator sees how close an example is to its batch",
               "Salimans 2016, 3.2", "N x N x kernels x size differences of a batch of N",
               _stands("loss.minibatch_discrimination.kernels", 0)),
    Stabilizer("loss.minibatch_stddev=4", "the discriminator sees the deviation within groups of its batch", "Karras 2018",
               "little", _stands("loss.minibatch_stddev")),
    Stabilizer("loss.gradient_penalty.weight=10", "the discriminator's gradient is 1 between real and generated",
               "Gulrajani 2017", GRADIENTS, _stands("loss.gradient_penalty.weight", 0)),
    Stabilizer("loss.dragan.weight=10", "its gradient is 1 around the data", "Kodali 2017", GRADIENTS,
               _stands("loss.dragan.weight", 0)),
    Stabilizer("loss.r1.weight=1", "its gradient is 0 at the data", "Mescheder 2018, eq. 9", GRADIENTS,
               _stands("loss.r1.weight", 0)),
    Stabilizer("loss.r2.weight=1", "its gradient is 0 at generated examples", "Mescheder 2018, eq. 10", GRADIENTS,
               _stands("loss.r2.weight", 0)),
    Stabilizer("loss.weight_clip=0.01", "the discriminator's weights are clipped", "Arjovsky 2017", "nothing",
               _stands("loss.weight_clip")),
    Stabilizer("loss.spectral_norm=true", "its weights are divided by their largest singular value", "Miyato 2018",
               "a product of each weight with a vector, twice", _stands("loss.spectral_norm", 0)),
    Stabilizer("loss.orthogonal_init=true", "all weights start orthogonal", "Saxe 2014; Brock 2019", "nothing",
               _stands("loss.orthogonal_init", 0)),
    Stabilizer("loss.virtual_batch_norm=32", "the generator's batch norm is over a fixed batch of so many and the example",
               "Salimans 2016, 3.5", "the reference batch passes the generator each time, too",
               _stands("loss.virtual_batch_norm")),
    Stabilizer("augment=noise", "noise on what discriminators see, fading out", "Sonderby 2017; Arjovsky & Bottou 2017",
               "little", _augment("noise")),
    Stabilizer("augment=diffaugment", "random color, translation and cutout of what they see", "Zhao 2020",
               "the changes of all images that are judged", _augment("diffaugment")),
    Stabilizer("augment=ada", "such changes as often as the discriminator overfits", "Karras 2020",
               "the changes of all images that are judged", _augment("ada")),
    Stabilizer("optimizer.discriminator.lr=4e-4", "two time scales: rates of their own for the players", "Heusel 2017",
               "nothing", _rates),
    Stabilizer("trainer.scheme=extragradient", "how players step: simultaneous, extragradient, past_extragradient, "
               "optimistic, consensus", "Gidel 2019; Daskalakis 2018; Mescheder 2017", "extragradient two gradients a step, "
               "consensus gradients through gradients, the others nothing", _stands("trainer.scheme", "alternating")),
    Stabilizer("trainer.unrolled=5", "the generator looks so many discriminator steps ahead", "Metz 2017",
               "so many turns of the discriminator more, and gradients through them", _stands("trainer.unrolled", 0)),
    Stabilizer("trainer.ema_kimg=10", "samples come from averaged weights, whose half-life rises with the images shown "
               "(trainer.ema_ramp)", "Karras 2018; Karras 2020", "a pass over the generator's weights a round",
               _stands("trainer.ema_kimg")),
)


def bears_ill(config: Config) -> list[str]:
    """Return sentences on what is on together and works, but not as its papers had it."""
    loss, trainer = config["loss"], config["trainer"]
    on = {stabilizer.key.partition("=")[0] for stabilizer in STABILIZERS if stabilizer.setting(config)}
    batches = sorted(on & {"loss.minibatch_discrimination.kernels", "loss.minibatch_stddev"})
    gradients = sorted(on & {"loss.gradient_penalty.weight", "loss.dragan.weight", "loss.r1.weight", "loss.r2.weight"})
    found = []
    if batches and gradients:
        found.append(f"{batches[0]} lets an output depend on other examples, so that {gradients[0]} punishes gradients of the "
                     "batch and not of each example")
    if batches and trainer["accumulate"] > 1:
        found.append(f"{batches[0]} looks at each of the {trainer['accumulate']} parts of a batch for itself "
                     "(trainer.accumulate)")
    if "loss.packing" in on and gradients:
        found.append(f"{gradients[0]} is taken over a pack of {loss['packing']} examples: its norm is that of all together")
    if "loss.historical_averaging" in on and loss.get("weight_clip") is not None:
        found.append("loss.weight_clip moves weights after each step, which loss.historical_averaging then draws back")
    return found
