"""Sweeps under every launcher and Optuna: killed, stopped and repeated, each time only what is open is run."""

import json
import os
import signal
import sqlite3
import sys

import pytest
import torch
from running import environment
from sweeps import GRID, TINY, kill, start, statuses, traces, train, wait_for

from gancli.runs.checkpoint import CheckpointFolder, read
from gancli.runs.find import list_runs
from gancli.runs.status import read_status

LONG = ("trainer.kimg=1", "trainer.checkpoint_kimg=0.02", "trainer.record_kimg=0.1", "device=cpu")
SHORT = ("trainer.kimg=0.04", "trainer.record_kimg=0.02", "device=cpu")


def continued(sweep, job):
    return "Continuing from" in (sweep / job / "log.txt").read_text()


def test_basic_sweep_killed_and_repeated(tmp_path):
    """The process that plays the jobs one after the other dies in the second of four."""
    sweep, again = tmp_path / "sweep", ("-m", *GRID, *TINY, *LONG, "hydra.sweep.dir=sweep")
    process = start("train", *again, cwd=tmp_path)
    kill(wait_for(sweep, "1")[0])
    process.communicate(timeout=60)
    assert statuses(sweep, 4) == ["finished", "killed", "not started", "not started"]
    before = traces(sweep)
    text = train(*again, cwd=tmp_path)
    assert statuses(sweep, 4) == ["finished"] * 4
    assert traces(sweep)["0"] == before["0"] and continued(sweep, "1") and not continued(sweep, "2")
    assert "4 jobs, 4 kimg in all, one after the other; 1 of them finished before." in text
    assert text.count("finished before ") == 1, "in the table"
    best = min((json.loads((sweep / f"{job}/status.json").read_text())["objective"], job) for job in range(4))[1]
    assert f"Best: sweep/{best}, " in text and f"look at it: gan show sweep/{best}" in text
    after = traces(sweep)
    assert "finished before" in train(*again, cwd=tmp_path) and traces(sweep) == after
    other = train("-m", "seed=0,1,2", *TINY, *LONG, "hydra.sweep.dir=sweep", cwd=tmp_path, check=2)
    assert "seed=0,1 in the sweep and seed=0,1,2 here" in other and traces(sweep) == after


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_one_of_parallel_jobs_killed(launcher, tmp_path):
    """Two jobs write at once, each on a GPU of its own (which are made up); one dies, the other never notices."""
    sweep = tmp_path / "sweep"
    again = ("-m", f"hydra/launcher={launcher}", *GRID, *TINY, *LONG[:-1], "hydra.sweep.dir=sweep")
    process = start("train", *again, cwd=tmp_path, CUDA_VISIBLE_DEVICES="5,7")
    kill(wait_for(sweep, "0", "1")[1])
    text = process.communicate(timeout=200)[0]
    assert statuses(sweep, 4) == ["finished", "killed", "finished", "finished"], text
    assert process.returncode == 1 and "gan train resume=" in text
    places = [json.loads((sweep / f"{job}/provenance.json").read_text())["cuda_visible_devices"] for job in range(4)]
    assert set(places) == {"5", "7"}
    before = traces(sweep)
    text = train(*again, cwd=tmp_path, CUDA_VISIBLE_DEVICES="5,7")
    after = traces(sweep)
    assert [job for job in before if after[job] != before[job]] == ["1"] and continued(sweep, "1")
    assert statuses(sweep, 4) == ["finished"] * 4 and text.count("finished before ") == 3
    assert sorted(run.id for run in list_runs(tmp_path)) == ["sweep/0", "sweep/1", "sweep/2", "sweep/3"]


