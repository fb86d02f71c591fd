"""The run's folder belongs to one game at a time: claimed by its first rank, and as it was planned."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gancli.engine.plan import Plan
from gancli.errors import UserError
from gancli.ranks import shards
from gancli.runs.checkpoint import CheckpointFolder, images_of
from gancli.runs.files import SAMPLES
from gancli.runs.header import verify
from gancli.runs.owner import owned


@contextmanager
def owning(plan: Plan) -> Iterator[None]:
    """Own the plan's folder for a block; a UserError where another process trains there, or did since it was planned.

    A folder that was made for this run goes again where a user's mistake ends it before training began, as data do that
    turn out to be damaged when they are decoded.
    """
    if shards.rank() > 0:
        yield
        return
    is_new = not os.path.lexists(plan.run_dir)
    with owned(plan.run_dir):
        planned = -1 if plan.checkpoint is None else images_of(plan.checkpoint)
        for path in CheckpointFolder(plan.run_dir).list():
            if images_of(path) > planned and _is_whole(path):
                raise UserError(f"The run {plan.run_dir.name} has been trained by another process meanwhile: continue it "
                                f"with resume={plan.run_dir}.")
        try:
            yield
        except UserError:
            if is_new and not (plan.run_dir / SAMPLES).exists():  # the first thing that training makes
                shutil.rmtree(plan.run_dir, ignore_errors=True)
            raise
        except FileNotFoundError as error:
            where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else plan.run_dir
            if plan.run_dir.is_dir() and not where.is_relative_to(plan.run_dir):
                raise
            raise UserError(f"{where} is gone: a folder of the run was removed while it trained.") from None


def _is_whole(path) -> bool:
    try:
        verify(path)
        return True
    except (UserError, OSError):
        return False
