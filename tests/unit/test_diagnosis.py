"""Detectors on histories made by hand: each names its failure with numbers and a since, and is silent without it."""

import functools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from omegaconf import OmegaConf

from gancli.config.compose import compose
from gancli.diagnosis import advice, detectors
from gancli.diagnosis.detectors import DETECTORS, NAMES, certainty, diagnose, not_finite
from gancli.diagnosis.history import FIRST, LAST, History
from gancli.diagnosis.setting import Setting
from gancli.diagnosis.windows import medians, trailing
from gancli.plan.run import plan_run
from gancli.runs.stats import read_history

TICKS, EVERY = 60, 4  # ticks of a history, and ticks between looks at samples
REAL, FAKE, NORM = detectors.REAL, "D(G(z))/discriminator_turn", detectors.GENERATOR_GRADIENT
HEALTHY = {REAL: 0.7, FAKE: 0.3, NORM: 5.0, "gradient_norm/discriminator": 20.0, "loss/discriminator": 0.8,
           "loss/generator": 1.2}
SIGNALS = {"diversity": 0.9, "drift": 0.1, "two_sample": 0.8, "training_distance": 1.4, "copies": 0.0, "classes": 0.9,
           "class_diversity": 0.8, "label_effect": 0.9, "dead_units/generator": 0.1}


@functools.cache
def setting(loss: str = "nonsaturating", *overrides: str) -> Setting:
    return Setting.of(OmegaConf.to_container(compose("train", [f"loss={loss}", *overrides]), resolve=True))


NONSATURATING = setting()


def history(**changed) -> History:
    """Return a healthy history in which figures are changed: by a value, or by a function of the tick (0, 1, ...)."""
    made = History()
    for tick in range(TICKS):
        figures = dict(HEALTHY)
        if tick % EVERY == EVERY - 1:
            figures |= {f"diagnosis/{name}": value for name, value in SIGNALS.items()}
        for name, value in changed.items():
            tag = {"real": REAL, "fake": FAKE, "norm": NORM}.get(name, name)
            if tag in figures:
                figures[tag] = value(tick) if callable(value) else value
        made.append(1000 * (tick + 1), figures)
    return made


def signal(name: str) -> str:
    return f"diagnosis/{name}"


def after(start: int, then: float, before: float):
    return lambda tick: then if tick >= start else before


