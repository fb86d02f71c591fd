"""Whole runs of a few rounds: the record they leave, resuming, and what resuming refuses."""

import io
import json
import signal
import time
from dataclasses import replace

import pytest
import torch
from PIL import Image
from planning import SMALL_NETWORKS, TINY, plan, resume, run
from systems import later
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gancli.engine import training
from gancli.errors import UserError
from gancli.registry import models
from gancli.runs.checkpoint import CheckpointFolder, read
from gancli.runs.status import Status, read_status, write_status

DCGAN = (*TINY, *SMALL_NETWORKS["dcgan"], "trainer.record_kimg=0.008", "trainer.sample_kimg=0.016",
         "trainer.checkpoint_kimg=0.008")


class StopAfterFiveRounds:
    """Stands in for a signal that arrives in the fifth round; the loop looks once a round."""

    looks = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    @property
    def why(self):
        self.looks += 1
        return "SIGTERM" if self.looks >= 5 else None


def last(run_dir):
    return read(CheckpointFolder(run_dir).latest()).tensors


def test_record_of_a_run(tmp_path):
    outcome = run(tmp_path / "a", *DCGAN, "trainer.kimg=0.032")
    assert outcome.status == "finished" and outcome.run_dir == tmp_path / "a"
    status = read_status(tmp_path / "a")
    assert (status.status, status.images) == ("finished", 32)
    lines = [json.loads(line) for line in (tmp_path / "a/stats.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == [8, 16, 24, 32]
    events = EventAccumulator(str(tmp_path / "a"), size_guidance={"images": 0}).Reload()
    tags = events.Tags()
    for tag in ("D(x)", "D(G(z))/discriminator_turn", "D(G(z))/before_generator_turn", "Loss/discriminator",
                "Loss/generator", "gradient_norm/generator", "lr/discriminator", "speed/images_per_s"):
        assert tag in tags["scalars"]
        assert [event.step for event in events.Scalars(tag)] == [8, 16, 24, 32]
    assert [event.step for event in events.Scalars("D(G(z))/after_generator_turn")] == [16, 32]  # with the grids
    assert [event.step for event in events.Images("samples")] == [0, 16, 32]
    grid = Image.open(tmp_path / "a/samples/kimg-000000_032.png")
    shown = Image.open(io.BytesIO(events.Images("samples")[-1].encoded_image_string))
    assert shown.size == grid.size and shown.tobytes() == grid.tobytes()
    assert (tmp_path / "a/samples/kimg-000000_032.png").exists() and (tmp_path / "a/samples/progress.gif").exists()
    assert len(CheckpointFolder(tmp_path / "a").list()) == 3  # trainer.keep
    provenance = json.loads((tmp_path / "a/provenance.json").read_text())
    assert provenance["device"].startswith("cpu") and provenance["dataset_fingerprint"]


def test_after_is_measured_on_the_latents_of_before(tmp_path):
    """With a rate of nearly nothing, the generator's step changes D(G(z)) by nearly nothing."""
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.004", "trainer.record_kimg=0.004", "optimizer.lr=1e-12")
    line = json.loads((tmp_path / "a/stats.jsonl").read_text().splitlines()[-1])
    assert line["D(G(z))/before_generator_turn"] == pytest.approx(line["D(G(z))/after_generator_turn"], abs=1e-3)


@pytest.mark.parametrize("extra", later([
    ((),), (("trainer.precision=fp32", "loss=wgan_gp"),), (("model=cyclegan", "loss=lsgan"),),
    (("augment=ada", "augment.p=0.5", "augment.kimg=0.05", "augment.interval=2"),),
    (("augment=noise", "augment.decay_kimg=0.04", "loss.r1.weight=1"),)], first=1),
                         ids=["dcgan", "wgan_gp", "cyclegan", "ada", "noise"])
def test_continued_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, extra, two_domains, monkeypatch):
    settings = [*DCGAN, *extra]
    if "model=cyclegan" in extra:
        settings = [*TINY, *SMALL_NETWORKS["cyclegan"], *extra, "dataset=unpaired", f"dataset.path={two_domains}",
                    "trainer.checkpoint_kimg=0.008"]
    kimg = 0.14 if "loss=wgan_gp" in extra else 0.06  # more than five rounds, which are of 20 images there
    settings = [*settings, f"trainer.kimg={kimg}", "optimizer.schedule.name=linear", "optimizer.schedule.start=0.1"]
    run(tmp_path / "whole", *settings)
    monkeypatch.setattr(training, "StopRequest", StopAfterFiveRounds)
    assert run(tmp_path / "parts", *settings).status == "stopped"
    monkeypatch.undo()
    assert training.train(resume(tmp_path / "parts")).status == "finished"
    whole, parts = last(tmp_path / "whole"), last(tmp_path / "parts")
    assert whole.keys() == parts.keys() and any(name.startswith("optimizer/") for name in whole)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.recipe  # seconds
def test_resuming_drops_figures_of_the_lost_rounds(tmp_path):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.032")
    CheckpointFolder(tmp_path / "a").list()[-1].unlink()  # as if killed before the last checkpoint
    time.sleep(1.1)  # TensorBoard reads event files in the order of their names, which count seconds
    training.train(resume(tmp_path / "a", "trainer.kimg=0.04"))
    images = [json.loads(line)["images"] for line in (tmp_path / "a/stats.jsonl").read_text().splitlines()]
    assert images == [8, 16, 24, 32, 40]
    steps = [event.step for event in EventAccumulator(str(tmp_path / "a")).Reload().Scalars("D(x)")]
    assert steps == [8, 16, 24, 32, 40]


class Interruption:
    """Interrupts one turn of a run, by what every model must have; the run is short, should that never happen."""

    def __init__(self, monkeypatch, made, rounds, player, interrupt):
        self.happened = 0
        model = models.get(made.model.name).build
        loss = model.player_loss

        def interrupted(played, name, batch, progress):
            if progress.rounds == rounds and name == player and not self.happened:
                self.happened += 1
                interrupt()
            return loss(played, name, batch, progress)

        monkeypatch.setattr(model, "player_loss", interrupted)


def test_stop_request_saves_and_says_so(tmp_path, monkeypatch):
    made = plan(tmp_path / "a", *DCGAN, "trainer.kimg=0.064")
    stop = Interruption(monkeypatch, made, 3, "generator", lambda: signal.raise_signal(signal.SIGTERM))
    outcome = training.train(made)
    assert stop.happened == 1
    assert outcome.status == "stopped" and read_status(tmp_path / "a").status == "stopped"
    assert CheckpointFolder(tmp_path / "a").latest().name == "kimg-000000_016.safetensors"


def test_failed_run_keeps_its_traceback_and_last_checkpoint(tmp_path, monkeypatch):
    def fail():
        raise RuntimeError("something broke")

    made = plan(tmp_path / "a", *DCGAN, "trainer.kimg=0.064")
    failure = Interruption(monkeypatch, made, 5, "discriminator", fail)
    with pytest.raises(RuntimeError, match="something broke"):
        training.train(made)
    assert failure.happened == 1
    status = read_status(tmp_path / "a")
    assert status.status == "failed" and "something broke" in status.why
    assert "Traceback" in (tmp_path / "a/log.txt").read_text()
    assert CheckpointFolder(tmp_path / "a").latest().name == "kimg-000000_016.safetensors"


@pytest.mark.parametrize("change", later(["optimizer.lr=0.1", "model.width=8", "loss=hinge", "seed=1", "trainer.batch_size=8"],
                                         first=2))
def test_resume_refuses_changed_settings_and_lists_them(tmp_path, change):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.008")
    key = change.partition("=")[0]
    with pytest.raises(UserError, match=rf"{key}[\w.]* is .* in the run and .* here"):
        resume(tmp_path / "a", change, "trainer.kimg=0.02")


def test_resume_needs_something_left_to_do(tmp_path):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.008")
    with pytest.raises(UserError, match="finished.*longer trainer.kimg"):
        resume(tmp_path / "a")


def test_directory_of_another_run_is_refused_and_of_the_same_run_continued(tmp_path):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.008")
    with pytest.raises(UserError, match="holds a run of other settings: seed is 0 in the run and 3 here"):
        plan(tmp_path / "a", *DCGAN, "trainer.kimg=0.016", "seed=3")
    assert plan(tmp_path / "a", *DCGAN, "trainer.kimg=0.016").checkpoint is not None


def test_resume_on_other_data_is_refused(tmp_path, two_domains):
    settings = ("dataset=folder", f"dataset.path={two_domains / 'a'}", *DCGAN)
    run(tmp_path / "a", *settings, "trainer.kimg=0.008")
    next((two_domains / "a").iterdir()).unlink()
    with pytest.raises(UserError, match="not those that the run was trained on"):
        training.train(resume(tmp_path / "a", "trainer.kimg=0.02"))


def test_provenance_keeps_earlier_sittings(tmp_path):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.008")
    training.train(resume(tmp_path / "a", "trainer.kimg=0.016"))
    provenance = json.loads((tmp_path / "a/provenance.json").read_text())
    assert provenance["continues"]["dataset_fingerprint"] == provenance["dataset_fingerprint"]


def test_a_run_that_is_still_running_here_is_left_alone_and_one_of_a_lost_machine_continues(tmp_path):
    run(tmp_path / "a", *DCGAN, "trainer.kimg=0.008")
    running = replace(Status.begin([]), images=8)
    write_status(tmp_path / "a", running)
    with pytest.raises(UserError, match="is running .process"):
        resume(tmp_path / "a", "trainer.kimg=0.016")
    write_status(tmp_path / "a", replace(running, host="a-node-that-was-preempted"))
    assert resume(tmp_path / "a", "trainer.kimg=0.016").checkpoint is not None
