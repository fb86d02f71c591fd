"""The checkpoints of a run: what stands in one, which is marked as the best, and which are kept."""

from copy import deepcopy

from torch import Tensor

from gancli.data.dataset import Data
from gancli.engine.plan import Plan
from gancli.engine.recording.evaluation import Evaluation
from gancli.engine.recording.saving import Writer, snapshot
from gancli.engine.recording.standing import Standing
from gancli.errors import UserError
from gancli.game.model import Progress
from gancli.runs.atomic import write_json
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.files import EVALUATION
from gancli.runs.status import write_status


class Checkpointing:
    """Saves the state of a run; the disk's part is done by `writer` while training goes on."""

    def __init__(self, plan: Plan, data: Data, standing: Standing, writer: Writer) -> None:
        self.dir, self.keep = plan.run_dir, plan.trainer.keep
        self.folder = CheckpointFolder(plan.run_dir)
        self.fixed = {"config": plan.config, "spec": data.spec.as_dict()}  # in every header
        self.fingerprint = data.fingerprint
        self.standing, self.writer = standing, writer

    def save(self, tensors: dict[str, Tensor], progress: Progress, training_s: float, evaluation: Evaluation | None) -> None:
        """Save the state of the run as it is now, mark it if it is the best, and remove what the policy does not keep.

        A failure of the disk ends the run at a later tick.
        """
        follower = None if evaluation is None else evaluation.follower
        header = deepcopy({**self.fixed, "progress": progress.as_dict(),
                           "extra": {"data_fingerprint": self.fingerprint, "training_s": training_s,
                                     "best": None if follower is None else follower.state}})
        is_best = follower is not None and follower.best is not None and follower.best["images"] == progress.images
        if is_best:
            self.standing.best(follower.best)
        images, tensors, status = progress.images, snapshot(tensors), self.standing.status
        protocols = deepcopy(evaluation.protocols) if is_best else None

        def write() -> None:
            if not self.dir.is_dir():  # else the checkpoint would make it again
                raise UserError(f"The folder {self.dir} was removed while its run trained.")
            path = self.folder.save(images, tensors, header)
            if is_best:
                self.folder.mark_best(path)
                write_json(self.dir / EVALUATION, protocols)
            self.folder.prune(self.keep)
            write_status(self.dir, status)

        self.writer.start(write)
