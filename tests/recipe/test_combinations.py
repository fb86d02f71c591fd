"""Networks with losses that are not refused play 20 rounds without a non-finite value.

The recipe tier plays a covering design: every network with some losses, every loss with several networks, and on each row
the next stabilizer that it takes.  The whole tables, of losses and of stabilizers, stand behind `-m table`.
"""

import json
import math

import pytest
from planning import TINY, run
from systems import MODELS, RULES, VARIANTS, covering, loss_for, name_of, rules_of, small, system

from gancli.config.groups import options
from gancli.engine.options import SCHEMES
from gancli.errors import UsageError
from gancli.plan.stabilizers import STABILIZERS

EACH = 4  # losses of a network in the covering design
SWITCHES = {  # of each stabilizer: what switches it on
    "label_smoothing": ("loss.label_smoothing=0.1",),
    "feature_matching": ("loss.feature_matching.weight=1", "loss.feature_matching.instead=false"),
    "historical_averaging": ("loss.historical_averaging=0.01",), "top_k": ("loss.top_k.floor=0.5", "loss.top_k.decay=0.5"),
    "packing": ("loss.packing=2",), "minibatch_discrimination": ("loss.minibatch_discrimination.kernels=3",),
    "minibatch_stddev": ("loss.minibatch_stddev=4",), "virtual_batch_norm": ("loss.virtual_batch_norm=3",),
    "gradient_penalty": ("loss.gradient_penalty.weight=1",), "dragan": ("loss.dragan.weight=1",),
    "r1": ("loss.r1.weight=0.1",), "r2": ("loss.r2.weight=0.1",), "weight_clip": ("loss.weight_clip=0.1",),
    "spectral_norm": ("loss.spectral_norm=true",), "orthogonal_init": ("loss.orthogonal_init=true",),
    "noise": ("augment=noise",), "diffaugment": ("augment=diffaugment",),
    "ada": ("augment=ada", "augment.interval=1", "augment.kimg=0.05"), "lr": ("optimizer.discriminator.lr=1e-4",),
    "unrolled": ("trainer.unrolled=1",), "ema_kimg": ("trainer.ema_kimg=10",),
    **{scheme: (f"trainer.scheme={scheme}",) for scheme in SCHEMES if scheme != "alternating"}}
STABILIZED = [(name, changes, switch) for name, changes in VARIANTS for switch in SWITCHES]
TABLE = [(name, changes, loss, rule) for name, changes in VARIANTS for loss, rule in rules_of(name)]


def test_the_tables_are_whole():
    assert set(MODELS) == set(options("model")) == {name for name, *_ in TABLE}
    assert {loss for loss, _ in RULES} == set(options("loss")) - {"none"} and len(RULES) == 15
    free = [name for name, _ in VARIANTS if system(name).losses is None]
    assert len(TABLE) >= 15 * len(free) + len(VARIANTS) - len(free)
    assert len(STABILIZED) == len(SWITCHES) * len(VARIANTS) and len(SWITCHES) == 26
    assert {named(typed[0]) for typed in SWITCHES.values()} == {named(stabilizer.key) for stabilizer in STABILIZERS}
    assert {next(iter(rotated(number))) for number in range(len(covering(EACH)))} == set(SWITCHES)
    design = covering(EACH)
    assert all(row in TABLE for row in design)
    for name, changes in VARIANTS:
        assert sum(row[:2] == (name, changes) for row in design) == min(EACH, len(rules_of(name)))
    assert all(any(row[2:] == rule for row in design) for rule in RULES)


def rotated(number: int) -> list[str]:
    """Return the stabilizers in the order in which row `number` of the covering design tries them."""
    names = list(SWITCHES)
    return names[number % len(names):] + names[:number % len(names)]


def play(tmp_path, two_domains, model, network, loss, rule, more=()):
    """Train 20 rounds and look at every figure; `more` overrides come last."""
    turns = 5 if loss.startswith("wgan") else 1
    data = ("dataset=digits", TINY[0])
    if system(model).needs.kinds == ("tokens",):
        data = ("dataset=names",)
    if system(model).needs.domains == 2:
        data = (f"dataset={'paired' if system(model).needs.paired else 'unpaired'}", f"dataset.path={two_domains}", TINY[0])
    changes = [f"loss.{key}={value}" for key, value in rule.items()]
    run(tmp_path / "run", f"model={model}", f"loss={loss}", *data, *TINY[1:], *small(model, network), *changes, *more,
        f"trainer.discriminator_turns={turns}", f"trainer.kimg={20 * 4 * turns / 1000}", "trainer.record_kimg=0.004")
    lines = [json.loads(line) for line in (tmp_path / "run/stats.jsonl").read_text().splitlines()]
    shown = [0, *(line["images"] for line in lines)]
    largest = max(after - before for before, after in zip(shown, shown[1:], strict=False))  # rounds of a phase may show fewer
    assert len(lines) >= 20 * 4 * turns / largest, "a line a round"
    for line in lines:
        assert all(value is not None and math.isfinite(value) for value in line.values()), line


def named(override):
    """Return the word that refusals of an override name: of loss.r1.weight=1 r1, of augment=ada augment."""
    group, *key = override.partition("=")[0].split(".")
    return key[0] if key else group


def play_stabilized(tmp_path, two_domains, switch, *row):
    """Play with a stabilizer; return whether the network takes it, and see that a refusal says so and creates nothing."""
    try:
        play(tmp_path, two_domains, *row, SWITCHES[switch])
    except UsageError as error:
        assert named(SWITCHES[switch][0]) in str(error) and not (tmp_path / "run").exists(), error
        return False
    return True


@pytest.mark.parametrize(("number", "model", "network", "loss", "rule"),
                         [(number, *row) for number, row in enumerate(covering(EACH))], ids=name_of)
def test_twenty_rounds(tmp_path, two_domains, number, model, network, loss, rule):
    assert any(play_stabilized(tmp_path, two_domains, switch, model, network, loss, rule) for switch in rotated(number))


@pytest.mark.table
@pytest.mark.parametrize(("model", "network", "loss", "rule"), TABLE, ids=name_of)
def test_twenty_rounds_of_the_whole_table(tmp_path, two_domains, model, network, loss, rule):
    play(tmp_path, two_domains, model, network, loss, rule)


@pytest.mark.table
@pytest.mark.parametrize(("model", "network", "switch"), STABILIZED, ids=name_of)
def test_twenty_rounds_with_every_stabilizer(tmp_path, two_domains, model, network, switch):
    taken = play_stabilized(tmp_path, two_domains, switch, model, network, loss_for(model), {})
    if switch in ("historical_averaging", "orthogonal_init", "ema_kimg"):
        assert taken
    if switch in ("feature_matching", "top_k") and system(model).losses != ():
        assert taken
