"""When a run is recorded: it follows from the images shown alone, so that all ranks come to the same answer."""

from gancli.engine.options import TrainerOptions
from gancli.game.model import Progress
from gancli.metrics.options import EvaluationOptions


class Calendar:
    """The intervals, in kimg, of figures, pictures, checkpoints and evaluations."""

    def __init__(self, trainer: TrainerOptions, evaluation: EvaluationOptions) -> None:
        self.every = {"figures": trainer.record_kimg, "pictures": trainer.sample_kimg, "checkpoint": trainer.checkpoint_kimg}
        if evaluation.on:
            self.every["evaluation"] = evaluation.kimg

    def due(self, progress: Progress, shown: int, stopping: bool) -> set[str]:
        """Return what is to be recorded after a round that showed so many images; everything at the end of the run.

        Figures are recorded with everything else, too: the means are those since the last time.
        """
        before, now = progress.images - shown, progress.images
        due = {name for name, kimg in self.every.items() if now >= progress.total or
               int(now // (1000 * kimg)) > int(before // (1000 * kimg))}
        return due | {"checkpoint"} if stopping else due
