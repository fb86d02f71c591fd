"""One run over two nodes of a real Slurm: the losses of one process, and what is left when a rank, a node or the time ends."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from running import ROOT, environment
from slurm import PATIENCE_S, TINY, status, trains, until

from gancli.runs.checkpoint import CheckpointFolder, images_of
from gancli.runs.status import read_status

RECIPE = ROOT / "scripts" / "train_on_nodes.sbatch"
GAN = f"{sys.executable} -m gancli"
TORCHRUN = Path(sys.executable).with_name("torchrun")
NETWORKS = (*TINY, "trainer.batch_size=8", "trainer.record_kimg=0.008", "model.discriminator_init=0.3",
            "model.generator_init=0.5")
SHORT, ENDLESS = "trainer.kimg=0.4", "trainer.kimg=1000"
FIGURES = re.compile(r"loss/.*|gradient_norm/.*|D\(.*")


def losses(run: Path) -> torch.Tensor:
    """Return [rounds, figures] of a run."""
    lines = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    names = [name for name in lines[-1] if FIGURES.fullmatch(name)]
    return torch.tensor([[line.get(name, 0.0) for name in names] for line in lines], dtype=torch.float64)


def submit(slurm, folder: Path, *words: str, options: tuple[str, ...] = (), **more: str) -> str:
    """Submit the recipe; return the job's number."""
    done = subprocess.run(["sbatch", "--parsable", f"--output={folder}/job.out", *options, RECIPE, *words],
                          capture_output=True, text=True, check=True, cwd=folder,
                          env=environment(OMP_NUM_THREADS="1", GAN=GAN, TORCHRUN=str(TORCHRUN), LAST_CALL_S="5", **more))
    return done.stdout.strip()


def said(folder: Path) -> str:
    return (folder / "job.out").read_text()


def wait_for_end(slurm, job: str, folder: Path) -> None:
    until(lambda: job not in slurm.queue(), f"an end of the job, see {folder}/job.out")


