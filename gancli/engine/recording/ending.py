"""How a run ends that no exception ends, and what is said of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.engine.recording.evaluation import Evaluation, Exhausted
from gancli.engine.recording.sitting import Sitting
from gancli.engine.recording.telling import as_typed
from gancli.game.model import Progress
from gancli.runs.config import flat
from gancli.runs.next_steps import words_of
from gancli.runs.stats import METRIC_TAG


@dataclass(frozen=True)
class Ending:
    """Whether a run finished or was stopped, and why."""

    status: str  # finished or stopped
    why: str = ""  # it was stopped, or it finished before its length

    @classmethod
    def of(cls, why: str | None) -> "Ending":
        """Return the ending for the reason that `play` has: None at the run's length."""
        return cls("finished") if why is None else cls("finished" if isinstance(why, Exhausted) else "stopped", str(why))

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.status == "finished"

    def reason(self, progress: Progress) -> str:
        """Return what status.json says."""
        return self.why if self.finished else f"{self.why} after {progress.kimg:g} kimg"

    def sentences(self, run_dir: Path, progress: Progress, sitting: Sitting, animation: Path | None,
                  evaluation: Evaluation | None) -> Iterator[str]:
        """Yield what a person is told at the end: where the results are."""
        if not self.finished:
            yield f"Stopped by {self.why} at {progress.kimg:g} kimg; saved."
            return
        early = f": {self.why}" if self.why else ""
        cost = sitting.cost
        yield (f"Finished {progress.kimg:g} kimg in {cost.seconds:.0f} s{early}; {cost.recording_share:.1%} of this sitting "
               "was recording and measuring.")
        yield f"{'Last texts:' if sitting.gallery.tokens else 'Last grid: '} {as_typed(sitting.gallery.last)}"
        if animation is not None:
            yield f"Animation:  {as_typed(animation)}"
        more = words_of(sitting.standing.status.next, as_typed(run_dir))
        if more:
            yield f"See more:   {' '.join(more)}"
        yield f"All of it:  gan show {as_typed(run_dir)}"
        if evaluation is not None and evaluation.follower.state is not None:
            best = evaluation.follower.summary()
            yield f"{best[:1].upper()}{best[1:]}."


def lasting(figures: dict[str, float], best: str | None = None) -> dict[str, float]:
    """Return the figures that tell of the result, and not of the way there: the deciding one first, then other metrics.

    Args:
        best: the deciding metric's name, as `swd(2000/60000)`.
    """
    kept = {tag: value for tag, value in figures.items() if not tag.startswith(("lr/", "memory/"))}
    return dict(sorted(kept.items(), key=lambda item: (item[0] != f"{METRIC_TAG}{best}", not item[0].startswith(METRIC_TAG))))


def hyperparameters(config: dict[str, Any]) -> dict[str, Any]:
    """Return what a configuration says by dotted keys, lists as text, as the board takes it."""
    return {key: json.dumps(value) if isinstance(value, list) else value for key, value in flat(config).items()
            if value not in (None, {})}


def told_apart(settings: Mapping[str, Any], differing: Sequence[str]) -> list[str]:
    """Return which of the settings a sweep's keys stand for: `optimizer.lr`, and `model.name` for the group `model`."""
    return [name for key in differing for name in (key, f"{key}.name") if name in settings]