FAILURES = {  # case: name, changes, kimg at which it begins
    "vanished": ("discriminator too strong", {"real": after(20, 0.999, 0.7), "fake": after(20, 1e-4, 0.3),
                                              "norm": after(20, 1e-3, 5.0)}, 21),
    "still": ("discriminator too strong", {"real": 0.999, "fake": 1e-3, signal("drift"): 0.001}, 3),
    "sure for long": ("discriminator too strong", {"real": 1.0, "fake": 0.0}, 3),
    "fooled": ("discriminator too weak", {"real": 0.4, "fake": 0.6, signal("two_sample"): 1.0}, 1),
    "fallen": ("mode collapse", {signal("diversity"): after(30, 0.2, 0.9)}, 32),
    "hopping": ("mode collapse", {signal("diversity"): 0.2, signal("drift"): 0.7}, 4),
    "all the same": ("mode collapse", {signal("diversity"): 0.0}, 4),
    "few classes": ("mode collapse", {signal("classes"): 0.2}, 4),
    "one image a label": ("collapse within classes", {signal("class_diversity"): 0.02}, 4),
    "labels that change nothing": ("labels ignored", {signal("label_effect"): 0.02}, 4),
    "restless": ("oscillation", {signal("drift"): 0.8}, 4),
    "swinging": ("oscillation", {"fake": lambda tick: 0.5 + 0.4 * math.sin(tick)}, 41),
    "growing": ("divergence", {"loss/discriminator": lambda tick: -(1.15**tick),
                               "gradient_norm/discriminator": lambda tick: 10 * 1.15**tick}, 31),
    "not a number": ("divergence", {"loss/generator": after(58, math.nan, 1.0)}, 59),
    "copies": ("memorization", {signal("copies"): 0.9}, 4),
    "nearer than real": ("memorization", {signal("training_distance"): 0.8, signal("two_sample"): 0.2}, 4),
    "dead layer": ("dead units", {signal("dead_units/generator"): after(30, 0.9, 0.2)}, 32),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failure_is_named_with_evidence_since_and_advice(case):
    name, changes, since = FAILURES[case]
    found = {finding.name: finding for finding in diagnose(history(**changes), NONSATURATING)}
    assert name in found
    finding = found[name]
    assert finding.images == 1000 * since
    assert any(character.isdigit() for character in finding.evidence) or "not finite" in finding.evidence
    assert finding.advice.endswith(".") and "=" in finding.advice
    assert json.loads(json.dumps(finding.as_dict()))["name"] == name


def test_every_detector_has_a_failure_and_is_silent_on_a_healthy_history():
    assert {name for name, _, _ in FAILURES.values()} == set(NAMES) and len(NAMES) == len(DETECTORS) == 9
    assert diagnose(history(), NONSATURATING) == []


@pytest.mark.parametrize("changes", [
    {"real": after(50, 0.999, 0.7), "fake": after(50, 1e-4, 0.3)},  # sure, for ten ticks, of a generator that moves
    {"real": 0.5, "fake": 0.5},  # equilibrium: samples like data
    {"real": 0.49, "fake": 0.51},  # at chance, but so are nearest neighbors
    {signal("diversity"): lambda tick: 0.15 + tick / 80, signal("drift"): 0.25},  # an early run that spreads
    {signal("drift"): lambda tick: 0.9 / (1 + tick / 5)},  # a run that settles
    {"gradient_norm/discriminator": lambda tick: 10 * 1.15**tick},  # norms alone grow in healthy runs, too
    {"loss/discriminator": lambda tick: -50.0 + tick / 2},  # large and falling
    {signal("training_distance"): 0.8},  # blurred samples are near everything
    {"fake": lambda tick: 0.1 + 0.8 * (tick > 50)},  # one jump is no swing
], ids=range(9))
def test_what_healthy_runs_do_is_no_failure(changes):
    assert diagnose(history(**changes), NONSATURATING) == []


def test_every_one_of_several_discriminators_is_judged():
    told = replace(NONSATURATING, discriminators=("discriminator_1", "discriminator_2"))
    healthy = {f"{kind}{level}{end}": value for level in (1, 2) for kind, end, value in (
        ("D(x)/discriminator_", "", 0.7), ("D(G(z))/discriminator_", "_turn", 0.3), ("gradient_norm/generator_", "", 5.0))}
    for changes, failure in (
            ({"D(x)/discriminator_2": 0.999, "D(G(z))/discriminator_2_turn": 1e-4, "gradient_norm/generator_2": 0.01},
             "discriminator too strong"),
            ({"D(x)/discriminator_2": 0.4, "D(G(z))/discriminator_2_turn": 0.6, signal("two_sample"): 1.0},
             "discriminator too weak"),
            ({"D(G(z))/discriminator_2_turn": lambda tick: 0.5 + 0.4 * math.sin(tick)}, "oscillation"), ({}, None)):
        made = History()
        for tick in range(TICKS):
            figures = {**healthy, signal("two_sample"): 0.8}
            for name, value in changes.items():
                late = tick > 20 or "gradient" not in name
                figures[name] = value(tick) if callable(value) else value if late else figures[name]
            made.append(1000 * (tick + 1), figures)
        found = diagnose(made, told)
        assert [finding.name for finding in found] == ([failure] if failure else [])
        assert all(finding.evidence.startswith("discriminator_2: ") for finding in found)
        assert not any(finding.evidence.startswith("discriminator") for finding in diagnose(made, NONSATURATING))


def test_a_failure_that_is_over_is_not_named():
    assert diagnose(history(**{signal("diversity"): lambda tick: 0.1 if 20 < tick < 40 else 0.9}), NONSATURATING) == []


@pytest.mark.parametrize("loss", ["wgan", "wgan_gp"])
def test_scores_without_a_scale_are_not_judged(loss):
    names = [finding.name for finding in diagnose(history(real=0.999, fake=-3.0, norm=1e-4), setting(loss))]
    assert "discriminator too strong" not in names and "discriminator too weak" not in names


@pytest.mark.parametrize(("loss", "real", "fake", "right"), [
    ("minimax", 0.9, 0.3, 0.8), ("nonsaturating", 0.5, 0.5, 0.5), ("lsgan", 1.2, -0.1, 1.0), ("hinge", 1.0, -1.0, 1.0),
    ("hinge", 0.5, 0.5, 0.5), ("rpgan", 2.0, 2.0, 0.5), ("rpgan", 5.0, -5.0, 0.99995)])
def test_verdicts_are_read_as_the_loss_means_them(loss, real, fake, right):
    assert certainty(setting(loss), np.array([real]), np.array([fake]))[0] == pytest.approx(right, abs=1e-5)


def test_what_the_configuration_says():
    told = setting("minimax", "optimizer=adam", "optimizer.discriminator.lr=1e-3", "trainer.discriminator_turns=3")
    assert told.saturating and told.lr == {"discriminator": 1e-3, "generator": 2e-4} and told.discriminator_turns == 3
    assert setting("fgan", "loss.divergence=js").reading == setting("fgan", "loss.divergence=kl").reading == "probability"
    assert setting("fgan", "loss.divergence=total_variation").reading is None
    assert setting("wgan").penalized and not NONSATURATING.penalized


def test_history_reads_what_runs_write_and_forgets_the_middle(tmp_path):
    lines = [json.dumps({"images": i, "x": None if i == 3 else i}) for i in range(1, 5)]
    (tmp_path / "stats.jsonl").write_text("\n".join(lines) + '\n{"images": 5, "x"')
    images, values = History(read_history(tmp_path / "stats.jsonl")).series("x")
    assert images.tolist() == [1, 2, 3, 4] and np.isnan(values[2]) and values[3] == 4
    assert read_history(tmp_path / "absent") == []
    long = History((i, {"x": i}) for i in range(10_000))
    kept = long.series("x")[0]
    assert len(kept) == FIRST + LAST and kept[0] == 0 and kept[-1] == 9999 and long.ticks == 10_000
    assert len(History().series("x", "y")) == 3 and diagnose(History(), NONSATURATING) == []


def test_series_are_those_of_the_ticks_that_have_all_tags():
    made = History([(1, {"x": 1}), (2, {"x": 2, "y": 5}), (3, {"y": 6}), (4, {"x": 4, "y": 7})])
    assert [series.tolist() for series in made.series("x", "y")] == [[2, 4], [2, 4], [5, 7]]


def test_failures_of_classes_are_looked_for_where_samples_have_classes():
    unlabeled = History([(1000, {**HEALTHY, signal("diversity"): 0.9})])
    assert detectors.looked_for(history(), NONSATURATING) == list(NAMES)
    assert detectors.looked_for(unlabeled, NONSATURATING) == [
        name for name in NAMES if name not in ("collapse within classes", "labels ignored")]


def test_windows():
    assert medians(np.array([1.0, 9, 2, 3, 4, 5])).tolist() == [3, 4] and not len(medians(np.ones(4)))
    assert trailing(np.array([True, False, True, True])) == 2 and trailing(np.array([])) == 0


def test_a_number_that_ends_a_run():
    finding = not_finite(500, "The critic's turn gave a number that is not finite: its loss. No step was taken", NONSATURATING)
    assert finding.name == "divergence" and finding.evidence.endswith("its loss.")


@pytest.mark.recipe
def test_every_advice_is_a_command_line_that_works(tmp_path):
    overrides = set()
    for loss in ("minimax", "hinge", "wgan"):
        told = setting(loss, "optimizer=adam", "optimizer.betas=[0.9,0.99]", "optimizer.discriminator.lr=1e-3",
                       "trainer.ema_kimg=null")
        for text in (advice.weaken(told), advice.strengthen(told), advice.spread(told), advice.calm(told),
                     advice.tame(told), advice.more_data(told), advice.revive(told, "generator")):
            words = text.split("Try ")[1].rstrip(".").split(", or ")
            overrides |= {part for word in words for part in word.split()}
    assert len(overrides) >= 12
    lines = [[override] for override in overrides if override.startswith("loss=")]
    losses = len(lines)
    for override in sorted(overrides - {line[0] for line in lines}):  # together where keys differ: composing is slow
        key = override.partition("=")[0]
        line = next((line for line in lines[losses:] if key not in {known.partition("=")[0] for known in line}), None)
        line.append(override) if line is not None else lines.append([override])
    for line in lines:
        given = ["dataset.size=8", "device=cpu", *line, f"run_dir={tmp_path / 'x'}"]
        plan_run(compose("train", given), given)
