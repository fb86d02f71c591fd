"""A run killed with -9 at random moments, during saves too, ends with the weights of the uninterrupted run."""

import json
import os
import random
import signal
import subprocess
import time

import torch
from running import command, environment, gan

from gancli.runs.checkpoint import CheckpointFolder, read

KILLS = 10  # the faults tier has hundreds
SETTINGS = ("model=dcgan", "dataset.size=16", "model.width=16", "trainer.batch_size=16", "device=cpu", "trainer.kimg=12",
            "trainer.checkpoint_kimg=0.016", "trainer.sample_kimg=1", "trainer.record_kimg=0.2")  # a save every round


def last(run_dir):
    return read(CheckpointFolder(run_dir).latest()).tensors


def test_kill_and_resume_ten_times(tmp_path):
    gan("train", *SETTINGS, f"run_dir={tmp_path / 'whole'}", cwd=tmp_path, OMP_NUM_THREADS="1")
    killed, during_saves, moments = tmp_path / "killed", 0, random.Random(0)
    for attempt in range(KILLS):
        arguments = [*SETTINGS, f"run_dir={killed}"] if not killed.exists() else [f"resume={killed}"]
        process = subprocess.Popen(command("train", *arguments), cwd=tmp_path, env=environment(OMP_NUM_THREADS="1"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        before = newest(killed)
        deadline = time.monotonic() + 120
        while newest(killed) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.3))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        errors = process.communicate()[1]
        assert process.returncode == -signal.SIGKILL, f"kill {attempt}: exited with {process.returncode}\n{errors}"
        during_saves += any((killed / "checkpoints").glob(".*.tmp"))
    assert during_saves > 0, "no kill fell into a save"
    gan("train", f"resume={killed}", cwd=tmp_path, OMP_NUM_THREADS="1")
    whole, parts = last(tmp_path / "whole"), last(killed)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    images = [json.loads(line)["images"] for line in (killed / "stats.jsonl").read_text().splitlines()]
    assert images == sorted(set(images)), "a figure was recorded twice"


def newest(run_dir):
    """Return the name of the newest checkpoint, None if there is none."""
    names = sorted(path.name for path in (run_dir / "checkpoints").glob("kimg-*"))
    return names[-1] if names else None
