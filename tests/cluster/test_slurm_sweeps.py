"""Sweeps under a real Slurm: what clusters do to jobs, and what is left when they have done it."""

import json
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from running import gan as run_gan
from slurm import QUEUED, TINY, ended, gan, number_of, status, trains, until, weights

from gancli.runs.status import read_status

PREEMPTIONS = int(os.environ.get("GANCLI_PREEMPTIONS", 4))
LONG = "trainer.kimg=10"  # seconds of training


def undisturbed(folder: Path, *settings: str) -> dict:
    """Return the weights of a run that nothing interrupts."""
    run_gan("train", *TINY, *settings, f"run_dir={folder}", cwd=folder.parent, timeout=600, OMP_NUM_THREADS="1")
    return weights(folder)


def assert_equal(run: Path, theirs: dict) -> None:
    mine = weights(run)
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine), run


def test_a_sweep_of_two_by_three_of_which_jobs_fail_are_canceled_and_time_out(slurm, tmp_path):
    sweep = tmp_path / "sweep"
    parent = gan("train", "-m", *TINY, LONG, "seed=0,1,-1", "trainer.accumulate=1,2", f"hydra.sweep.dir={sweep}", *QUEUED,
                 cwd=tmp_path)
    until(lambda: trains(sweep / "0") and trains(sweep / "1"), "two jobs that train")
    assert json.loads((sweep / "status.json").read_text())["status"] == "running"
    listed = run_gan("list", "runs", "--root", str(sweep), cwd=tmp_path, COLUMNS="300").stdout
    assert listed.count("running") == 2
    slurm.warn(number_of(sweep, 0), "USR2")  # as at its time limit
    slurm.ask("scancel", number_of(sweep, 3))  # it waits, and never starts
    slurm.ask("scontrol", "update", "nodename=n2", "state=drain", "reason=test")
    until(lambda: status(sweep / "0") == "stopped", "a job that has saved")
    assert (read_status(sweep / "0").why).startswith("SIGUSR2 after")
    output = ended(parent, 1)
    assert "submitit" not in output and "sacct" not in output and "Traceback" not in output, output
    assert [status(sweep / str(job)) for job in range(6)] == ["finished"] * 3 + ["failed"] * 3, output
    assert "has left the queue without a report" in read_status(sweep / "3").why
    assert all("seed must be at least 0" in read_status(sweep / job).why for job in "45")
    assert "[0] stopped: SIGUSR2" in output and "Continuing from" in (sweep / "0" / "log.txt").read_text()
    assert "Open: 3 of 6 jobs" in output
    assert_equal(sweep / "0", undisturbed(tmp_path / "alone", LONG))
    progress = json.loads((sweep / "status.json").read_text())
    assert progress["status"] == "failed" and progress["jobs"] == {"finished": 3, "failed": 3} and progress["of"] == 6


def test_jobs_that_make_room_for_urgent_ones_save_wait_and_continue(slurm, tmp_path):
    sweep = tmp_path / "sweep"
    parent = gan("train", "-m", *TINY, LONG, "seed=0,1", f"hydra.sweep.dir={sweep}", *QUEUED, "hydra.launcher.partition=spare",
                 cwd=tmp_path)
    until(lambda: trains(sweep / "0") and trains(sweep / "1"), "two jobs that train")
    subprocess.run(["srun", "-p", "urgent", "-N2", "sleep", "0.5"], check=True, timeout=120)
    assert [status(sweep / job) for job in "01"] == ["stopped"] * 2
    assert all(read_status(sweep / job).why.startswith("SIGTERM after") for job in "01")
    output = ended(parent, 0)
    for job in "01":
        assert "Continuing from" in (sweep / job / "log.txt").read_text()
    assert "goes back into the queue" in "".join(path.read_text() for path in sweep.glob(".submitit/*/*.out")), output
    assert_equal(sweep / "1", undisturbed(tmp_path / "alone", LONG, "seed=1"))


def test_a_canceled_job_stays_stopped_and_its_sweep_goes_on_later(slurm, tmp_path):
    sweep = tmp_path / "sweep"
    parent = gan("train", "-m", *TINY, LONG, "seed=0", f"hydra.sweep.dir={sweep}", *QUEUED, cwd=tmp_path)
    until(lambda: trains(sweep / "0"), "a job that trains")
    number, = slurm.queue()
    slurm.ask("scancel", number)
    output = ended(parent, 3)
    assert status(sweep / "0") == "stopped", output
    until(lambda: not slurm.queue(), "a queue that the job has left")
    assert read_status(sweep / "0").why.startswith("SIGTERM after")
    ended(gan("train", f"resume={sweep}", cwd=tmp_path), 0)
    assert status(sweep / "0") == "finished"
    assert_equal(sweep / "0", undisturbed(tmp_path / "alone", LONG))


