"""Each toy of the contract, stopped and looked at: the weights are those of a run that never was."""

import pytest
import torch
from toys import ROUNDS, TOYS, register, run

from gancli.runs.checkpoint import CheckpointFolder, read


@pytest.fixture(autouse=True)
def _toys(monkeypatch):
    register(monkeypatch)


class StopAfter:
    """Asks a run to stop after so many rounds, as a signal would."""

    rounds = 0

    def __init__(self):
        self.left = self.rounds

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    @property
    def why(self):
        self.left -= 1
        return "SIGTERM" if self.left == 0 else None


@pytest.mark.parametrize("toy", TOYS)
def test_stopped_three_times_and_made_longer_it_ends_as_if_it_had_never_stopped(toy, tmp_path, monkeypatch):
    assert len(TOYS) == 17
    whole, _ = run(toy, tmp_path / "whole", 2 * ROUNDS)
    for length, stop in ((ROUNDS, 3), (ROUNDS, 7), (2 * ROUNDS, 9), (2 * ROUNDS, 0)):
        monkeypatch.setattr(StopAfter, "rounds", stop)
        monkeypatch.setattr("gancli.engine.training.StopRequest", StopAfter)
        run(toy, tmp_path / "parts", length)
    parts = read(CheckpointFolder(tmp_path / "parts").latest()).tensors
    assert whole.keys() == parts.keys() and not [name for name in whole if not torch.equal(whole[name], parts[name])]


@pytest.mark.parametrize("toy", TOYS)
def test_looks_leave_no_trace(toy, tmp_path):
    often, _ = run(toy, tmp_path / "often", ROUNDS, "trainer.sample_kimg=0.048", "trainer.checkpoint_kimg=0.016")
    seldom, _ = run(toy, tmp_path / "seldom", ROUNDS, "trainer.record_kimg=0.08")
    assert not [name for name in often if not torch.equal(often[name], seldom[name])]
