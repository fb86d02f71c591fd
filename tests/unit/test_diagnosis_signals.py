"""Signals on examples made by hand, and looks at every model."""

import math
from types import SimpleNamespace

import pytest
import torch
from composing import batch_for, compose_model, spec_for
from systems import BY_TIER
from torch import nn
from torch.nn.functional import leaky_relu, relu

from gancli.data.spec import Batch, DataSpec
from gancli.diagnosis.signals import (
    ReluWatch,
    effective_classes,
    flat,
    mean_distance,
    mean_distance_within,
    nearest,
    two_sample_accuracy,
)
from gancli.game.abilities import able
from gancli.game.examination import Examination
from gancli.game.model import Progress


def test_distances_by_hand():
    square = torch.tensor([[0.0, 0], [3, 0], [0, 4], [3, 4]])
    assert mean_distance(square) == pytest.approx((3 + 4 + 5) / 3)
    assert mean_distance_within(square, torch.tensor([0, 0, 1, 1])) == pytest.approx(3)
    assert mean_distance_within(square, torch.tensor([0, 0, 0, 1])) == pytest.approx(4)  # one example has no pair
    distances, which = nearest(square, square, torch.arange(4))
    assert distances.tolist() == [3, 3, 3, 3] and which.tolist() == [1, 0, 3, 2]


def test_large_images_are_shrunk_and_points_are_not():
    assert flat(torch.ones(2, 3, 64, 96)).shape == (2, 3 * 32 * 32) and flat(torch.ones(2, 1, 8, 48)).shape == (2, 8 * 32)
    assert torch.equal(flat(torch.ones(2, 2)), torch.ones(2, 2))


def test_two_samples():
    torch.manual_seed(0)
    real = torch.randn(300, 4)
    assert two_sample_accuracy(real, real + 100) == 1
    assert two_sample_accuracy(real, torch.randn(300, 4)) == pytest.approx(0.5, abs=0.06)
    assert two_sample_accuracy(real, real + 1e-3) < 0.05  # copies


def test_effective_classes():
    assert effective_classes(torch.tensor([0, 0, 1, 1]), 10) == pytest.approx(2)
    assert effective_classes(torch.zeros(9, dtype=torch.int64), 10) == pytest.approx(1)


class Maker(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 4)
        self.layer.weight.data = torch.zeros(4, 1)
        self.layer.bias.data = torch.tensor([1.0, -1, -1, -1])

    def forward(self, x):
        return leaky_relu(relu(self.layer(x)), 0.2)


def test_silent_units_are_counted_by_player():
    maker, judge = Maker(), nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True))
    judge[0].weight.data.zero_()
    judge[0].bias.data = torch.tensor([-1.0, 1])
    with ReluWatch({"generator": [maker], "discriminator": [judge]}) as watch:
        judge(maker(torch.ones(3, 1)).view(3, 1, 2, 2))
        relu(-torch.ones(3, 3))  # outside of every network
    assert {name: share.item() for name, share in watch.shares().items()} == {"generator": 0.75, "discriminator": 0.5}
    assert not maker._forward_hooks and not judge._forward_pre_hooks


def data_for(spec: DataSpec) -> SimpleNamespace:
    def first(n: int) -> Batch:
        torch.manual_seed(3)
        return batch_for(spec, n)
    return SimpleNamespace(spec=spec, first=first)


@pytest.mark.parametrize(("name", "changes"), BY_TIER, ids=str)
def test_every_model_can_be_looked_at_and_is_left_as_it_was(name, changes):
    spec = spec_for(name)
    model = compose_model(name, spec=spec, **changes).eval()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    examination = Examination(model, data_for(spec), seed=0)
    first = examination.look(model, model, Progress(total=1))
    second = examination.look(model, model, Progress(total=1))
    assert all(math.isfinite(value) for value in second.values())
    makes = (able(model, "sample") or able(model, "translate")) and spec.kind != "tokens"  # distances of tokens say nothing
    assert ("diversity" in first) == makes and (makes or all(key.startswith("dead_units/") for key in first))
    assert second.pop("drift", 0.0) == pytest.approx(0, abs=1e-3) and second == pytest.approx(first)
    assert ("class_diversity" in first) == (model.needs.labels and able(model, "sample"))
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())


def test_points_and_models_without_abilities():
    spec = DataSpec((2,), 100)
    model = compose_model("gan", spec=spec).eval()
    data = SimpleNamespace(spec=spec, first=lambda n: Batch((torch.randn(n, 2),)))
    assert "missed" in Examination(model, data, 0).look(model, model, Progress(total=1))
    mute = nn.Linear(2, 2)
    mute.players, mute.discriminators = {"discriminator": [mute]}, ("discriminator",)
    assert Examination(mute, data, 0).look(mute, mute, Progress(total=1)) == {}


def test_collapsed_and_copying_generators_show():
    spec = spec_for("dcgan")
    model, data = compose_model("dcgan", spec=spec).eval(), data_for(spec_for("dcgan"))
    examination = Examination(model, data, 0)
    real = data.first(100).real
    model.generate = lambda z: real[:1].expand(len(z), -1, -1, -1)
    collapsed = examination.look(model, model, Progress(total=1))
    assert collapsed["diversity"] < 1e-3
    model.generate = lambda z: real[torch.arange(len(z)) % 100]
    copied = examination.look(model, model, Progress(total=1))
    assert copied["copies"] == 1 and copied["training_distance"] < 0.01 and copied["diversity"] == pytest.approx(1, abs=0.05)
