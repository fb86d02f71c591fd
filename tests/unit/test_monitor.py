"""What a run shows and records while it trains."""

import json
import math
import re
import shutil
import threading
import time

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from gancli.engine.recording.ending import hyperparameters, lasting, told_apart
from gancli.monitor.board import Board, tag_of
from gancli.monitor.scalars import Scalars
from gancli.monitor.screen import Screen, summary
from gancli.runs.stats import keep_until


def test_scalars_are_means_since_the_last_reading():
    scalars = Scalars()
    for value in (1.0, 2.0, 6.0):
        scalars.add("discriminator", {"loss": torch.tensor(value)})
    scalars.add("generator", {"loss": torch.tensor(4.0)})
    scalars.add("discriminator", {"r1": torch.tensor(8.0)})  # a lazy penalty: the mean is over the turns that had it
    assert scalars.read() == {"discriminator/loss": 3.0, "generator/loss": 4.0, "discriminator/r1": 8.0}
    assert scalars.read() == {}


def test_adding_does_not_change_the_scalar_or_keep_its_graph():
    weight = torch.ones(1, requires_grad=True)
    loss, scalars = (weight * 2).sum(), Scalars()
    scalars.add("d", {"loss": loss})
    scalars.add("d", {"loss": loss})
    assert loss.item() == 2 and not next(iter(scalars._sums.values())).requires_grad


@pytest.mark.parametrize(("name", "tag"), [
    ("discriminator/loss", "loss/discriminator"), ("generator/gradient_norm", "gradient_norm/generator"),
    ("discriminator/D(x)", "D(x)"), ("discriminator/D(G(z))", "D(G(z))/discriminator_turn"),
    ("generator/D(G(z))", "D(G(z))/before_generator_turn"), ("generator/D(G(z)) after", "D(G(z))/after_generator_turn"),
    ("generator/lr", "lr/generator"), ("generator/cycle", "generator/cycle")])
def test_tags(name, tag):
    assert tag_of(name, ["discriminator"]) == tag


@pytest.mark.parametrize(("name", "tag"), [
    ("critic/D(x)", "D(x)/critic"), ("judge/D(x)", "D(x)/judge"), ("generator/D(x)", "generator/D(x)"),
    ("discriminator/D(x)", "discriminator/D(x)"), ("judge/D(G(z))", "D(G(z))/judge_turn"),
    ("discriminator/D(G(z))", "D(G(z))/before_discriminator_turn"), ("judge/loss", "loss/judge")])
def test_tags_of_several_discriminators(name, tag):
    assert tag_of(name, ["critic", "judge"]) == tag


def test_the_only_discriminator_has_the_short_tag_whatever_its_name():
    assert tag_of("critic/D(x)", ["critic"]) == "D(x)" and tag_of("critic/D(x)", []) == "critic/D(x)"
    assert tag_of("critic/D(G(z))", ["critic"]) == "D(G(z))/critic_turn"


def test_stats_hold_null_for_what_is_not_finite_and_survive_a_cut_line(tmp_path):
    board = Board(tmp_path, tmp_path / "stats.jsonl", 0)
    board.figures(8, {"D(x)": 0.5, "loss/generator": math.inf})
    board.close()
    with open(tmp_path / "stats.jsonl", "a") as file:
        file.write('{"images": 16, "D(x)"')  # killed here
    keep_until(tmp_path / "stats.jsonl", 8)
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert lines == [{"images": 8, "D(x)": 0.5, "loss/generator": None}]


def test_the_line_a_person_reads(capfd, monkeypatch):
    text = summary({"loss/discriminator": 1.25, "loss/generator": 0.5, "D(x)": 0.7, "D(G(z))/discriminator_turn": 0.3,
                    "speed/images_per_s": 512.4})
    assert text == "loss D 1.250 G 0.500  D(x) 0.70  D(G(z)) 0.30  512 img/s"
    assert summary({"D(x)": 0.7}, ["mode collapse", "dead units"]) == "D(x) 0.70  ! mode collapse, dead units"
    several = {"D(x)/first": 0.7, "D(x)/second": 0.6, "D(G(z))/first_turn": 0.2, "D(G(z))/before_generator_turn": 0.9,
               "D(G(z))/second_turn": 0.1, "D(G(z))/after_generator_turn": 0.8}
    assert summary(several) == "D(x) 0.70 0.60  D(G(z)) 0.20 0.10"
    monkeypatch.setattr("gancli.monitor.screen.LINE_EVERY_S", 0)
    screen = Screen("training", 4000)
    screen.update(1000, text)
    screen.rename("training (growth 8x8)")
    screen.update(2000)
    screen.close()
    printed = capfd.readouterr().err
    assert "training: 1/4 kimg  loss D 1.250" in printed and "s left" in printed
    assert "training (growth 8x8): 2/4 kimg" in printed


def test_the_bar_on_a_terminal_is_renamed(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    screen = Screen("training", 4000)
    screen.rename("training (growth 8x8)")
    screen.close()
    assert screen.live is not None and screen.bar.tasks[0].description == "training (growth 8x8)"


def test_an_error_of_the_writing_thread_is_left_to_the_next_write(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    board = Board(tmp_path / "run", tmp_path / "stats.jsonl", 0)
    shutil.rmtree(tmp_path / "run")
    until = time.monotonic() + 20
    with pytest.raises(FileNotFoundError):
        while time.monotonic() < until:
            board.figures(1, {"loss": 0.0})
    assert not told
    other = threading.Thread(target=lambda: 1 / 0)
    other.start()
    other.join()
    assert [failed.exc_type for failed in told] == [ZeroDivisionError]


def test_tensorboard_opens_on_losses_and_outputs_and_the_hparams_on_what_differs(tmp_path):
    board = Board(tmp_path, tmp_path / "stats.jsonl", 0)
    board.figures(8, {"gradient_norm/generator": 1.0, "loss/generator": 2.0, "D(x)": 0.6,
                      "D(G(z))/before_generator_turn": 0.4})
    settings = hyperparameters({"seed": 1, "trainer": {"kimg": 2}, "model": {"name": "gan"}})
    figures = {"loss/generator": 2.0, "D(x)": 0.6, "metrics/fid(x)": 3.0, "metrics/swd(2000)": 0.1}
    board.hparams(settings, lasting(figures, "swd(2000)"), told_apart(settings, ["model", "trainer.kimg", "gone"]))
    board.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(events.Tags()["scalars"])[:3] == ["D(G(z))/before_generator_turn", "D(x)", "Loss/generator"]
    layout = Layout.FromString(events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = [chart for category in layout.category for chart in category.chart]
    assert [chart.title for chart in charts] == ["losses", "D(x), D(G(z))"]
    shown = [[tag for tag in events.Tags()["scalars"] if any(re.fullmatch(each, tag) for each in chart.multiline.tag)]
             for chart in charts]
    assert [sorted(tags) for tags in shown] == [["Loss/generator"], ["D(G(z))/before_generator_turn", "D(x)"]]
    experiment = events.summary_metadata["_hparams_/experiment"].plugin_data.content
    told = HParamsPluginData.FromString(experiment).experiment
    assert [info.name for info in told.hparam_infos] == ["model.name", "trainer.kimg"]
    assert [info.name.tag for info in told.metric_infos] == ["final/metrics/swd(2000)", "final/metrics/fid(x)",
                                                             "final/loss/generator", "final/D(x)"]
    assert "loss/generator" in (tmp_path / "stats.jsonl").read_text()  # whose tags are those of `gan compare`
