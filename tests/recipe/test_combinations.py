"""Every model with every loss that is not refused plays 20 rounds without a non-finite value."""

import json
import math

import pytest
from planning import SMALL_NETWORKS, TINY, run

from gancli.config.groups import options
from gancli.losses.options import DIVERGENCES

MODELS = [("gan", ()), ("dcgan", ()), ("cgan", ()), ("cgan", ("model.backbone=mlp",)), ("bigan", ()),
          ("bigan", ("model.backbone=conv",)), ("cyclegan", ())]
LOSSES = [*((name, ()) for name in options("loss") if name != "fgan"),
          *(("fgan", (f"loss.divergence={divergence}",)) for divergence in DIVERGENCES)]
TABLE = [(model, network, loss, rule) for model, network in MODELS for loss, rule in LOSSES]


def test_the_table_is_whole():
    assert {model for model, _ in MODELS} == set(options("model"))
    assert {loss for loss, _ in LOSSES} == set(options("loss"))
    assert (len(MODELS), len(LOSSES), len(TABLE)) == (7, 15, 105)


@pytest.mark.parametrize(("model", "network", "loss", "rule"), TABLE,
                         ids=["-".join((model, *network, loss, *rule)) for model, network, loss, rule in TABLE])
def test_twenty_rounds(tmp_path, two_domains, model, network, loss, rule):
    turns = 5 if loss.startswith("wgan") else 1
    data = ("dataset=unpaired", f"dataset.path={two_domains}") if model == "cyclegan" else ("dataset=digits",)
    run(tmp_path / "run", f"model={model}", f"loss={loss}", *data, *TINY, *SMALL_NETWORKS[model], *network, *rule,
        f"trainer.kimg={20 * 4 * turns / 1000}", "trainer.record_kimg=0.004")
    lines = [json.loads(line) for line in (tmp_path / "run/stats.jsonl").read_text().splitlines()]
    assert len(lines) == 20
    for line in lines:
        assert all(value is not None and math.isfinite(value) for value in line.values()), line
