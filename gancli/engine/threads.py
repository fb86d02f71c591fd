"""How many threads a continued run computes with: as many as before, since the order of sums is theirs."""

import os

import torch

from gancli.capacity import cores
from gancli.engine.plan import Plan
from gancli.runs.provenance import read_provenance


def as_before(plan: Plan) -> None:
    """Take the number of threads of the run that is continued, where this machine has as many cores.

    OMP_NUM_THREADS counts before it, and ranks share the cores by their number.
    """
    if plan.checkpoint is None or plan.ranks > 1 or "OMP_NUM_THREADS" in os.environ:
        return
    threads = read_provenance(plan.run_dir).get("threads")
    if isinstance(threads, int) and not isinstance(threads, bool) and 1 <= threads <= cores():
        torch.set_num_threads(threads)
