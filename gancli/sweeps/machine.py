"""What this machine offers to the jobs of a sweep, found without torch: how many at once, its GPUs and who has which."""

import getpass
import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gancli.runs.locks import try_lock

JOB_BYTES = 2 << 30  # memory that a training process may need beside the GPU's: torch alone takes half a GiB
GPUS = "GANCLI_GPUS"  # what the launching process found, for jobs whose launcher hides it (submitit does)
SHARES = 64  # jobs on one GPU that are still told apart


def gpus() -> list[str]:
    """Return the names of the CUDA GPUs that may be used, as CUDA_VISIBLE_DEVICES writes them."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return gpu_names(os.environ["CUDA_VISIBLE_DEVICES"])
    try:
        done = subprocess.run(["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True,
                              timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def gpu_names(visible: str) -> list[str]:
    """Return the GPUs that a value of CUDA_VISIBLE_DEVICES names; the first invalid one hides the rest, as CUDA has it."""
    names = []
    for name in (part.strip() for part in visible.split(",")):
        if not name or name.startswith("-"):
            break
        names.append(name)
    return names


def jobs_at_once(gpu_count: int, core_count: int, free: int | None) -> int:
    """Return how many jobs run at once: one a GPU, without GPUs one a core as far as memory goes."""
    if gpu_count:
        return gpu_count
    return max(1, core_count if free is None else min(core_count, free // JOB_BYTES))


@contextmanager
def one_gpu(names: Sequence[str], preferred: int, folder: Path | None = None):
    """Reserve the GPU that the fewest jobs of this user's sweeps have, beginning the search at number `preferred`.

    The reservation is a file lock, so it ends with the process that holds it, however that ends.

    Args:
        folder: where the locks lie; by default the machine's temporary folder, since another machine that sees
            the same files has GPUs of its own.

    Yields:
        an index into `names`; `preferred` modulo their number where files cannot be locked.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"gancli-gpus-{getpass.getuser()}"
    order = [(preferred + i) % len(names) for i in range(len(names))]
    for share in range(SHARES):
        for index in order:
            lock = try_lock(folder / f"{names[index].replace('/', '_')}.{share}")
            if lock is not None:
                with lock:
                    yield index
                return
    yield order[0]


@contextmanager
def gpu_environment(cfg: Any, number: int):
    """Reserve a GPU for job `number` of a sweep; yield the variables with which its process sees no other."""
    names = gpu_names(os.environ.get("CUDA_VISIBLE_DEVICES", "")) or gpu_names(os.environ.get(GPUS, ""))
    if not names:
        yield {}
    elif not takes_one_gpu(cfg):
        yield {"CUDA_VISIBLE_DEVICES": ",".join(names)}
    else:
        with one_gpu(names, number) as index:
            yield {"CUDA_VISIBLE_DEVICES": names[index]}


@contextmanager
def one_free_gpu(cfg: Any):
    """Reserve a GPU for a job in this process and name it in the job's configuration, where there are several.

    Jobs that follow each other take the same one, so that no memory stays behind on others.
    """
    names = gpus() if takes_one_gpu(cfg) else []
    if len(names) < 2 or not _torch_sees(len(names)):
        yield
        return
    with one_gpu(names, 0) as index:
        cfg.device = f"cuda:{index}"
        yield


def takes_one_gpu(cfg: Any) -> bool:
    """Whether a job leaves the choice of the GPU open and uses a single one."""
    return cfg.get("device") in ("auto", "cuda") and str(cfg.get("devices", 1)) == "1"


def _torch_sees(count: int) -> bool:
    import torch

    return torch.cuda.is_available() and torch.cuda.device_count() == count
