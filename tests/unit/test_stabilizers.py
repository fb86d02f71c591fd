"""Each stabilizer against its formula in float64 on numbers made by hand, and on the networks that it changes."""

import math

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, spec_for, take_turn
from torch import nn

from gancli.engine.averages import Average
from gancli.errors import UsageError
from gancli.game.model import Model, Progress
from gancli.game.stabilizing import fill_references
from gancli.gradients import halves_apart
from gancli.losses.features import feature_distance
from gancli.losses.history import History
from gancli.losses.objective import Objective
from gancli.losses.options import TopK
from gancli.losses.output import Output
from gancli.losses.packing import packed, unpacked
from gancli.networks.convolution import Halving
from gancli.networks.equalized import MinibatchStddev
from gancli.networks.layers import norm_layer
from gancli.networks.minibatch import (
    MinibatchDiscrimination,
    deviate_minibatches,
    discriminate_minibatches,
    logits_layer,
    widened,
)
from gancli.networks.virtual_norm import VirtualBatchNorm


@pytest.fixture(autouse=True)
def _float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def objective(rule="nonsaturating", count=None, **changes) -> Objective:
    return Objective(compose_loss(rule, **changes), count=count)


# Feature matching


def test_feature_distance_is_of_the_means():
    real = torch.tensor([[1.0, 4.0], [3.0, 0.0]])  # mean 2, 2
    fake = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])  # mean 1, 1
    maps = torch.tensor([[[[5.0]]], [[[7.0]]]])
    assert feature_distance([real], [fake], "squared") == 2
    assert feature_distance([real], [fake], "mean_squared") == 1
    assert feature_distance([real], [fake - 2], "mean_absolute") == 3
    assert feature_distance([real, maps], [fake, maps - 3], "squared") == 2 + 9


