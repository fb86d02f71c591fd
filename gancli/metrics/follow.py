"""Which evaluation was the best, and whether it is time to stop.

    follower = BestFollower(patience=options.patience, state=checkpoint.extra["best"])   # state: of a run that continues
    if follower.update(progress.images, measured):   # after every evaluation
        ...                                          # mark this checkpoint as the best: status.best = follower.best
    if follower.exhausted: ...                       # stop; follower.why says why
    print(follower.summary())                        # the run's last line
"""

import math
from collections.abc import Sequence
from typing import Any

from gancli.metrics.catalog import FIGURES
from gancli.metrics.protocol import Measured


class BestFollower:
    """Follows the deciding figure of the first metric; `state` is what it knows, in JSON types."""

    def __init__(self, patience: int | None = None, state: dict[str, Any] | None = None) -> None:
        """Start, or go on from the state of an earlier sitting."""
        self.patience = patience
        self.state: dict[str, Any] | None = None if state is None else dict(state)

    @property
    def best(self) -> dict[str, Any] | None:
        """What status.json shows: {"metric", "value", "images"}; None before the first finite figure."""
        if self.state is None or self.state["value"] is None:
            return None
        return {key: self.state[key] for key in ("metric", "value", "images")}

    @property
    def exhausted(self) -> bool:
        """Whether as many evaluations as the patience passed without improvement."""
        return self.patience is not None and self.state is not None and self.state["since"] >= self.patience

    @property
    def why(self) -> str:
        """The reason of a stop, as the record states it."""
        return f"no better {self.state['metric']} in {self.state['since']} evaluations"

    def update(self, images: int, measured: Sequence[Measured]) -> bool:
        """Take in the figures after so many images; returns whether the deciding one is the best so far.

        A figure of another name (another protocol) is not compared with the earlier ones: following begins anew.
        """
        deciding = next((figure for figure in measured if figure.decides), None)
        if deciding is None:
            return False
        state = self.state
        if state is None or state["metric"] != deciding.name:
            state = {"metric": deciding.name, "value": None, "images": images, "since": 0}
        value = deciding.value if math.isfinite(deciding.value) else None
        improved = value is not None and (state["value"] is None or
                                          (value < state["value"]) == deciding.lower_is_better and value != state["value"])
        best = {"value": value, "images": images, "since": 0} if improved else {"since": state["since"] + 1}
        self.state = {**state, **best, "last": value, "last_images": images}
        return improved

    def summary(self) -> str:
        """Return `best fid(...) 23.1 at 120 kimg; the last is 4.2 above it`; empty before the first evaluation."""
        state = self.state
        if state is None:
            return ""
        if state["value"] is None:
            return f"No {state['metric']} was finite."
        text = f"best {state['metric']} {state['value']:.4g} at {state['images'] / 1000:g} kimg"
        if state["last_images"] == state["images"]:
            return f"{text}, the last one"
        if state["last"] is None:
            return f"{text}; the last is not finite"
        difference = state["last"] - state["value"]
        side = "above" if difference > 0 else "below"
        return f"{text}; the last is {abs(difference):.3g} {side} it" if difference else f"{text}; the last equals it"


def better_word(figure: str) -> str:
    """Return which side of a figure is better, for tables."""
    return {True: "lower", False: "higher", None: ""}[FIGURES[figure].lower_is_better]
