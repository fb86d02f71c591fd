"""Networks with losses that are not refused play 20 rounds without a non-finite value.

The recipe tier plays a covering design: every network with some losses, every loss with several networks.  The whole
table stands behind `-m table`.
"""

import json
import math

import pytest
from planning import TINY, run
from systems import MODELS, RULES, VARIANTS, name_of, rules_of, small, system

from gancli.config.groups import options

EACH = 4  # losses of a network in the covering design
TABLE = [(name, changes, loss, rule) for name, changes in VARIANTS for loss, rule in rules_of(name)]


def covering() -> list[tuple]:
    """Return part of the table: network number i meets EACH losses, spread evenly and shifted by one network after network."""
    chosen = []
    for number, (name, changes) in enumerate(VARIANTS):
        rules = rules_of(name)
        places = {(number + step * len(rules) // EACH) % len(rules) for step in range(EACH)}
        chosen += [(name, changes, *rules[place]) for place in sorted(places)]
    return chosen


def test_the_tables_are_whole():
    assert set(MODELS) == set(options("model")) == {name for name, *_ in TABLE}
    assert {loss for loss, _ in RULES} == set(options("loss")) - {"none"} and len(RULES) == 15
    free = [name for name, _ in VARIANTS if system(name).losses is None]
    assert len(TABLE) >= 15 * len(free) + len(VARIANTS) - len(free)
    design = covering()
    assert all(row in TABLE for row in design)
    for name, changes in VARIANTS:
        assert sum(row[:2] == (name, changes) for row in design) == min(EACH, len(rules_of(name)))
    assert all(any(row[2:] == rule for row in design) for rule in RULES)


def play(tmp_path, two_domains, model, network, loss, rule):
    """Train 20 rounds and look at every figure."""
    turns = 5 if loss.startswith("wgan") else 1
    data = ("dataset=digits", TINY[0])
    if system(model).needs.kinds == ("tokens",):
        data = ("dataset=names",)
    if system(model).needs.domains == 2:
        data = (f"dataset={'paired' if system(model).needs.paired else 'unpaired'}", f"dataset.path={two_domains}", TINY[0])
    changes = [f"loss.{key}={value}" for key, value in rule.items()]
    run(tmp_path / "run", f"model={model}", f"loss={loss}", *data, *TINY[1:], *small(model, network), *changes,
        f"trainer.discriminator_turns={turns}", f"trainer.kimg={20 * 4 * turns / 1000}", "trainer.record_kimg=0.004")
    lines = [json.loads(line) for line in (tmp_path / "run/stats.jsonl").read_text().splitlines()]
    assert len(lines) == 20
    for line in lines:
        assert all(value is not None and math.isfinite(value) for value in line.values()), line


@pytest.mark.parametrize(("model", "network", "loss", "rule"), covering(), ids=name_of)
def test_twenty_rounds(tmp_path, two_domains, model, network, loss, rule):
    play(tmp_path, two_domains, model, network, loss, rule)


@pytest.mark.table
@pytest.mark.parametrize(("model", "network", "loss", "rule"), TABLE, ids=name_of)
def test_twenty_rounds_of_the_whole_table(tmp_path, two_domains, model, network, loss, rule):
    play(tmp_path, two_domains, model, network, loss, rule)