class Watched(nn.Module):
    """Features 2 x, whose sum is the logit."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)
        self.hidden.weight.data.copy_(2 * torch.eye(2))
        self.head.weight.data.fill_(1)

    def forward(self, x):
        return self.head(self.hidden(x)).flatten()


@pytest.mark.parametrize("one_pass", [False, True])
@pytest.mark.parametrize("layer", ["features", "outputs"])
def test_features_are_matched_instead_of_the_loss_or_beside_it(layer, one_pass):
    judge, x, z = Watched(), torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    distance = {"features": 4.0**2 + 1.0**2, "outputs": (4 + 1.0) ** 2}[layer]  # mean features 4, 2 and 0, 1
    adversarial = (math.log(2) + math.log1p(math.exp(-2))) / 2
    for instead, expected in ((True, 3 * distance), (False, adversarial + 3 * distance)):
        players = objective(feature_matching={"weight": 3.0, "instead": instead})
        players.one_pass = one_pass
        (players.watch.inputs_of if layer == "features" else players.watch.outputs_of)(judge.head)
        fake = z.clone().requires_grad_()
        judged = players.generator(judge, (fake,), (x,))
        assert judged.loss.item() == pytest.approx(expected, rel=1e-6)  # logits are float32
        assert judged.scalars["feature_matching"] == pytest.approx(distance, rel=1e-12)
        assert ("adversarial" in judged.scalars) == (not instead)
    gradient, = torch.autograd.grad(judged.loss - adversarial, fake)
    assert gradient.abs().sum() > 0
    alone = objective(feature_matching={"weight": 3.0, "instead": False}).discriminator
    assert torch.equal(alone(judge, (x,), (z,), 0).loss, objective().discriminator(judge, (x,), (z,), 0).loss)


def test_a_layer_is_chosen_by_its_name():
    torch.set_default_dtype(torch.float32)
    loss = compose_loss("nonsaturating", feature_matching={"weight": 1.0, "layer": "body.norms.1"})
    model = compose_model("dcgan", loss)
    batch = batch_for(model.spec)
    _, scalars = take_turn(model, "generator", batch, Progress(total=8))
    assert scalars["feature_matching"] > 0
    with pytest.raises(UsageError, match="has no layer body.norm.1; did you mean body.norms.1"):
        compose_model("dcgan", compose_loss("nonsaturating", feature_matching={"weight": 1.0, "layer": "body.norm.1"}))


def test_the_model_reads_its_own_features_and_the_objective_those_it_watches():
    players = objective(feature_matching={"weight": 1.0})
    judge = Watched()
    players.watch.inputs_of(judge.head)
    judged = players.generator(lambda x: Output(judge(x), (x,)), (torch.ones(2, 2),), (torch.zeros(2, 2),))
    assert torch.equal(judged.fake.features[0], torch.ones(2, 2)) and torch.equal(judged.fake.watched[0], 2 * torch.ones(2, 2))


# Historical averaging


def test_history_is_the_mean_over_rounds():
    weight, bias = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor(5.0))
    history = History({"generator": [("g.w", weight)], "discriminator": [("d.b", bias)]})
    history.begin()
    for value in (4.0, 7.0):  # theta_1 = 1, theta_2 = 4, theta_3 = 7: means 1, 2.5, 4
        weight.data[0] = value
        history.after_round()
    assert torch.allclose(history.mean("g.w"), torch.tensor([4.0, 2.0])) and history.count == 3
    assert history.distance("generator", {}) == 9 and history.distance("discriminator", {}) == 0
    ahead = torch.tensor([4.5, 4.0], requires_grad=True)
    gradient, = torch.autograd.grad(history.distance("generator", {"g.w": ahead}), ahead)
    assert torch.allclose(gradient, torch.tensor([1.0, 4.0]))  # 2 (theta - mean)


def test_history_is_part_of_each_players_loss():
    torch.set_default_dtype(torch.float32)
    model = compose_model("gan", compose_loss("nonsaturating", historical_averaging=0.5))
    model.objective.begin(model, None)
    with torch.no_grad():
        for parameter in model.players["generator"][0].parameters():
            parameter.add_(2)
    size = sum(parameter.numel() for parameter in model.players["generator"][0].parameters())
    assert model.objective.of_weights("generator").item() == pytest.approx(0.5 * 4 * size, rel=1e-5)
    assert model.objective.of_weights("discriminator") == 0
    assert {name.partition(".history.")[2] for name in model.state_dict() if ".history." in name} >= {
        "count", "discriminator/layers/5/weight"}
    assert compose_model("gan").objective.of_weights("generator") is None


# Top-k


def test_the_share_of_examples_falls_to_its_floor():
    top_k = TopK(floor=0.5, decay=0.9)
    assert [top_k.of(100, passes) for passes in (0, 1, 2, 6, 7, 100)] == [100, 90, 81, 54, 50, 50]
    assert TopK(floor=0.01).of(3, 10**6) == 1


@pytest.mark.parametrize("rule", ["nonsaturating", "wgan", "lsgan", "rpgan"])
def test_only_the_most_real_teach_the_generator(rule):
    fake, real = torch.tensor([-1.0, 3.0, 0.5, 2.0]), torch.tensor([0.1, 0.2, 0.3, 0.4])
    players, whole = objective(rule, 10, top_k={"floor": 0.5, "decay": 0.5}), objective(rule)

    def losses(images):
        players.before_round(images)
        logits = fake.clone().requires_grad_()
        loss = players.generator(lambda x: x, (logits,), (real,)).loss
        return loss, torch.autograd.grad(loss, logits)[0]

    assert torch.allclose(losses(9)[0], whole.generator(lambda x: x, (fake,), (real,)).loss)  # the first pass
    loss, gradient = losses(10)
    kept = [1, 3]
    assert torch.allclose(loss, whole.generator(lambda x: x, (fake[kept],), (real[kept],)).loss)
    assert gradient[[0, 2]].abs().sum() == 0 and (gradient[kept] != 0).all()


def test_of_patches_the_mean_counts():
    fake = torch.tensor([[5.0, -9.0], [1.0, 0.0]]).view(2, 1, 1, 2)
    players = objective("wgan", 1, top_k={"floor": 0.5, "decay": 0.5})
    players.before_round(1)
    assert players.generator(lambda x: x, (fake,), (fake,)).loss == -0.5


# Packing


def test_neighbors_are_packed_along_the_channels():
    x = torch.arange(24.0).view(4, 3, 1, 2)
    packs, = packed((x,), 2)
    assert packs.shape == (2, 6, 1, 2) and torch.equal(packs[1, :3], x[2]) and torch.equal(packs[1, 3:], x[3])
    assert torch.equal(unpacked((packs,), 2)[0], x)
    points, = packed((torch.arange(8.0).view(4, 2),), 4)
    assert torch.equal(points, torch.arange(8.0)[None])
    with pytest.raises(UsageError, match="judges each together"):
        packed((x, x), 2)


def test_losses_and_penalties_are_of_packs():
    x, z = torch.randn(4, 3), torch.randn(4, 3)
    weight = torch.randn(6, dtype=torch.float32)
    players = objective("wgan", packing=2, r1={"weight": 2.0})
    judged = players.discriminator(lambda packs: packs.float() @ weight, (x,), (z,), 0)
    gap = (z.view(2, 6) - x.view(2, 6)).mean(0) @ weight.double()
    assert judged.loss.item() == pytest.approx((gap + weight.square().sum()).item(), rel=1e-5)  # 2 / 2 |grad|^2
    assert judged.real.logits.shape == (2,)


def test_an_augmentation_changes_examples_and_not_packs():
    class Doubled(nn.Module):
        def forward(self, inputs):
            assert inputs[0].shape == (4, 3)
            return (2 * inputs[0],)

        def observe(self, logits):
            pass

        def scalars(self):
            return {}

    players = objective("wgan", packing=2)
    players.augment = Doubled()
    judged = players.discriminator(lambda packs: packs.sum(1), (torch.ones(4, 3),), (torch.zeros(4, 3),), 0)
    assert torch.equal(judged.real.logits, torch.full((2,), 12.0))


@pytest.mark.parametrize(("name", "size"), [("gan", 2), ("dcgan", 3), ("progan", 4), ("cyclegan", 2)])
def test_only_the_discriminators_grow(name, size):
    torch.set_default_dtype(torch.float32)
    changes = {"pool_size": 0} if name == "cyclegan" else {}
    plain = compose_model(name, **changes)
    packing = compose_model(name, compose_loss("nonsaturating", packing=size), **changes)
    for player, networks in plain.players.items():
        grown = [a.numel() - b.numel() for network, other in zip(packing.players[player], networks, strict=True)
                 for a, b in zip(network.parameters(), other.parameters(), strict=True)]
        assert any(grown) == (player in plain.discriminators) and min(grown) >= 0
    batch = batch_for(packing.spec, 2 * size)
    for player in packing.players:
        take_turn(packing, player, batch, Progress(total=8))
        own = [p for network in packing.players[player] for p in network.parameters()]
        assert sum(p.grad is not None and bool(p.grad.any()) for p in own) >= len(own) // 3


# Minibatch layers


def test_minibatch_discrimination_is_the_sum_over_the_others():
    layer, x = MinibatchDiscrimination(3, 2, 4), torch.randn(5, 3)
    layer.scale.data.normal_()
    layer.bias.data.normal_()
    found = layer(x)
    assert torch.equal(found[:, :3], x) and found.shape == (5, 5)
    for b in range(2):
        matrix = layer.direction[:, b] / layer.direction[:, b].square().sum(0).sqrt() * layer.scale[b].exp()
        for i in range(5):
            total = sum(math.exp(-(x[i] @ matrix - x[j] @ matrix).abs().sum().item()) for j in range(5) if j != i)
            assert found[i, 3 + b].item() == pytest.approx(total + layer.bias[b].item(), rel=1e-12)


def test_of_maps_their_means_are_compared():
    layer, x = MinibatchDiscrimination(3, 2, 4), torch.randn(5, 3, 2, 4)
    found = layer(x)
    assert found.shape == (5, 5, 2, 4)
    assert torch.allclose(found[:, 3:, 1, 3], layer(x.mean((2, 3)))[:, 3:])


def test_stddev_of_features_is_their_mean_deviation():
    x = torch.tensor([[1.0, 10.0], [3.0, 10.0], [1.0, 10.0], [3.0, 14.0]])
    found = MinibatchStddev(0)(x)
    assert torch.allclose(found[:, 2], torch.full((4,), (1 + math.sqrt(3)) / 2), atol=1e-7)
    assert torch.allclose(MinibatchStddev(2)(x)[:, 2], torch.tensor([0, 1, 0, 1.0]), atol=1e-3)  # examples 0, 2 and 1, 3


@pytest.mark.parametrize("layer", [MinibatchDiscrimination(3, 2, 2), MinibatchStddev(2)])
def test_real_and_generated_are_looked_at_apart(layer):
    layer.to(torch.float64)
    real, fake = torch.randn(4, 3), torch.randn(4, 3)
    with halves_apart():
        both = layer(torch.cat((real, fake)))
    assert torch.allclose(both, torch.cat((layer(real), layer(fake))))
    assert not torch.allclose(both, layer(torch.cat((real, fake))))


@pytest.mark.parametrize("layer", [nn.Linear(64, 5), nn.Conv2d(8, 4, 3), Halving(8, 4)])
def test_a_layer_takes_more_and_does_with_the_rest_what_it_did(layer):
    layer.to(torch.float64)
    x = torch.randn(2, 64) if isinstance(layer, nn.Linear) else torch.randn(2, 8, 6, 6)
    before, old = layer(x), layer.weight.std()
    widened(layer, 300)
    assert torch.allclose(layer(torch.cat((x, x.new_zeros(2, 300, *x.shape[2:])), 1)), before)
    assert layer.weight[:, -300:].std().item() == pytest.approx(old.item(), rel=0.1)


def test_where_the_layers_stand():
    torch.set_default_dtype(torch.float32)
    model = compose_model("dcgan")
    judge = model.discriminator
    last = judge.body.layers[-1].in_channels
    deviate_minibatches(judge, 4)
    discriminate_minibatches(judge, 7, 3)
    assert judge.body.layers[-1].in_channels == last + 1 and logits_layer(judge) is judge.head
    assert judge.head.in_features == judge.body.features + 7
    mlp = compose_model("gan").discriminator
    deviate_minibatches(mlp, 4)
    assert mlp.layers[-1].in_features == 12 + 1


@pytest.mark.parametrize("name", ["gan", "dcgan", "acgan", "infogan", "bigan", "cyclegan", "cgan"])
@pytest.mark.parametrize("switch", [{"minibatch_discrimination": {"kernels": 3}}, {"minibatch_stddev": 2}])
def test_discriminators_see_how_alike_their_batch_is(name, switch):
    """Of two batches that hold the same example only one holds it four times over: the logits differ."""
    torch.set_default_dtype(torch.float32)
    model = compose_model(name, compose_loss("nonsaturating", **switch)).eval()
    batch = batch_for(model.spec)
    heard = []
    for judge in model.logit_networks():
        logits_layer(judge).register_forward_hook(lambda layer, inputs, output: heard.append(output[0].flatten()[0]))
    same = batch.real[:1].expand_as(batch.real).contiguous()
    inputs = {"bigan": (batch.real, torch.zeros(4, 6)), "cgan": (batch.real, batch.labels)}.get(name, (batch.real,))
    judge = model.judge_a if name == "cyclegan" else model.judge
    with torch.no_grad():
        judge(*inputs)
        judge(same, *(x[:1].expand_as(x) for x in inputs[1:]))
    assert heard[0] != heard[1]


# Virtual batch normalization


def batch_norm(channels):
    norm = norm_layer("batch", channels)
    norm.weight.data.normal_()
    norm.bias.data.normal_()
    return norm


@pytest.mark.parametrize("pixels", [(), (2, 3)])
def test_an_example_is_normalized_beside_the_reference(pixels):
    norm = batch_norm(2)
    layer = VirtualBatchNorm(norm, 3)
    x = torch.randn(5, 2, *pixels)
    found = layer(x)
    rest = tuple(range(1, 1 + len(pixels)))
    for c in range(2):
        for i in range(5):
            members = [0, 1, 2] if i < 3 else [0, 1, 2, i]
            mean = sum(x[j, c].mean() for j in members) / len(members)
            square = sum(x[j, c].square().mean() for j in members) / len(members)
            expected = norm.weight[c] * (x[i, c] - mean) / (1e-5 + square - mean**2).sqrt() + norm.bias[c]
            assert torch.allclose(found[i, c], expected, rtol=1e-9), rest
    alone = layer(torch.cat((x[:3], x[4:])))
    assert torch.allclose(alone[3], found[4]) and torch.allclose(found[:3], norm(x[:3]))  # the reference: batch norm


@pytest.mark.parametrize("name", ["dcgan", "acgan", "infogan", "bigan", "cgan"])
def test_generators_have_a_reference_batch_and_no_batch_norm(name):
    torch.set_default_dtype(torch.float32)
    model: Model = compose_model(name, compose_loss("nonsaturating", virtual_batch_norm=3))
    batch = batch_for(model.spec, 5)
    fill_references(model, batch)
    references = {key: value for key, value in model.state_dict().items() if ".reference" in key}
    assert references and all(len(value) == 3 and value.float().std() > 0 for value in references.values())
    assert not any("running" in key for key in model.state_dict() if key.startswith("generator"))
    z = model.draw_latents(4, torch.Generator().manual_seed(0))
    labels = [torch.tensor([0, 1, 2, 0])] if model.needs.labels else []
    whole = model.generate(z, *labels)
    assert torch.allclose(model.generate(z[2:3], *(label[2:3] for label in labels)), whole[2:3], atol=1e-6)
    assert torch.allclose(model.eval().generate(z, *labels), whole)
    model.train()
    take_turn(model, "generator", batch, Progress(total=8))
    assert all(p.grad is not None for network in model.players["generator"] for p in network.parameters())


def test_a_generator_without_batch_norm_is_refused():
    torch.set_default_dtype(torch.float32)
    with pytest.raises(UsageError, match="that of model=gan has none"):
        compose_model("gan", compose_loss("nonsaturating", virtual_batch_norm=3))


# Averages


@pytest.mark.parametrize(("ramp", "half_life"), [(0.05, 50.0), (0.5, 500.0), (None, 1000.0)])
def test_the_half_life_rises_with_the_images_shown(ramp, half_life):
    torch.set_default_dtype(torch.float32)
    model = compose_model("gan", spec=spec_for("gan", (1, 8, 8)))
    average = Average(model, 1.0, ramp)
    first = average.tensors()["generator.head.weight"].clone()
    with torch.no_grad():
        model.generator.head.weight.add_(1)
    average.update(10, Progress(total=10_000, images=1000))
    moved = (average.tensors()["generator.head.weight"] - first).mean().item()
    assert moved == pytest.approx(1 - 0.5 ** (10 / half_life), rel=1e-4)
