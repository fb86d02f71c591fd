"""Classifiers that learn from few labels: the losses by hand, weights that start from data, and who learns from what."""

import math
from dataclasses import replace

import pytest
import torch
from composing import batch_for, compose_model, read, spec_for, take_turn
from planning import TINY, plan, run
from systems import CONF, small
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d, cross_entropy

from gancli.data.spec import Batch, DataSpec
from gancli.engine.averages import Average
from gancli.errors import UsageError, UserError
from gancli.game.build import model_options
from gancli.game.model import Progress
from gancli.game.phase import in_turn
from gancli.losses.semi_supervised import (
    certainty,
    conditional_entropy,
    feature_distance,
    marginal_entropy,
    real_or_fake,
    realness,
)
from gancli.networks.layers import GaussianNoise, norm_layer, statistics_kept
from gancli.networks.sgan import ConvClassifier, ConvGenerator
from gancli.networks.weight_norm import WeightNorm, initializing
from gancli.ranks import shards
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.checkpoint import read as read_checkpoint

PROGRESS = Progress(total=1000)
LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)


def semi(name, n=6, **changes):
    """Return a small model, seeded, and a batch of n unlabeled examples with as many labeled ones beside them."""
    torch.manual_seed(0)
    model = compose_model(name, spec=replace(spec_for(name), labeled=10), **changes)
    few, others = batch_for(model.spec, n), batch_for(model.spec, n)
    return model, Batch(others.domains, None, labeled=few)


# The losses


def test_entropies_by_hand():
    p = [[math.exp(value) / sum(map(math.exp, row)) for value in row] for row in LOGITS.tolist()]
    each = [-sum(value * math.log(value) for value in row) for row in p]
    mean = [(one + two) / 2 for one, two in zip(*p, strict=True)]
    assert conditional_entropy(LOGITS).item() == pytest.approx(sum(each) / 2, abs=1e-14)
    assert marginal_entropy(LOGITS).item() == pytest.approx(-sum(value * math.log(value) for value in mean), abs=1e-14)
    assert certainty(LOGITS).item() == pytest.approx(1 - sum(each) / 2 / math.log(3), abs=1e-14)
    assert conditional_entropy(torch.zeros(4, 5)).item() == pytest.approx(math.log(5))
    sure = (1000 * torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0, 1, 2]]).requires_grad_()
    assert conditional_entropy(sure).item() == 0 and marginal_entropy(sure).item() == pytest.approx(math.log(3))
    (conditional_entropy(sure) - marginal_entropy(sure)).backward()
    assert sure.grad.isfinite().all()


def test_the_loss_of_k_plus_one_classes_is_that_of_a_softmax_with_a_logit_of_zero():
    fake = torch.tensor([[0.3, -2.0, 1.0]], dtype=torch.float64)
    zeros = LOGITS.new_zeros(2, 1)
    more = [torch.cat((LOGITS, zeros), 1).log_softmax(1), torch.cat((fake, zeros[:1]), 1).log_softmax(1)]
    by_hand = 0.5 * (-(1 - more[0][:, 3].exp()).log().mean() - more[1][:, 3].mean())
    assert real_or_fake(LOGITS, fake).item() == pytest.approx(by_hand.item(), abs=1e-14)
    assert torch.allclose(realness(LOGITS).sigmoid(), 1 - more[0][:, 3].exp())
    assert real_or_fake(1000 * LOGITS, -1000 * torch.ones_like(fake)).item() == 0  # far in the tails
    assert real_or_fake(-1000 * torch.ones_like(fake), 1000 * torch.ones_like(fake)).isfinite()


def test_matching_by_hand():
    real = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    fake = torch.tensor([[0.0, 6.0]], dtype=torch.float64)
    assert feature_distance(real, fake, squared=True).item() == (2**2 + 3**2) / 2
    assert feature_distance(real, fake, squared=False).item() == (2 + 3) / 2


# Weights that start from data


