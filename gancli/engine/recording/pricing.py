"""What a run will take, told once its first seconds have been measured, and again in each phase of training."""

import time

from gancli.engine.recording.calendar import Calendar
from gancli.game.model import Progress
from gancli.monitor.durations import clock, in_words

AFTER_S, FEWEST = 5.0, 5  # seconds of turns, and rounds of them, that the price is measured on
PASSED_OVER = 2  # the first rounds find memory and kernels


class Pricing:
    """Watches the first rounds of each phase."""

    def __init__(self, calendar: Calendar, generated: int) -> None:
        """Begin.

        Args:
            generated: examples of an evaluation, 0 where there is none.
        """
        self.calendar, self.generated = calendar, generated
        self.look_s = 0.0  # that a grid took; a continued run has drawn none at first
        self.example_s = 0.0  # that making an example of it took
        self.phase: str | None = None
        self.rounds, self.shown, self.seconds = 0, 0, 0.0
        self.last = time.monotonic()
        self.told = False

    def go_on(self) -> None:
        """Note that turns go on after something else."""
        self.last = time.monotonic()

    def played(self, progress: Progress, shown: int, later_phases: bool) -> str | None:
        """Return the price where a phase has now been measured; never waits for the device.

        Args:
            later_phases: whether another phase comes, whose rounds cost something else.
        """
        now = time.monotonic()
        if progress.phase != self.phase:
            self.phase, self.rounds, self.shown, self.seconds, self.told = progress.phase, 0, 0, 0.0, False
        self.rounds += 1
        if self.rounds > PASSED_OVER:
            self.shown, self.seconds = self.shown + shown, self.seconds + now - self.last
        self.last = now
        if self.told or self.rounds < FEWEST or self.seconds < AFTER_S or progress.images >= progress.total:
            return None
        self.told = True
        return self._sentence(progress, later_phases)

    def _sentence(self, progress: Progress, later_phases: bool) -> str:
        speed = self.shown / self.seconds
        turns_s = (progress.total - progress.images) / speed
        evaluation_s = self.generated * self.example_s
        looks = self._left(progress, "pictures") * self.look_s + self._left(progress, "evaluation") * evaluation_s
        left = turns_s + looks
        beside = f"grids and evaluations {in_words(looks)}" if self.look_s else "without grids and evaluations"
        phase = f" in the phase {progress.phase}; later phases cost something else" if later_phases else ""
        return (f"Price: {speed / 1000:.3g} kimg/s measured{phase}, about {in_words(left)} left, done at {clock(left)} "
                f"({beside})")

    def _left(self, progress: Progress, name: str) -> float:
        """Return how often something is still due."""
        kimg = self.calendar.every.get(name)
        return 0 if not kimg else -(-(progress.total - progress.images) // (1000 * kimg))
