"""What the checkpoints of a sweep's jobs will take on disk, told before they are launched."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from gancli.config.compose import Swept
from gancli.runs.sweeps import key_of
from gancli.sweeps.matching import KEEP

MANY = 20  # jobs: asking takes seconds, which fewer are not worth
PATIENCE_S = 120
_BYTES = re.compile(r"^disk +about ([\d,]+) bytes", re.MULTILINE)


def disk_sentence(swept: Swept, overrides: list[str], config_dir: Path | None, folder: Path, best: int | None) -> str | None:
    """Return what the jobs will take, by what `gan validate` says of the first; None for few jobs or where it cannot say.

    It is asked in a process of its own: this one does without torch.
    """
    if swept.count < MANY:
        return None
    first = [f"{key}={swept.values[key][0]}" if swept.values.get(key := key_of(override)) else override
             for override in overrides if not key_of(override).startswith("hydra") and key_of(override) != KEEP]
    options = [] if config_dir is None else ["--config-dir", str(config_dir)]
    try:
        done = subprocess.run([sys.executable, "-m", "gancli", "validate", *options, *first], capture_output=True, text=True,
                              timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _BYTES.search(done.stdout)
    if found is None:
        return None
    each, jobs = int(found[1].replace(",", "")), swept.count if best is None else min(best, swept.count)
    free = shutil.disk_usage(next(path for path in (folder, *folder.absolute().parents) if path.exists())).free
    kept = "" if best is None else f" (sweep.keep=best:{best})"
    short = "" if jobs * each < free else ": too little; give sweep.keep=best:10, or a smaller trainer.keep="
    return f"Disk: the checkpoints of {jobs} jobs{kept} take about {_size(jobs * each)}, and {_size(free)} are free{short}."


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
