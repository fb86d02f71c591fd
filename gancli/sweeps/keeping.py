"""sweep.keep: which of a sweep's finished jobs keep their checkpoints; the records of all stay."""

import re
from collections.abc import Mapping
from pathlib import Path

from omegaconf import OmegaConf

from gancli.config.compose import Swept
from gancli.errors import UsageError
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.files import LOG
from gancli.runs.status import Status, now
from gancli.sweeps.matching import KEEP

_BEST = re.compile(r"best:([1-9]\d{0,5})")


def kept_best(swept: Swept) -> int | None:
    """Return how many of the best jobs keep their checkpoints; None where all do.

    Raises:
        UsageError: sweep.keep says neither, or the jobs would have no objective to be ranked by.
    """
    if KEEP in swept.values:
        raise UsageError(f"{KEEP} is of the sweep as a whole: give one value.")
    text = str(OmegaConf.select(swept.cfg, KEEP, default="all"))
    if text == "all":
        return None
    match = _BEST.fullmatch(text)
    if match is None:
        raise UsageError(f"{KEEP} is all or best:N, as in {KEEP}=best:10, not {text}.")
    if OmegaConf.select(swept.cfg, "evaluation.kimg") is None:
        raise UsageError(f"{KEEP}={text} ranks jobs by what evaluation measures: give evaluation.kimg=, or leave {KEEP}= out.")
    return int(match[1])


def delete_rest(jobs: Mapping[Path, Status], best: int, lower_is_better: bool) -> list[Path]:
    """Delete the checkpoints of finished jobs that are not among the best; say so in each job's log, and return which.

    A job that failed or was stopped keeps its own: it may be continued.
    """
    sign = 1 if lower_is_better else -1
    ranked = sorted((sign * status.objective, path) for path, status in jobs.items()
                    if status.status == "finished" and status.objective is not None)
    thinned = []
    for place, (value, path) in enumerate(ranked[best:], best + 1):
        checkpoints = CheckpointFolder(path).list()
        for checkpoint in checkpoints:
            checkpoint.unlink(missing_ok=True)
        if checkpoints:
            with open(path / LOG, "a", encoding="utf-8") as log:
                log.write(f"{now()} {KEEP}=best:{best}: {len(checkpoints)} checkpoints deleted; with {sign * value:.5g} this "
                          f"job is number {place} of those finished\n")
            thinned.append(path)
    return thinned
