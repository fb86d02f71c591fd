"""What a run costs, told beforehand: what is counted, and that measuring leaves no trace."""

import random
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gancli.config.compose import compose
from gancli.engine.recording.pricing import Pricing
from gancli.errors import UserError
from gancli.game.model import Progress
from gancli.metrics import timing
from gancli.metrics.options import EvaluationOptions
from gancli.monitor import durations
from gancli.plan import price as pricing
from gancli.plan import shorter, sweep_price
from gancli.plan.run import plan_run

SMALL = ("model=dcgan", "model.width=4", "dataset.size=8", "trainer.batch_size=16", "device=cpu")


def plan(*overrides: str):
    given = [*SMALL, *overrides]
    return plan_run(compose("train", given), given)


@pytest.mark.parametrize(("seconds", "words"), [(4.2, "4.2 s"), (45, "45 s"), (300, "5 min"), (5400, "1 h 30 min"),
                                                (7200, "2 h"), (200000, "2 d 8 h")])
def test_durations_have_two_units_at_most(seconds, words):
    assert durations.in_words(seconds) == words


def test_the_clock_names_the_day_where_it_is_another():
    now = datetime(2026, 11, 30, 23, 0)
    assert durations.clock(600, now) == "23:10" and durations.clock(7200, now) == "Tue 1 Dec 01:00"


def test_measuring_leaves_no_trace_on_files_and_random_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pricing, "BUDGET_S", 0.05)
    monkeypatch.setattr(pricing, "LEAST_S", 0.05)
    plans = [plan("trainer.kimg=1", "evaluation.n=64", f"data_dir={tmp_path}")]
    torch.manual_seed(7)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    cost = pricing.price(plans[0])
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]
    assert list(tmp_path.iterdir()) == [], "nothing was written"
    assert cost.turns_s > 0 and cost.training_s > cost.turns_s and cost.total_s > cost.training_s
    assert {share.name: share.count for share in cost.beside} == {"grids and looks": 1, "figures": 1, "checkpoints": 1,
                                                                  "evaluations": 1}
    text = pricing.told(cost)
    assert "done at" in text and "images/s" in text


def test_a_price_names_a_length_that_fits_and_what_is_quicker():
    given = ["model=dcgan", "model.width=4", "dataset.size=8", "trainer.kimg=300"]
    evaluating = (pricing.Share("evaluations", 10, 100.0),)
    cost = pricing.Price(300_000, 5900.0, (pricing.Share("reading", 1, 20.0),), evaluating)
    # 570 s are left beside one reading and one evaluation, at 20 s a kimg
    assert shorter.fitting_kimg(cost, 600) == 20, "28.5 kimg fit, one digit of which is kept"
    lines = dict(shorter.next_commands(cost, plan(), given))
    assert lines["train"] == f"gan train {' '.join(given)}"
    assert lines["shorter"] == "gan train model=dcgan model.width=4 dataset.size=8 trainer.kimg=20 (about 7 min)"
    assert lines["quicker"] == "give less of dataset.size (now 8x8), model.width (now 4), trainer.kimg"
    assert list(dict(shorter.next_commands(cost, plan(), ["resume=RUN"]))) == ["train", "quicker"]
    quoted = dict(shorter.next_commands(cost, plan(), ["dataset=folder", "dataset.path='/home/ada/photos'"]))
    assert quoted["train"] == "gan train dataset=folder dataset.path=/home/ada/photos", "as a person types it"
    long = (pricing.Share("x", 1, 700.0),)
    for other in (replace(cost, phases=2), replace(cost, turns_s=300.0), replace(cost, before=long)):
        assert shorter.fitting_kimg(other, 600) is None
    assert list(dict(shorter.next_commands(replace(cost, turns_s=300.0), plan(), given))) == ["train"]


def test_what_is_due_is_counted_to_the_end_of_the_run():
    rehearsal = object.__new__(pricing._Rehearsal)
    rehearsal.plan, rehearsal.done = plan("trainer.kimg=110"), 0
    assert (rehearsal._times(25), rehearsal._times(10), rehearsal._times(500)) == (5, 11, 1)
    rehearsal.done = 60_000
    assert (rehearsal._times(25), rehearsal._times(10)) == (3, 5)


def test_lazy_penalties_are_counted_in_their_due_share(monkeypatch):
    """Round 0 of 16 has the penalty: 16 s of it and fifteen of 1 s are 31 s of 16 rounds."""
    rehearsal = object.__new__(pricing._Rehearsal)
    rehearsal.plan = plan("loss.r1.weight=1", "loss.r1.interval=16")
    stretch = pricing.check_course(pricing.blueprint(rehearsal.plan), rehearsal.plan)[0]
    assert pricing._period(stretch, rehearsal.plan) == 16
    rehearsal.model = rehearsal.average = rehearsal.players = None
    rehearsal.trainer = rehearsal.plan.trainer
    monkeypatch.setattr(pricing, "Game", lambda *arguments: None)
    rehearsal._play = lambda game, stretch, most, budget=0.0: [16.0, 1.0, 1.0]
    assert rehearsal._round_s(stretch, 1.0) == pytest.approx(31 / 16)


