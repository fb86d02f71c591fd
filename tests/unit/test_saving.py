"""Checkpoints that are written while training goes on: whole, in order, and never in silence where they fail."""

import threading

import pytest
import torch
from planning import SMALL_NETWORKS, TINY, plan, run

from gancli.engine.recording.saving import Writer, snapshot
from gancli.engine.training import train
from gancli.errors import UserError
from gancli.runs.checkpoint import CheckpointFolder, read
from gancli.runs.status import read_status

DCGAN = (*TINY, *SMALL_NETWORKS["dcgan"], "trainer.kimg=0.064", "trainer.checkpoint_kimg=0.016", "trainer.keep=9")


def test_a_snapshot_is_of_its_moment():
    live = {"a": torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last), "b": torch.tensor(1)}
    taken = snapshot(live)
    for tensor in live.values():
        tensor.add_(1)
    assert taken["a"].is_contiguous() and taken["a"].abs().sum() == 0 and taken["b"] == 1


def test_jobs_run_in_order_and_one_at_a_time():
    writer, done, gate = Writer(), [], threading.Event()
    writer.start(lambda: (gate.wait(5), done.append(1)))
    writer.check()  # the first is under way: nothing to say
    assert done == []
    gate.set()
    writer.start(lambda: done.append(2))
    writer.wait()
    assert done == [1, 2] and writer.close() is None


def test_a_failure_is_raised_once():
    writer = Writer()
    writer.start(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        writer.wait()
    writer.wait()
    writer.start(lambda: 1 / 0)
    assert isinstance(writer.close(), ZeroDivisionError)


@pytest.mark.recipe  # seconds
def test_what_is_saved_slowly_is_what_was_there_when_it_was_due(tmp_path, monkeypatch):
    """With a disk that takes longer than all rounds to the next checkpoint, the files are the same, number by number."""
    run(tmp_path / "quick", *DCGAN)
    save, together = CheckpointFolder.save, threading.Event()

    def slow(self, images, tensors, header):
        together.wait(0.3)
        return save(self, images, tensors, header)

    monkeypatch.setattr(CheckpointFolder, "save", slow)
    run(tmp_path / "slow", *DCGAN)
    quick, slow = (CheckpointFolder(tmp_path / name).list() for name in ("quick", "slow"))
    assert [path.name for path in quick] == [path.name for path in slow] and len(quick) == 4
    for one, other in zip(quick, slow, strict=True):
        a, b = read(one), read(other)
        assert a.progress == b.progress
        assert all(torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors.keys() | b.tensors.keys())


@pytest.mark.parametrize("broken", [1, 4], ids=["in between", "the last"])
def test_a_failed_save_ends_the_run(tmp_path, monkeypatch, broken):
    saves, save = [], CheckpointFolder.save

    def failing(self, images, tensors, header):
        saves.append(images)
        if len(saves) == broken:
            raise UserError("Saving failed: no space.")
        return save(self, images, tensors, header)

    monkeypatch.setattr(CheckpointFolder, "save", failing)
    with pytest.raises(UserError, match="no space"):
        train(plan(tmp_path / "a", *DCGAN))
    status = read_status(tmp_path / "a")
    assert (status.status, status.why) == ("failed", "Saving failed: no space.")
    assert len(saves) <= broken + 1 and len(CheckpointFolder(tmp_path / "a").list()) == len(saves) - 1
