"""Where figures go beside stats.jsonl: loggers by name, our own and other packages', each read back from what it wrote."""

import io
import math
import os
import time
from importlib.metadata import EntryPoint

import pytest
from PIL import Image

from gancli.config.compose import compose
from gancli.errors import UsageError
from gancli.monitor import loggers
from gancli.monitor.board import Board
from gancli.monitor.loggers import Logger
from gancli.plan.run import plan_run


class Listed(Logger):
    """A third party's: it keeps what it is told."""

    told: list[tuple] = []

    def __init__(self, folder, images):
        self.told.append(("opened", folder.name, images))

    def figures(self, images, figures):
        self.told.append(("figures", images, dict(figures)))

    def picture(self, name, images, png):
        self.told.append(("picture", name, images))

    def text(self, name, images, text):
        self.told.append(("text", name, text))

    def settings(self, settings, figures, differing):
        self.told.append(("settings", dict(settings), dict(figures)))

    def close(self):
        self.told.append(("closed",))


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (255, 0, 0)).save(file, "png")
    return file.getvalue()


def recorded(folder, name: str) -> None:
    """Record a little of everything by one logger."""
    board = Board(folder, folder / "stats.jsonl", 0, [name])
    for images in (8, 16):
        board.figures(images, {"loss/generator": 1 / images, "D(G(z))/before_generator_turn": math.inf, "D(x)": 0.5})
    board.picture("samples", 16, png())
    board.lines("alarm", 16, ["collapse <of> everything"])
    board.hparams({"model.name": "gan", "seed": 3, **{f"key{number}": number for number in range(150)}}, {"D(x)": 0.5})
    board.close()


def test_another_packages_logger_is_found_by_its_entry_point(tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "entry_points", lambda group: [EntryPoint("listed", "test_loggers:Listed", group)])
    monkeypatch.setattr(EntryPoint, "load", lambda self: Listed)
    given = ["trainer.loggers=[listed,tensorboard]", f"run_dir={tmp_path / 'a'}"]
    assert plan_run(compose("train", given), given).trainer.loggers == ["listed", "tensorboard"]
    Listed.told.clear()
    recorded(tmp_path, "listed")
    kinds = [each[0] for each in Listed.told]
    assert kinds == ["opened", "figures", "figures", "picture", "text", "settings", "closed"]
    assert Listed.told[1][2]["loss/generator"] == 1 / 8 and Listed.told[4][2] == "    collapse <of> everything\n"


def refusal(*chosen: str) -> str:
    """Return the sentence by which a run with these loggers is refused."""
    given = [f"trainer.loggers=[{','.join(chosen)}]"]
    with pytest.raises(UsageError) as refused:
        plan_run(compose("train", given), given)
    return str(refused.value)


def test_unknown_absent_and_broken_loggers_are_told_beforehand(monkeypatch):
    assert "trainer.loggers=wandbb does not exist; did you mean wandb?" in refusal("wandbb")
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    assert "loggers=mlflow: it needs the package mlflow: pip install 'gancli[mlflow]'" in refusal("tensorboard", "mlflow")
    monkeypatch.setattr(loggers, "entry_points", lambda group: [EntryPoint("broken", "no_such_module:Logger", group)])
    assert "no_such_module:Logger cannot be loaded (ModuleNotFoundError" in refusal("broken")


def test_without_loggers_a_run_still_has_its_own_lines(tmp_path):
    board = Board(tmp_path, tmp_path / "stats.jsonl", 0, [])
    board.figures(8, {"D(x)": 0.5})
    board.close()
    assert [path.name for path in tmp_path.iterdir()] == ["stats.jsonl"]


@pytest.mark.recipe  # its imports take seconds
def test_mlflow_has_the_run_in_a_store_of_its_own(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the extra gancli[mlflow] is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    recorded(tmp_path, "mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("gancli")
    run, = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "loss/generator")
    assert [(each.step, each.value) for each in history] == [(8, 1 / 8), (16, 1 / 16)]
    assert run.data.params["model.name"] == "gan" and len(run.data.params) == 152 and run.info.status == "FINISHED"
    assert run.data.metrics["final/D_x_"] == 0.5
    assert {path.name for path in tmp_path.rglob("000000016.*")} == {"000000016.png", "000000016.md"}


@pytest.mark.recipe  # it starts a process of its own
def test_weights_and_biases_writes_offline_unless_told_otherwise(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra gancli[wandb] is not installed")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    recorded(tmp_path, "wandb")
    folder, = (tmp_path / "wandb").glob("offline-run-*")
    file, deadline = next(folder.glob("*.wandb")), time.monotonic() + 30
    while b"model.name" not in file.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)  # its process writes the last block after it was told to finish
    assert b"loss/generator" in file.read_bytes() and b"model.name" in file.read_bytes()
    assert os.path.getsize(next(folder.rglob("samples*.png")))
