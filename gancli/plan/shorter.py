"""What to type once a price is known: the run itself, one that fits into minutes, and what makes a slow one quicker."""

import math
import shlex
from collections.abc import Iterator, Sequence

from gancli.engine.plan import Plan
from gancli.monitor.durations import in_words
from gancli.plan.price import Price
from gancli.runs.next_steps import unquoted

FITTING_S = 600.0  # what somebody waits for who only wants to see whether it works
LONG_S = 3600.0  # a whole run, from which smaller networks are spoken of
LENGTHS = ("trainer.kimg=", "trainer.epochs=")
QUICKER = ("width", "blocks", "units", "channel_base")  # options of networks on which the time depends most


def next_commands(cost: Price, plan: Plan, overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield lines for below the price.

    Args:
        cost: of the whole run.
        plan: the run.
        overrides: as they were given, without price=.
    """
    overrides = [unquoted(word) for word in overrides]
    yield "train", shlex.join(["gan", "train", *overrides])
    kimg = None if any(word.startswith("resume=") for word in overrides) else fitting_kimg(cost, FITTING_S)
    if kimg is not None:
        words = [word for word in overrides if not word.startswith(LENGTHS)]
        takes = in_words(_once_s(cost) + cost.training_s * 1000 * kimg / cost.images)
        yield "shorter", f"{shlex.join(['gan', 'train', *words, f'trainer.kimg={kimg:g}'])} (about {takes})"
    if cost.total_s > LONG_S:
        yield "quicker", _quicker(plan)


def fitting_kimg(cost: Price, seconds: float) -> float | None:
    """Return the length that takes so many seconds at most, in one digit, rounded down; None where the run is no longer.

    None, too, where phases cost different things, or where what is done at least once takes longer.
    """
    once = _once_s(cost)
    if cost.total_s <= seconds or cost.phases > 1 or once >= seconds:
        return None
    kimg = cost.images / 1000 * (seconds - once) / cost.training_s
    digit = 10.0 ** math.floor(math.log10(kimg))
    return float(f"{math.floor(kimg / digit) * digit:.6g}")


def _once_s(cost: Price) -> float:
    """Return the seconds of what any length has to do once."""
    return sum(share.seconds for share in cost.before) + sum(share.seconds / max(share.count, 1) for share in cost.beside)


def _quicker(plan: Plan) -> str:
    """Return which settings lower the price, with their values now."""
    settings = [f"model.{name} (now {value})" for name in QUICKER
                if isinstance(value := getattr(plan.model, name, None), int) and not isinstance(value, bool)]
    if plan.spec.is_image:
        height, width = plan.spec.shape[1:]
        settings.insert(0, f"dataset.size (now {height}x{width})")
    return f"give less of {', '.join([*settings, 'trainer.kimg'])}"
