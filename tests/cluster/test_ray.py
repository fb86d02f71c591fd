"""A sweep by Ray, in an environment of its own: hydra-ray-launcher wants a cloudpickle that joblib refuses.

GANCLI_RAY names that environment's Python.
"""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from running import environment
from slurm import PATIENCE_S, TINY, status, trains, until

from gancli.runs.status import read_status

PYTHON = os.environ.get("GANCLI_RAY", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="GANCLI_RAY names no Python with gancli[ray]: see docs/cluster.md")
RAY = ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false")


def ray(*arguments: str, cwd: Path) -> subprocess.Popen:
    return subprocess.Popen([PYTHON, "-m", "gancli", "train", *arguments], cwd=cwd, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True,
                            env=environment(OMP_NUM_THREADS="1", COLUMNS="200", RAY_DEDUP_LOGS="0"))


def test_a_sweep_by_ray_of_which_a_job_is_killed_goes_on(tmp_path):
    sweep = tmp_path / "sweep"
    parent = ray("-m", *TINY, "trainer.kimg=4", "seed=0,1,-1", f"hydra.sweep.dir={sweep}", *RAY, cwd=tmp_path)
    until(lambda: trains(sweep / "0") and trains(sweep / "1") or parent.poll() is not None, "two jobs that train")
    assert parent.poll() is None, parent.communicate()
    os.kill(read_status(sweep / "0").pid, signal.SIGKILL)
    output = parent.communicate(timeout=PATIENCE_S)[0]
    assert parent.returncode == 1, output
    assert [status(sweep / job) for job in "012"] == ["killed", "finished", "failed"], output
    assert "seed must be at least 0" in read_status(sweep / "2").why
    assert json.loads((sweep / "status.json").read_text())["jobs"] == {"killed": 1, "finished": 1, "failed": 1}
    again = ray(f"resume={sweep}", *RAY[1:], cwd=tmp_path)
    output = again.communicate(timeout=PATIENCE_S)[0]
    assert again.returncode == 1, output  # of the job that must fail
    assert [status(sweep / job) for job in "012"] == ["finished", "finished", "failed"], output
