"""The parts of a run's record: when it is written, in which phase, how it ends, and what its two kinds share."""

import inspect
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from planning import SMALL_NETWORKS, TINY, plan
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gancli.data.dataset import load_data
from gancli.engine.recording.calendar import Calendar
from gancli.engine.recording.ending import Ending, hyperparameters, lasting
from gancli.engine.recording.evaluation import Exhausted
from gancli.engine.recording.following import FollowingRecord
from gancli.engine.recording.keeping import KeepingRecord
from gancli.engine.recording.phases import Phases
from gancli.engine.recording.record import Record
from gancli.engine.recording.standing import Standing
from gancli.game.build import build_model
from gancli.game.model import Progress
from gancli.losses.objective import Objective
from gancli.ranks.shards import LostRank
from gancli.runs import files
from gancli.runs.status import read_status

DCGAN = (*TINY, *SMALL_NETWORKS["dcgan"], "trainer.record_kimg=0.008", "trainer.sample_kimg=0.016",
         "trainer.checkpoint_kimg=0.032", "trainer.kimg=0.064")
CALLS = {"loading", "describe_data", "working", "start", "due", "pictures", "figures", "checkpoint", "settled", "finish"}


def calls(kind):
    return {name: inspect.signature(call) for name, call in vars(kind).items()
            if inspect.isfunction(call) and not name.startswith("_")}


def test_both_records_answer_the_same_calls():
    named = calls(Record)
    assert named.keys() == CALLS and CALLS | {"__enter__", "__exit__"} == Record.__abstractmethods__
    for kind in (KeepingRecord, FollowingRecord):
        own = calls(kind)
        assert own.keys() == CALLS and not hasattr(kind, "__getattr__")
        for name, signature in own.items():
            assert signature.parameters == named[name].parameters, (kind, name)


def test_a_record_has_all_its_attributes_from_the_beginning(tmp_path):
    with started(plan(tmp_path / "a", *DCGAN), Progress(total=64)) as record:
        record.due(Progress(total=64, images=8), 4, False)
        assert vars(record).keys() == vars(KeepingRecord(record.plan, record.device, "fp32")).keys()
        assert vars(record.telling).keys() == {"file", "screen"}
    with pytest.raises(RuntimeError, match="has not been told that training begins"):
        KeepingRecord(record.plan, record.device, "fp32").pictures(Progress(total=64))


@pytest.mark.parametrize(("images", "stopping", "due"), [
    (4, False, set()), (4, True, {"checkpoint"}), (8, False, {"figures"}), (16, False, {"figures", "pictures"}),
    (20, False, set()), (24, True, {"figures", "evaluation", "checkpoint"}),
    (32, False, {"figures", "pictures", "checkpoint"}), (64, False, {"figures", "pictures", "checkpoint", "evaluation"})])
def test_what_is_due_follows_from_the_images_shown(images, stopping, due):
    trainer = SimpleNamespace(record_kimg=0.008, sample_kimg=0.016, checkpoint_kimg=0.032)
    calendar = Calendar(trainer, SimpleNamespace(on=True, kimg=0.024))
    assert calendar.due(Progress(total=64, images=images), 4, stopping) == due
    without = Calendar(trainer, SimpleNamespace(on=False, kimg=None))
    assert without.due(Progress(total=64, images=images), 4, stopping) == due - {"evaluation"}


def test_a_round_over_several_intervals_is_recorded_once():
    calendar = Calendar(SimpleNamespace(record_kimg=0.001, sample_kimg=1, checkpoint_kimg=1), SimpleNamespace(on=False))
    assert calendar.due(Progress(total=999, images=20), 10, False) == {"figures"}


@pytest.mark.parametrize("phase", ["", "game"])
def test_a_run_of_one_game_names_no_phase(phase):
    phases = Phases(at("", 0))
    assert [phases.entered(at(phase, images), 4) for images in (4, 8)] == [None, None]
    assert phases.label == "training"


def test_phases_are_named_where_they_begin():
    phases = Phases(at("", 0))
    names = ["growth 4x4", "growth 4x4", "growth 8x8", "game", "", "growth 8x8"]
    said = [phases.entered(at(name, 4000 * number), 4000) for number, name in enumerate(names, 1)]
    assert said == ["growth 4x4 from 0 kimg", None, "growth 8x8 from 8 kimg", "game from 12 kimg", None,
                    "growth 8x8 from 20 kimg"]
    assert phases.label == "training (growth 8x8)"
    phases.entered(at("", 28000), 4000)
    assert phases.label == "training"