@pytest.mark.parametrize(("layer", "x", "by_hand"), [
    (nn.Linear(5, 4, bias=False), torch.randn(64, 5), lambda v, x: x @ v.T),
    (nn.Conv2d(2, 4, 3, bias=False), torch.randn(16, 2, 6, 6), conv2d),
    (nn.ConvTranspose2d(2, 4, 3, bias=False), torch.randn(16, 2, 6, 6), lambda v, x: conv_transpose2d(x, v))])
def test_weight_norm_by_hand_and_from_data(layer, x, by_hand):
    normed = WeightNorm(layer, 4, trained_gain=True, spread=0.5)
    nn.init.normal_(normed.gain)
    nn.init.normal_(normed.bias)
    weight, side = layer.weight.detach(), normed.output_side
    lengths = weight.transpose(0, side).flatten(1).norm(dim=1)
    wide = [4 if place == side else 1 for place in range(weight.dim())]
    unit = weight * (normed.gain.detach() / lengths).view(wide)
    y = by_hand(x, unit) if layer.__class__ is nn.Conv2d else by_hand(unit, x)
    torch.testing.assert_close(normed(x), y + normed.bias.view(1, 4, *[1] * (y.dim() - 2)), rtol=1e-4, atol=1e-5)
    with initializing():
        first = normed(x)
    again = normed(x)
    torch.testing.assert_close(first, again, rtol=1e-4, atol=1e-5)
    rest = [0, *range(2, again.dim())]
    torch.testing.assert_close(again.mean(rest), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(again.std(rest, correction=0), torch.full((4,), 0.5), rtol=1e-4, atol=0)


def test_an_output_that_never_changes_is_left_finite():
    normed = WeightNorm(nn.Linear(2, 3, bias=False), 3)
    with initializing():
        normed(torch.ones(8, 2))
    assert normed(torch.ones(8, 2)).isfinite().all()


def test_sgan_begins_from_the_reference_batch_and_only_the_last_gain_of_the_classifier_is_trained():
    model, batch = semi("sgan", n=64)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    model.begin(Batch(batch.real[None].unbind()))
    x = batch.real.flatten(1) / 2 + 0.5
    layer = model.discriminator.layers[0]
    y = layer(x)  # the noise on the input is small beside the images'
    assert y.mean(0).abs().max() < 0.3 and (y.std(0, correction=0) - 1).abs().max() < 0.4
    assert not torch.equal(before["discriminator.layers.0.gain"], layer.gain) and layer.layer.weight.requires_grad
    trained = {key for key, _ in model.discriminator.named_parameters()}
    assert "head.gain" in trained and not any(key.endswith("gain") and key.startswith("layers") for key in trained)
    assert torch.equal(before["generator.head.gain"], model.generator.head.gain)


def test_the_papers_networks():
    with torch.device("meta"):
        mnist = compose_model("sgan", spec=DataSpec((1, 28, 28), 9, tuple("0123456789")), small=False)
        cat = compose_model("catgan", spec=DataSpec((1, 28, 28), 9, tuple("0123456789")), small=False)
        generator, classifier = ConvGenerator(100, (3, 32, 32), 128), ConvClassifier((3, 32, 32), 96, 10, 0.2, 0.5)
    units = (784, 1000, 500, 250, 250, 250, 10)
    linear = sum(one * two + two for one, two in zip(units, units[1:], strict=False))
    count = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    assert count(mnist.discriminator) == linear + 10
    assert count(mnist.generator) == 100 * 500 + 500 + 500 * 500 + 500 + 500 * 784 + 2 * 784
    assert count(cat.discriminator) == linear + sum(units[1:-1])  # batch norm: two numbers a unit, one in place of the bias
    convolutions = 9 * (3 * 96 + 2 * 96 * 96 + 96 * 192 + 3 * 192 * 192) + 2 * 192 * 192
    assert count(classifier) == convolutions + 3 * 96 + 6 * 192 + 192 * 10 + 2 * 10
    assert count(generator) == 100 * 8192 + 8192 + 25 * (512 * 256 + 256 * 128 + 128 * 3) + 256 + 128 + 2 * 3
    shapes = []
    classifier.blocks[2][0].register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(output.shape)))
    assert classifier(torch.empty(2, 3, 32, 32, device="meta"))[1].shape == (2, 192) and shapes == [(2, 192, 6, 6)]
    assert generator(torch.empty(2, 100, device="meta")).shape == (2, 3, 32, 32)


