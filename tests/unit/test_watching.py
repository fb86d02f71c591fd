"""A run that diverges without a loss that does: running statistics and weights are watched at ticks, before they are saved."""

import pytest
import torch
from planning import SMALL_NETWORKS, TINY, run
from small_runs import save_run

from gancli.engine.players import NonFinite
from gancli.engine.watching import last_good, not_finite
from gancli.explore.loaded import load
from gancli.runs.checkpoint import CheckpointFolder, read, write
from gancli.runs.status import read_status

DCGAN = ("model=dcgan", *SMALL_NETWORKS["dcgan"], "dataset.size=16", *TINY[1:], "trainer.kimg=0.4",
         "trainer.precision=fp32", "trainer.checkpoint_kimg=0.02", "trainer.record_kimg=0.02")


def test_running_statistics_that_diverge_end_the_run(tmp_path):
    with pytest.raises(NonFinite):
        run(tmp_path / "run", *DCGAN, "optimizer.lr=1e10")
    assert read_status(tmp_path / "run").status == "failed"
    for path in CheckpointFolder(tmp_path / "run").list():
        assert not_finite(read(path).tensors) == []


@pytest.mark.parametrize("part", ["running_var", "weight"])
def test_what_diverges_is_named_and_not_saved(part, tmp_path, monkeypatch):
    from gancli.engine.rounds import Game

    play, spoiled = Game.round, []

    def spoil(self, *arguments):
        shown = play(self, *arguments)
        if arguments[1].images >= 60 and not spoiled:
            name, tensor = next((name, tensor) for name, tensor in self.model.state_dict().items() if name.endswith(part))
            spoiled.append(name)
            tensor.view(-1)[0] = float("inf")
        return shown

    monkeypatch.setattr(Game, "round", spoil)
    with pytest.raises(NonFinite) as caught:
        run(tmp_path / "run", *DCGAN)
    saved = CheckpointFolder(tmp_path / "run").list()
    assert f"The last checkpoint is good: {saved[-1].name}." in str(caught.value)
    assert part == "weight" or spoiled[0] in str(caught.value)
    assert not_finite(read(saved[-1]).tensors) == []


def test_no_checkpoint_is_called_good_where_there_is_none(tmp_path):
    with pytest.raises(NonFinite, match="The run had no checkpoint yet"):
        run(tmp_path / "run", *DCGAN, "optimizer.lr=1e18", "trainer.checkpoint_kimg=1", "trainer.record_kimg=0.01")
    assert "good" not in read_status(tmp_path / "run").why and "no checkpoint" in last_good(tmp_path)


def test_only_what_is_not_finite_is_named():
    tensors = {"a": torch.ones(3), "b": torch.tensor([1, float("nan")]), "c": torch.tensor([1.0, -float("inf")]).bfloat16(),
               "d": torch.empty(0), "e": torch.tensor(3), "f": torch.full((2,), 3e38)}
    assert not_finite(tensors) == ["b", "c"]


def test_weights_that_are_not_finite_are_told(tmp_path, capsys):
    path = CheckpointFolder(save_run(tmp_path / "run", "gan")).list()[0]
    load(path)
    assert "Warning" not in capsys.readouterr().err
    checkpoint = read(path)
    tensors = {name: tensor.fill_(float("nan")) if name.startswith("ema/") and tensor.is_floating_point() else tensor
               for name, tensor in checkpoint.tensors.items()}
    write(path, tensors, {key: getattr(checkpoint, key) for key in ("config", "spec", "progress", "extra")})
    load(path)
    assert "hold numbers that are not finite" in capsys.readouterr().err