@pytest.mark.parametrize("each", [1, 40])
def test_what_one_example_takes_is_paid_once(monkeypatch, each):
    """CIFAR-10 lies in files that are read as a whole, however few of their examples are wanted; of crops, `each` from an
    image, it is images that are decoded."""
    now = [0.0]
    monkeypatch.setattr(pricing.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(pricing, "open_source", lambda dataset, data_dir: SimpleNamespace(
        inspect=lambda: SimpleNamespace(count=each * 51_200, labeled=None), look=lambda: SimpleNamespace(count=51_200)))
    monkeypatch.setattr(pricing, "waits_on_disk", lambda source, look, store: False)

    def load(values, data_dir, device, seed):
        now[0] += 2.0 + 0.001 * values["limit"]  # of which the first two seconds are for the file
        return SimpleNamespace(spec=SimpleNamespace(count=each * values["limit"]))

    monkeypatch.setattr(pricing, "load_data", load)
    data, scale, seconds = pricing._data({"limit": None}, SimpleNamespace(
        data_dir=None, seed=0, trainer=SimpleNamespace(batch_size=64)), torch.device("cpu"))
    assert data.spec.count == each * pricing.DECODED and scale == 200
    assert seconds == pytest.approx(2.0 + 0.001 + 0.255 * 200)


def test_a_price_needs_the_data(tmp_path):
    absent = plan("dataset=mnist", f"data_dir={tmp_path}")
    with pytest.raises(UserError, match="not there yet.*downloads about 12 MB"):
        pricing.price(absent)


@pytest.mark.recipe
def test_a_sweep_costs_the_sum_of_its_jobs_and_equal_ones_are_measured_once(monkeypatch):
    measured = []

    def once(plan):
        measured.append(plan.config["loss"]["name"])
        return pricing.Price(1, 100.0 if plan.config["loss"]["name"] == "hinge" else 50.0, (), ())

    monkeypatch.setattr(sweep_price, "price", once)
    lines = list(sweep_price.report([*SMALL, "loss=nonsaturating,hinge", "seed=0,1"], None, priced=True))
    assert measured == ["nonsaturating", "hinge"] and len(lines) == 5
    assert lines[-1].startswith("4 of 4 jobs could be trained; about 5 min one after the other")
    refused = list(sweep_price.report([*SMALL, "loss=nonsaturating,hinge", "trainer.batch_size=16,0"], None, priced=False))
    assert refused[-1].startswith("2 of 4 jobs could be trained") and "trainer.batch_size" in refused[1]
    with pytest.raises(UserError, match="No job of this sweep"):
        list(sweep_price.report([*SMALL, "trainer.batch_size=0,-1"], None, priced=False))


class Calendar:
    every = {"pictures": 10, "evaluation": 25}


def test_training_tells_its_price_once_the_first_seconds_are_measured(monkeypatch):
    """100 images a second, 100,000 to show: 1,000 s less what has been shown, ten grids of 1 s and four evaluations of 2 s."""
    now = [0.0]
    monkeypatch.setattr("gancli.engine.recording.pricing.time.monotonic", lambda: now[0])
    priced, progress, told = Pricing(Calendar(), 200), Progress(total=100_000, phase="game"), []
    priced.look_s, priced.example_s = 1.0, 0.01
    for _ in range(20):
        now[0] += 1.0 if progress.images else 30.0  # the first round finds memory
        progress.images += 100
        told.append(priced.played(progress, 100, later_phases=False))
    sentences = [text for text in told if text]
    assert len(sentences) == 1 and told.index(sentences[0]) == 6
    assert sentences[0].startswith("Price: 0.1 kimg/s measured, about 17 min left") and "evaluations 18 s" in sentences[0]
    progress.phase = "fade to 8"
    later = [priced.played(progress, 100, later_phases=True) for _ in range(5)]
    assert not any(later), "a phase is measured anew"
    priced.look_s, progress.phase = 0.0, "game"
    now[0] += 60
    for _ in range(9):
        now[0] += 1.0
        told.append(priced.played(progress, 100, later_phases=False))
    assert next(text for text in reversed(told) if text).endswith("(without grids and evaluations)"), "none has been drawn yet"


@pytest.mark.parametrize(("metrics", "seconds"), [(["class_error"], 5), (["swd"], 100), (["class_error", "swd"], 105)])
def test_only_what_is_generated_costs_more_the_more_of_it_there_is(metrics, seconds, monkeypatch):
    """5 s for the classes of held out examples, 0.01 s for each of 10,000 that are generated, of which 100 are tried."""
    clock = [0.0]

    class Evaluator:
        order, extractor = (), None

        def __init__(self, options, *data, **more):
            self.options = options

        def prepare(self):
            pass

        def __call__(self, sampler):
            counts = [0 if name == "class_error" else self.options.n for name in self.options.metrics]
            clock[0] += sum(0.01 * count if count else 5 for count in counts)
            return [SimpleNamespace(protocol=SimpleNamespace(metric=name, generated=count))
                    for name, count in zip(self.options.metrics, counts, strict=True)]

    monkeypatch.setattr(timing, "Evaluator", Evaluator)
    monkeypatch.setattr(timing, "_now", lambda data: clock[0])
    monkeypatch.setattr(timing, "_few", lambda *arguments: 100)
    monkeypatch.setattr(timing, "_give_extractor", lambda *arguments: [])
    monkeypatch.setattr(timing, "evaluating", lambda model: nullcontext())
    data = SimpleNamespace(counts=[60_000], device=torch.device("cpu"))
    sampler = SimpleNamespace(domain=None, limit=None, model=None)
    options = EvaluationOptions(metrics, None, 10_000, "classifier", None, None, None)
    cost = timing.timed_evaluation(options, data, None, sampler, None)
    assert cost.each_s == pytest.approx(seconds)