def processes(run: Path) -> dict[int, int]:
    """Return the processes that train a run, by rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            if f"run_dir={run}".encode() not in words or b"srun" in words[0] or any(b"torchrun" in word for word in words[:3]):
                continue
            values = environment_of(int(path.parent.name))
        except (OSError, IndexError):
            continue
        rank = values.get(b"RANK") or values.get(b"SLURM_PROCID")
        if words[0].endswith(b"python") or b"python" in words[0]:
            found[int(rank)] = int(path.parent.name)
    return found


def environment_of(process: int) -> dict[bytes, bytes]:
    words = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return dict(word.split(b"=", 1) for word in words if b"=" in word)


def test_two_nodes_have_the_losses_of_one_process_by_srun_and_by_torchrun(slurm, tmp_path):
    one = tmp_path / "one"
    subprocess.run([*GAN.split(), "train", *NETWORKS, SHORT, f"run_dir={one}"], check=True, capture_output=True,
                   env=environment(OMP_NUM_THREADS="1"), timeout=PATIENCE_S)
    for launch in ("srun", "torchrun"):
        folder = tmp_path / launch
        folder.mkdir()
        job = submit(slurm, folder, str(folder / "run"), *NETWORKS, SHORT, LAUNCH=launch)
        wait_for_end(slurm, job, folder)
        assert status(folder / "run") == "finished", said(folder)
        assert "2 ranks" in (folder / "run" / "log.txt").read_text()
        difference = (losses(one) - losses(folder / "run")).abs().max()
        assert losses(one).shape[0] == 50 and losses(one).std(0).max() > 1e-3 and difference < 1e-5, difference


@pytest.mark.parametrize("launch", ["srun", "torchrun"])
def test_a_warned_run_saves_is_queued_again_and_goes_on_on_another_number_of_nodes(launch, slurm, tmp_path):
    run = tmp_path / "run"
    job = submit(slurm, tmp_path, str(run), *NETWORKS, ENDLESS, LAUNCH=launch)
    until(lambda: trains(run), "a run that trains")
    slurm.warn(job, "USR1", "--batch")  # as `#SBATCH --signal=B:USR1@120` does before the time limit
    until(lambda: status(run) == "stopped", "a run that has saved")
    assert read_status(run).why.startswith("SIGUSR1 after")
    until(lambda: slurm.queue().get(job) == "PENDING" and "goes back into the queue" in said(tmp_path), "a job that waits")
    saved = read_status(run).images
    until(lambda: trains(run) and "Continuing from" in (run / "log.txt").read_text(), "a run that continues")
    slurm.ask("scancel", job)  # by a person: it saves and is not queued again
    wait_for_end(slurm, job, tmp_path)
    assert status(run) == "stopped" and read_status(run).images >= saved
    last = submit(slurm, tmp_path, str(run), *NETWORKS, f"trainer.kimg={read_status(run).images / 1000 + 0.2:g}",
                  options=("--nodes=1",), LAUNCH=launch)
    wait_for_end(slurm, last, tmp_path)
    assert status(run) == "finished", said(tmp_path)


def test_a_killed_rank_ends_the_step_and_the_run_can_be_continued(slurm, tmp_path):
    run = tmp_path / "run"
    job = submit(slurm, tmp_path, str(run), *NETWORKS, "trainer.checkpoint_kimg=0.04", ENDLESS)
    until(lambda: trains(run) and any((run / "checkpoints").glob("kimg-*")), "a run that has saved")
    os.kill(processes(run)[1], signal.SIGKILL)
    begun = time.monotonic()
    wait_for_end(slurm, job, tmp_path)
    assert time.monotonic() - begun < 60 and "goes back into the queue" not in said(tmp_path)
    # srun does not wait for the other rank, which may be ended before it can say so, and its host is another one's name
    until(lambda: not processes(run), "an end of the other rank")
    assert status(run) in ("failed", "running"), said(tmp_path)
    length = f"trainer.kimg={images_of(CheckpointFolder(run).latest()) / 1000 + 0.4:g}"
    job = submit(slurm, tmp_path, str(run), *NETWORKS, "trainer.checkpoint_kimg=0.04", length)
    wait_for_end(slurm, job, tmp_path)
    assert status(run) == "finished", said(tmp_path)


def test_torchrun_goes_on_with_the_nodes_that_are_left(slurm, tmp_path):
    run = tmp_path / "run"
    job = submit(slurm, tmp_path, str(run), *NETWORKS, "trainer.checkpoint_kimg=0.04", ENDLESS, LAUNCH="torchrun")
    until(lambda: trains(run) and any((run / "checkpoints").glob("kimg-*")), "a run that has saved")
    # the first node has the agents' meeting place, which they cannot do without; either may have rank 0
    lost, = (number for number in processes(run).values() if environment_of(number)[b"SLURMD_NODENAME"] == b"n2")
    agent = int(Path(f"/proc/{lost}/stat").read_text().rpartition(")")[2].split()[1])
    for number in (agent, lost):  # a node that is gone
        os.kill(number, signal.SIGKILL)
    until(lambda: len(processes(run)) == 1 and status(run) == "running" and "Continuing from" in (run / "log.txt").read_text(),
          f"one rank that continues: {said(tmp_path)}")
    slurm.ask("scancel", job)
    wait_for_end(slurm, job, tmp_path)
    assert status(run) == "stopped", said(tmp_path)


def test_two_nodes_decode_a_shared_folder_once(slurm, tmp_path):
    pictures, random = tmp_path / "pictures", np.random.default_rng(0)
    pictures.mkdir()
    for i in range(400):
        Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(pictures / f"{i}.png")
    jobs = {}
    for node in ("n1", "n2"):
        words = [*GAN.split(), "train", "model=gan", "model.generator_units=8", "model.discriminator_units=8",
                 "dataset=folder", f"dataset.path={pictures}", "dataset.size=16", "dataset.store=mmap",
                 f"data_dir={tmp_path / 'data'}", "device=cpu", "trainer.batch_size=4", "trainer.kimg=0.02",
                 "evaluation.kimg=null", f"run_dir={tmp_path / node}"]
        done = subprocess.run(["sbatch", "--parsable", f"--nodelist={node}", f"--output={tmp_path}/{node}.out",
                               f"--wrap=srun {shlex.join(words)}"], capture_output=True, text=True, check=True, cwd=tmp_path,
                              env=environment(OMP_NUM_THREADS="1"))
        jobs[node] = done.stdout.strip()
    until(lambda: not set(jobs.values()) & slurm.queue().keys(), "the end of both")
    outputs = {node: (tmp_path / f"{node}.out").read_text() for node in jobs}
    assert [status(tmp_path / node) for node in jobs] == ["finished"] * 2, outputs
    assert sum("decoding" in output for output in outputs.values()) == 1, outputs
    hosts = {json.loads((tmp_path / node / "provenance.json").read_text())["hostname"] for node in jobs}
    assert hosts == {"n1", "n2"} or os.getuid() != 0, "root's nodes have names of their own"