def test_a_continued_run_does_not_say_that_its_phase_begins_here(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("gancli.monitor.screen.LINE_EVERY_S", 0)
    progress = at("growth 8x8", 44000)
    with started(plan(tmp_path / "a", *DCGAN), progress) as record:
        record.figures({"generator/loss": 0.5}, progress)
        for images, phase in ((48000, "growth 8x8"), (52000, "growth 16x16")):
            progress.images, progress.phase = images, phase
            record.due(progress, 4000, False)
    printed = capfd.readouterr().err
    assert "Continuing from 44 of 64 kimg, in the phase growth 8x8\n" in printed
    assert "training (growth 8x8): 44/64 kimg" in printed
    assert "Phase: growth 8x8" not in printed and "Phase: growth 16x16 from 48 kimg\n" in printed


def test_a_phase_stands_in_the_log_the_board_and_the_progress(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("gancli.monitor.screen.LINE_EVERY_S", 0)
    progress = Progress(total=64)
    with started(plan(tmp_path / "a", *DCGAN), progress) as record:
        for phase in ("", "growth 8x8", "growth 8x8"):
            progress.images, progress.phase = progress.images + 4, phase
            record.due(progress, 4, False)
        record.figures({"generator/loss": 0.5}, progress)
    assert (tmp_path / "a" / files.LOG).read_text().count("Phase: ") == 1
    printed = capfd.readouterr().err
    assert "Phase: growth 8x8 from 0.004 kimg\n" in printed and "training (growth 8x8): 0.012/0.064 kimg" in printed
    events = EventAccumulator(str(tmp_path / "a")).Reload()
    texts = events.Tensors("phase/text_summary")
    assert [(text.step, text.tensor_proto.string_val[0]) for text in texts] == [(8, b"growth 8x8 from 0.004 kimg")]


def test_the_tags_are_of_the_models_own_discriminators(tmp_path):
    with started(plan(tmp_path / "a", *DCGAN), Progress(total=64), discriminators=("first", "second")) as record:
        record.figures({"first/D(x)": 0.25, "second/D(x)": 0.75, "second/D(G(z))": 0.5}, Progress(total=64, images=8))
    assert '"D(x)/first": 0.25, "D(x)/second": 0.75, "D(G(z))/second_turn": 0.5' in (tmp_path / "a" / files.STATS).read_text()


def test_a_player_names_its_own_optimizer(tmp_path):
    players = {"discriminator": SimpleNamespace(parameters=[torch.zeros(3)], optimizer_name="sgd", base_lr=0.5)}
    with started(plan(tmp_path / "a", *DCGAN), Progress(total=64), players):
        pass
    assert "Discriminator: 3 parameters, sgd, lr 0.5\n" in (tmp_path / "a" / files.LOG).read_text()


@pytest.mark.parametrize(("why", "status", "reason"), [
    (None, "finished", ""), (Exhausted("no better fid"), "finished", "no better fid"),
    ("SIGTERM", "stopped", "SIGTERM after 0.064 kimg")])
def test_endings(tmp_path, why, status, reason):
    progress = Progress(total=64, images=64)
    assert (Ending.of(why).status, Ending.of(why).reason(progress)) == (status, reason)
    following = FollowingRecord(plan(tmp_path / "a", *DCGAN))
    assert following.finish(progress, why, None).status == status and not (tmp_path / "a").exists()


def test_what_lasts_and_what_was_set():
    assert lasting({"lr/generator": 1.0, "memory/peak_gib": 2.0, "loss/generator": 3.0}) == {"loss/generator": 3.0}
    assert hyperparameters({"model": {"name": "gan", "own": {}}, "resume": None, "betas": [0.5, 0.9]}) == {
        "model.name": "gan", "betas": "[0.5, 0.9]"}


@pytest.mark.parametrize(("error", "own", "status", "why"), [
    (KeyboardInterrupt(), False, "stopped", "interrupted at once"), (ValueError("first\nsecond"), True, "failed", "first"),
    (MemoryError(), True, "failed", "MemoryError"), (LostRank("gone"), True, "failed", "gone")])
def test_standing_of_a_run_that_broke_off(tmp_path, error, own, status, why):
    standing = Standing(tmp_path, [])
    standing.open()
    assert standing.break_off(error, None) is own
    standing.write()
    written = read_status(tmp_path)
    assert written.status == status and written.why.startswith(why) and "second" not in written.why


def test_the_rank_that_failed_has_the_last_word(tmp_path):
    standing = Standing(tmp_path, [])
    standing.open()
    other = Standing(tmp_path, [])
    other.break_off(ValueError("rank 1 broke"), None)
    other.write()
    assert not standing.break_off(LostRank("gone"), None)
    assert standing.status.why == "rank 1 broke"


def test_a_whole_record_has_the_names_that_files_says(tmp_path):
    names = {name: value for name, value in vars(files).items() if name.isupper()}
    assert len(names) == 13 and len(set(names.values())) == 13
    with started(plan(tmp_path / "a", *DCGAN), Progress(total=64)) as record:
        record.figures({"generator/loss": 0.5}, Progress(total=64, images=8))
    there = {path.name for path in (tmp_path / "a").iterdir() if "tfevents" not in path.name}
    assert there == {files.CONFIG, files.OVERRIDES, files.PROVENANCE, files.STATUS, files.LOG, files.STATS, files.SAMPLES}


def at(phase, images):
    progress = Progress(total=64000, images=images)
    progress.phase = phase
    return progress


@contextmanager
def started(made, progress, players=None, discriminators=None):
    """Yield the record of a run whose training has begun."""
    with KeepingRecord(made, torch.device("cpu"), "fp32") as record:
        data = load_data(made.dataset, made.data_dir, record.device, made.seed, record.loading)
        record.describe_data(data)
        model = build_model(made.model, Objective(made.loss), data.spec)
        if discriminators is not None:
            model.discriminators = discriminators
        record.start(model, None, players or {}, data, progress, 0.0)
        yield record