# Who learns from what


def test_sgans_losses_are_sums_of_their_parts():
    model, batch = semi("sgan", unlabeled_weight=0.5, input_noise=0.0, noise=0.0)
    loss, scalars = take_turn(model, "discriminator", batch, PROGRESS)
    logits = model.classify(batch.labeled.real)
    assert scalars["class"].item() == pytest.approx(cross_entropy(logits, batch.labeled.labels).item(), abs=1e-6)
    assert loss.item() == pytest.approx((scalars["class"] + 0.5 * scalars["adversarial"]).item(), abs=1e-6)
    assert scalars["D(x)"].item() == pytest.approx(realness(model.classify(batch.real)).sigmoid().mean().item(), abs=1e-6)
    assert all(p.grad is None for p in model.generator.parameters())
    torch.manual_seed(3)
    loss, _ = take_turn(model, "generator", batch, PROGRESS)
    torch.manual_seed(3)
    made = model.generate(model.latents_for(batch.real))
    means = [model.discriminator(x)[1].mean(0) for x in (batch.real, made)]
    assert loss.item() == pytest.approx((means[0] - means[1]).square().mean().item(), abs=1e-6)
    assert all(p.grad is None for p in model.discriminator.parameters())


def test_catgans_losses_are_sums_of_their_parts():
    model, batch = semi("catgan", unlabeled_weight=0.5, lambda_class=2.0, noise=0.0)
    torch.manual_seed(3)
    loss, scalars = take_turn(model, "discriminator", batch, PROGRESS)
    torch.manual_seed(3)
    real, fake = model.classify(batch.real), model.classify(model.generate(model.latents_for(batch.real)))
    entropies = conditional_entropy(real) - marginal_entropy(real) - conditional_entropy(fake)
    of_labels = cross_entropy(model.classify(batch.labeled.real), batch.labeled.labels)
    assert scalars["adversarial"].item() == pytest.approx(entropies.item(), abs=1e-5)
    assert loss.item() == pytest.approx((0.5 * entropies + 2 * of_labels).item(), abs=1e-5)
    torch.manual_seed(3)
    loss, _ = take_turn(model, "generator", batch, PROGRESS)
    torch.manual_seed(3)
    fake = model.classify(model.generate(model.latents_for(batch.real)))
    assert loss.item() == pytest.approx((conditional_entropy(fake) - marginal_entropy(fake)).item(), abs=1e-5)


def test_clusters_are_learned_without_labels():
    torch.manual_seed(0)
    model = compose_model("catgan", categories=4)
    batch = batch_for(model.spec, 6)
    _, scalars = take_turn(model, "discriminator", batch, PROGRESS)
    assert "class" not in scalars and model.clusters and model.classify(batch.real).shape == (6, 4)


def test_all_labels_may_be_known():
    for name in ("sgan", "catgan"):
        model, batch = semi(name)
        _, scalars = take_turn(model, "discriminator", batch.labeled, PROGRESS)
        assert scalars["class"] > 0


def test_without_the_unlabeled_loss_the_classifier_learns_alone():
    for name in ("sgan", "catgan"):
        model, batch = semi(name, unlabeled_weight=0.0)
        phase = model.phase(PROGRESS, in_turn(list(model.players)))
        assert [turn.player for turn in phase.turns] == ["discriminator"]
        torch.manual_seed(1)
        first, scalars = take_turn(model, "discriminator", batch, PROGRESS)
        other = Batch((torch.rand_like(batch.real),), None, labeled=batch.labeled)
        torch.manual_seed(1)
        assert take_turn(model, "discriminator", other, PROGRESS)[0] == first and set(scalars) == {"class", "class_accuracy"}