def test_a_sweep_whose_command_is_killed_goes_on(slurm, tmp_path):
    sweep = tmp_path / "sweep"
    parent = gan("train", "-m", *TINY, LONG, "seed=0,1,2", f"hydra.sweep.dir={sweep}", *QUEUED, cwd=tmp_path)
    until(lambda: trains(sweep / "0") and trains(sweep / "1"), "two jobs that train")
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    assert sorted(slurm.queue().values()) == ["PENDING", "RUNNING", "RUNNING"], "Slurm's jobs outlive the sweep's command"
    output = ended(gan("train", f"resume={sweep}", cwd=tmp_path), 0)
    assert "1 job of an earlier sitting waited in Slurm's queue and is queued anew" in output
    assert [status(sweep / job) for job in "012"] == ["finished"] * 3, output
    assert all((sweep / job / "log.txt").read_text().count("Run directory") == 1 for job in "012"), "each was trained once"


def test_optuna_learns_from_jobs_of_a_queue(slurm, tmp_path):
    sweep = tmp_path / "study"
    settings = [word for word in TINY if not word.startswith("evaluation")]
    output = ended(gan("train", "-m", *settings, "trainer.kimg=0.1", "evaluation.kimg=0.1", "evaluation.n=16",
                       "evaluation.real=16", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "hydra/sweeper=optuna",
                       "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2", f"hydra.sweep.dir={sweep}", *QUEUED,
                       cwd=tmp_path), 0)
    assert [status(sweep / str(job)) for job in range(4)] == ["finished"] * 4, output
    assert "Best:" in output


def has_begun(sweep: Path, number: str) -> bool:
    """Whether a job's worker is there in this sitting: before, Slurm's signal ends what has no handler yet."""
    said = "".join(path.read_text() for path in (sweep / ".submitit" / number).glob("*.out"))
    return said.count(TINY[0]) > said.count("goes back into the queue")


def disturb(slurm, sweep: Path, job: int, wanted: int, parent: subprocess.Popen) -> int:
    """Warn a job of a sweep at random moments of its start and of its training, as Slurm does; return how often."""
    moments, number, done = random.Random(job), number_of(sweep, job), 0
    while parent.poll() is None and done < wanted:
        in_training = moments.random() < 0.6  # and else while it starts
        begun = slurm.queue().get(number) == "RUNNING" and has_begun(sweep, number)
        if begun and (trains(sweep / str(job)) or not in_training):
            time.sleep(moments.uniform(0, 1))
            done += slurm.warn(number, moments.choice(["USR1", "USR2"]))
        time.sleep(0.1)
    return done


def test_an_array_that_is_preempted_at_random_moments_ends_as_if_it_had_not_been(slurm, tmp_path, capsys):
    sweep, seeds = tmp_path / "sweep", [0, 1, 2, 3] if PREEMPTIONS > 8 else [0, 1]
    each = PREEMPTIONS // len(seeds)
    length = f"trainer.kimg={6 * each}"  # several times what a job trains between so many warnings
    parent = gan("train", "-m", *TINY, length, f"seed={','.join(map(str, seeds))}", f"hydra.sweep.dir={sweep}", *QUEUED,
                 cwd=tmp_path)
    until(lambda: trains(sweep / "0"), "a job that trains")
    with ThreadPoolExecutor() as pool:
        sent = sum(pool.map(lambda job: disturb(slurm, sweep, job, each, parent), range(len(seeds))))
    output = ended(parent, 0)
    restarts = "".join(path.read_text() for path in sweep.glob(".submitit/*/*.out")).count("goes back into the queue")
    continued = sum((sweep / str(job) / "log.txt").read_text().count("Continuing from") for job in range(len(seeds)))
    for job, seed in enumerate(seeds):
        assert status(sweep / str(job)) == "finished", output
        assert_equal(sweep / str(job), undisturbed(tmp_path / f"alone-{seed}", length, f"seed={seed}"))
    with capsys.disabled():
        print(f"\n{sent} warnings sent, {restarts} jobs queued again by themselves, {continued} sittings that continued, "
              f"{len(seeds)} runs with equal weights at their end", flush=True)
    assert sent == each * len(seeds) and continued


@pytest.mark.parametrize(("settings", "told"), [
    (("hydra.launcher.partition=nowhere",), r"Slurm refuses these jobs: .*artition.*Give hydra.launcher.partition=.*main"),
    (("hydra.launcher.partition=members",), r"Slurm refuses these jobs: .*ccount.*Give hydra.launcher.account="),
    (("hydra.launcher.cpus_per_task=64",), r"Slurm refuses these jobs: .*give other hydra.launcher. settings"),
    (("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=90"), r"ends a job before it is told to save"),
    (("hydra.launcher.nodes=2",), r"A job of a sweep is one process"),
])
def test_what_slurm_would_refuse_is_one_sentence_and_nothing_is_created(settings, told, slurm, tmp_path):
    import re

    done = run_gan("train", "-m", *TINY, "seed=0,1", f"hydra.sweep.dir={tmp_path / 'sweep'}", "hydra/launcher=submitit_slurm",
                   *settings, cwd=tmp_path, check=None)
    assert done.returncode == 2 and re.search(told, done.stderr), done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "sweep").exists() and not slurm.queue()