def test_optuna_killed_and_resumed(tmp_path):
    """Eight trials; the process dies in the third, and resume= makes it eight."""
    sweep = tmp_path / "outputs/sweep/study"
    process = start("train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=8", *TINY, *SHORT,
                    "optimizer.lr=tag(log,interval(1e-5,1e-3))", "trainer.checkpoint_kimg=0.004",
                    "hydra.sweep.dir=outputs/sweep/study", cwd=tmp_path)
    kill(wait_for(sweep, "2")[0])
    process.communicate(timeout=60)
    assert statuses(sweep, 3) == ["finished", "finished", "killed"]
    before = traces(sweep)
    text = train("resume=study", cwd=tmp_path)
    assert statuses(sweep, 9) == ["finished"] * 8 + ["not started"], text
    assert traces(sweep)["0"] == before["0"] and traces(sweep)["1"] == before["1"] and continued(sweep, "2")
    rates = {json.loads((sweep / f"{job}/status.json").read_text())["overrides"][0] for job in range(8)}
    assert len(rates) == 8 and all(rate.startswith("optimizer.lr=") for rate in rates)
    with sqlite3.connect(sweep / "study.db") as study:
        states = [state for state, in study.execute("SELECT state FROM trials")]
    assert (states.count("COMPLETE"), states.count("RUNNING"), states.count("WAITING")) == (8, 0, 0)
    after = traces(sweep)
    train("resume=study", cwd=tmp_path)
    assert traces(sweep) == after and not (sweep / "8").exists()
    train("resume=study", "hydra.sweeper.n_trials=9", "hydra/launcher=joblib", cwd=tmp_path)
    assert statuses(sweep, 9) == ["finished"] * 9


def test_ctrl_c_stops_and_resume_continues(tmp_path):
    """A terminal sends Ctrl-C to every process; the running jobs save, the third is never started."""
    sweep = tmp_path / "outputs/sweep/stopped"
    process = start("train", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,1,2", *TINY, *LONG,
                    "trainer.kimg=30", f"hydra.sweep.dir={sweep}", cwd=tmp_path)
    wait_for(sweep, "0", "1")
    os.killpg(process.pid, signal.SIGINT)
    text = process.communicate(timeout=100)[0]
    assert process.returncode == 3, text
    assert statuses(sweep, 3) == ["stopped", "stopped", "not started"]
    assert "Open: 3 of 3 jobs; continue with: gan train resume=" in text and not (sweep / ".stop").exists()
    shown = max(json.loads((sweep / f"{job}/status.json").read_text())["images"] for job in range(2))
    train("resume=stopped", f"trainer.kimg={shown / 1000 + 0.1}", "hydra/launcher=basic", cwd=tmp_path)
    assert statuses(sweep, 3) == ["finished"] * 3


def test_sigterm_stops_a_basic_sweep(tmp_path):
    sweep = tmp_path / "sweep"
    process = start("train", "-m", "seed=0,1", *TINY, *LONG, "trainer.kimg=30", "hydra.sweep.dir=sweep", cwd=tmp_path)
    wait_for(sweep, "0")
    process.send_signal(signal.SIGTERM)
    text = process.communicate(timeout=100)[0]
    assert process.returncode == 3 and statuses(sweep, 2) == ["stopped", "not started"], text


def test_a_launcher_that_is_not_installed(tmp_path):
    plugin = tmp_path / "site/hydra_plugins/hydra_joblib_launcher"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").touch()  # hides the real one
    text = train("-m", "hydra/launcher=joblib", "seed=0,1", cwd=tmp_path, check=2,
                 PYTHONPATH=f"{tmp_path / 'site'}{os.pathsep}{environment()['PYTHONPATH']}")
    assert "hydra/launcher=joblib is not installed: pip install 'gancli[joblib]'." in text
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux alone")
def test_jobs_of_one_worker_are_forked_and_equal_the_same_job_alone(tmp_path):
    """Two jobs that differ in everything that could stay behind; the second is as if the first had never been."""
    settings = (*TINY, *SHORT, "loss=hinge", "trainer.ema_kimg=1")
    train("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1", "seed=1,0", "augment=noise,none", *settings,
          "hydra.sweep.dir=sweep", cwd=tmp_path)
    assert statuses(tmp_path / "sweep", 4) == ["finished"] * 4
    starts = {read_status(tmp_path / f"sweep/{job}").pid for job in range(4)}
    assert len(starts) == 4, "each has a process of its own"
    train("seed=0", "augment=none", *settings, "run_dir=alone", cwd=tmp_path)
    mine, other = (read(CheckpointFolder(tmp_path / run).latest()) for run in ("sweep/3", "alone"))
    assert mine.tensors.keys() == other.tensors.keys() and len(mine.tensors) > 8
    assert all(torch.equal(mine.tensors[name], other.tensors[name]) for name in mine.tensors)