def test_running_statistics_of_catgans_discriminator_are_of_unlabeled_examples_alone():
    model, batch = semi("catgan", noise=0.0)
    norm = model.discriminator.norms[0]
    x = batch.real.flatten(1) / 2 + 0.5
    expected = 0.1 * model.discriminator.layers[0](x).mean(0)
    for player in model.players:
        take_turn(model, player, batch, PROGRESS)
    torch.testing.assert_close(norm.running_mean, expected.detach(), rtol=1e-4, atol=1e-6)


def test_statistics_are_kept_and_the_pass_is_the_same():
    norm = norm_layer("batch", 3)
    x = torch.randn(8, 3) + 5
    with statistics_kept(norm):
        inside = norm(x)
    assert not norm.running_mean.any() and norm.momentum == 0.1
    assert torch.equal(inside, norm(x)) and norm.running_mean.all()


def test_what_classifies_is_averaged_where_the_paper_averages_it():
    for name, averaged in (("sgan", True), ("catgan", False)):
        model, _ = semi(name)
        average = Average(model, 10)
        assert any(key.startswith("discriminator.") for key in average.names) == averaged
        assert (average.model.discriminator is model.discriminator) == (not averaged)


def test_ranks_have_the_losses_of_the_whole_batch(monkeypatch):
    """Two ranks, played one after the other: what each would send is noted first, then each is told the other's, too."""
    torch.manual_seed(0)
    real, fake = torch.randn(8, 4, dtype=torch.float64), torch.randn(8, 4, dtype=torch.float64)

    def losses(rows=slice(None)):
        return [marginal_entropy(real[rows]).item(), *(feature_distance(real[rows], fake[rows], squared).item()
                                                       for squared in (True, False))]

    whole, halves, sent = losses(), (slice(4), slice(4, 8)), []
    monkeypatch.setattr(shards, "stacked", lambda x: sent.append(x) or x[None])
    for rows in halves:
        losses(rows)
    first, second = sent[:len(sent) // 2], sent[len(sent) // 2:]
    monkeypatch.setattr(shards, "world", lambda: 2)
    for rows in halves:
        told = iter(zip(first, second, strict=True))
        monkeypatch.setattr(shards, "stacked", lambda x, told=told: torch.stack(next(told)))
        assert losses(rows) == pytest.approx(whole, abs=1e-12)
    assert len(first) == 5


def test_noise_is_a_ranks_slice_of_the_whole_batchs_and_rests_in_evaluation():
    noise = GaussianNoise(0.5)
    torch.manual_seed(0)
    whole = noise(torch.zeros(8, 3))
    parts = []
    for rank in range(2):
        torch.manual_seed(0)
        with shards.taking(shards.Place(rank, 2)):
            parts.append(noise(torch.zeros(4, 3)))
    assert torch.equal(torch.cat(parts), whole) and 0.3 < whole.std() < 0.7
    assert torch.equal(noise.eval()(whole), whole)


def test_one_pass_over_several_batches_draws_for_each_of_them():
    model, batch = semi("sgan")
    torch.manual_seed(0)
    together = model.discriminator(batch.labeled.real, batch.real)[0]
    model.eval()
    apart = torch.cat([model.discriminator(x)[0] for x in (batch.labeled.real, batch.real)])
    torch.testing.assert_close(model.discriminator(batch.labeled.real, batch.real)[0], apart, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together, apart, atol=1e-3)


# Data and options


@pytest.mark.parametrize(("name", "changes", "spec", "words"), [
    ("sgan", {}, DataSpec((1, 8, 8), 9), "needs some labels and this data set has none"),
    ("catgan", {}, DataSpec((1, 8, 8), 9), "model.categories=20 for clusters"),
    ("catgan", {"categories": 3}, DataSpec((1, 8, 8), 9, ("a", "b"), labeled=4), "leave dataset.labeled= out"),
    ("sgan", {"backbone": "conv"}, DataSpec((1, 7, 8), 9, ("a", "b")), "dataset.size=8"),
    ("sgan", {"backbone": "conv"}, DataSpec((2,), 9, ("a", "b")), "model.backbone=mlp"),
])
def test_data_that_do_not_fit_are_refused(name, changes, spec, words):
    with pytest.raises(UserError, match=words):
        compose_model(name, spec=spec, **changes)


def test_clusters_need_no_classes():
    assert compose_model("catgan", spec=DataSpec((2,), 9), categories=5).classify(torch.zeros(3, 2)).shape == (3, 5)


@pytest.mark.parametrize(("name", "changes", "words"), [
    ("sgan", {"units": []}, "units=.. leaves no hidden layer"), ("sgan", {"units": [5, 0]}, "units must be at least 1"),
    ("sgan", {"matching": "squared"}, "did you mean squares"), ("sgan", {"dropout": 1.0}, "dropout must be"),
    ("catgan", {"categories": 1}, "categories must be at least 2"), ("catgan", {"noise": -1}, "noise must be"),
    ("catgan", {"categories": 5, "unlabeled_weight": 0.0}, "leaves nothing to find model.categories by"),
])
def test_options_out_of_range_are_refused(name, changes, words):
    with pytest.raises(UsageError, match=words):
        model_options({**read(CONF / f"model/{name}.yaml"), **changes})


def test_fewer_labels_than_classes_are_refused(tmp_path):
    with pytest.raises(UserError, match="less than one example for each of the 10 classes"):
        plan(tmp_path / "run", "model=sgan", *small("sgan"), *TINY, "dataset.labeled=5")


def test_cifar10_has_the_convolutional_settings():
    from gancli.config.compose import compose

    cfg = compose("train", ["model=sgan", "dataset=cifar10"])
    assert (cfg.model.backbone, cfg.model.matching, cfg.optimizer.lr, cfg.optimizer.schedule.name) == (
        "conv", "absolute", 3e-4, "linear")
    assert cfg.trainer.ema_kimg == 693 and compose("train", []).trainer.ema_kimg == 10


# A run


@pytest.mark.recipe
def test_a_run_measures_its_error_on_held_out_examples_and_continues(tmp_path):
    settings = ("model=sgan", *small("sgan"), "dataset.size=8", "dataset.holdout=0.5", "dataset.labeled=10", "device=cpu",
                "trainer.batch_size=8", "evaluation.metrics=[class_error]", "evaluation.kimg=0.04", "trainer.record_kimg=0.04",
                "trainer.precision=fp32", "trainer.checkpoint_kimg=0.04", "trainer.keep=5")
    whole = run(tmp_path / "whole", *settings, "trainer.kimg=0.08")
    name = next(key for key in whole.figures if key.startswith("metrics/class_error"))
    assert 0 <= whole.figures[name] <= 1 and name.startswith("metrics/class_error(0/")
    run(tmp_path / "run", *settings, "trainer.kimg=0.04")
    run(tmp_path / "run", *settings, "trainer.kimg=0.08")
    tensors = [read_checkpoint(CheckpointFolder(tmp_path / place).latest()).tensors for place in ("whole", "run")]
    assert any(key.startswith("ema/discriminator.") for key in tensors[0])
    assert all(torch.equal(tensor, tensors[1][key]) for key, tensor in tensors[0].items())


def test_held_out_examples_are_needed(tmp_path):
    with pytest.raises(UserError, match="needs real examples that the model was not trained on"):
        plan(tmp_path / "run", "model=sgan", *small("sgan"), "dataset.size=8", "evaluation.metrics=[class_error]")
