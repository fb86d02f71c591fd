"""The adversarial autoencoder: its priors, the phases of a minibatch, and what each form tells which network."""

import math

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, read, spec_for, take_turn
from systems import CONF
from torch.nn.functional import cross_entropy, softplus

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UsageError, UserError
from gancli.game.abilities import able, refusal
from gancli.game.build import model_options
from gancli.game.model import Progress
from gancli.game.prior import Normal, Ring, Styled, SwissRoll
from gancli.models.aae import half_squared_distance

FORMS = {"unsupervised": {}, "label_informed": {"prior": "ring"}, "supervised": {}, "semisupervised": {}, "clustering": {}}


def model_of(form, **changes):
    torch.manual_seed(0)
    return compose_model("aae", compose_loss("nonsaturating"), form=form, **FORMS[form] | changes)


def partly_labeled(model):
    """Return a batch whose labels are not known, with examples beside it whose labels are."""
    batch = batch_for(model.spec, 6)
    return Batch(batch.domains, labeled=batch_for(model.spec, 3))


def loss_of(model, player, batch):
    return model.player_loss(player, batch, Progress(total=1000))


# Priors


def test_a_ring_has_petals_that_point_outwards():
    ring = Ring(4)
    middle = ring.placed(torch.zeros(4, 2), torch.arange(4))
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    torch.testing.assert_close(middle, 1.4 * directions, atol=1e-6, rtol=0)
    out, aside = ring.placed(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 1]))
    torch.testing.assert_close(out, torch.tensor([0.0, 1.9]), atol=1e-6, rtol=0)
    torch.testing.assert_close(aside, torch.tensor([-0.05, 1.4]), atol=1e-6, rtol=0)


def test_a_swiss_roll_is_uniform_in_the_square_of_its_radius():
    roll = SwissRoll(5)
    z = roll.draw(20000, torch.Generator().manual_seed(0))
    shares = (z.norm(dim=1) / 3).square().sort().values  # uniform: its quantiles are themselves
    assert (shares - torch.linspace(0, 1, 20000)).abs().max() < 0.015
    angle = torch.atan2(z[:, 1], z[:, 0]) - 4 * math.pi * z.norm(dim=1) / 3
    assert (1 - angle.cos()).max() < 1e-3  # on the spiral
    sections = torch.arange(20000) % 5
    inside = roll.placed(torch.randn(20000, 2, generator=torch.Generator().manual_seed(1)), sections)
    share = (inside.norm(dim=1) / 3).square()
    assert ((share * 5 - sections) > -1e-3).all() and ((share * 5 - sections) < 1 + 1e-3).all()


def test_a_category_goes_before_the_style():
    prior = Styled(3, Normal(2, std=5.0))
    z = prior.draw(6000, torch.Generator().manual_seed(0))
    assert z.shape == (6000, 5) and set(z[:, :3].unique().tolist()) == {0, 1} and (z[:, :3].sum(1) == 1).all()
    assert (z[:, :3].mean(0) - 1 / 3).abs().max() < 0.03 and (z[:, 3:].std(0) - 5).abs().max() < 0.2
    moved = prior.with_codes(z, {"c1": torch.full((6000,), 2)})
    assert (moved[:, 2] == 1).all() and torch.equal(moved[:, 3:], z[:, 3:])


PRIORS = [Ring(6), SwissRoll(4), Styled(3, Normal(2)), Normal(3, std=5.0)]


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: type(prior).__name__)
def test_paths_begin_and_end_where_they_should(prior):
    start, end = prior.draw(2, torch.Generator().manual_seed(3))
    path = prior.between(start, end, torch.linspace(0, 1, 9))
    torch.testing.assert_close(path[[0, -1]], torch.stack((start, end)), atol=1e-4, rtol=1e-4)
    if isinstance(prior, SwissRoll):
        angle = torch.atan2(path[:, 1], path[:, 0]) - 4 * math.pi * path.norm(dim=1) / 3
        assert (1 - angle.cos()).max() < 1e-3


# Phases


def test_the_turns_of_a_minibatch_come_in_the_papers_order():
    assert list(model_of("unsupervised").players) == ["autoencoder", "discriminator", "encoder"]
    assert list(model_of("semisupervised").players) == ["autoencoder", "discriminator", "encoder", "classifier"]
    assert list(model_of("clustering").players) == ["autoencoder", "discriminator", "encoder"]


def test_a_reconstruction_costs_half_the_squared_distance():
    one, two = torch.tensor([[[1.0, 3.0], [0.0, 0.0]], [[0.0, 1.0], [2.0, 0.0]]], dtype=torch.float64)
    assert half_squared_distance(one, two).item() == (0.5 * (1 + 4) + 0.5 * 4) / 2
    model = model_of("unsupervised")
    batch = batch_for(model.spec)
    loss, _ = loss_of(model, "autoencoder", batch)
    values = (model.reconstruct(batch.real) + 1) / 2
    assert loss.item() == pytest.approx(0.5 * (values - (batch.real + 1) / 2).square().sum().item() / 4, rel=1e-5)


def test_the_discriminator_judges_codes_and_the_encoder_fools_it():
    model = model_of("unsupervised")
    batch = batch_for(model.spec)
    torch.manual_seed(5)
    loss, scalars = loss_of(model, "discriminator", batch)
    torch.manual_seed(5)
    drawn, codes = model.prior.like(batch.real), model.encode(batch.real)
    real, fake = model.discriminator(drawn).double(), model.discriminator(codes).double()
    assert loss.item() == pytest.approx((softplus(-real).mean() + softplus(fake).mean()).item(), rel=1e-5)
    assert scalars["D(x)"].item() == pytest.approx(real.sigmoid().mean().item(), rel=1e-5)
    assert loss_of(model, "encoder", batch)[0].item() == pytest.approx(softplus(-fake).mean().item(), rel=1e-5)


def test_category_and_style_have_judges_of_their_own():
    model = model_of("clustering")
    batch = batch_for(model.spec)
    assert not {id(p) for p in model.discriminator.parameters()} & {id(p) for p in model.category_discriminator.parameters()}
    codes = model.encode(batch.real)
    torch.testing.assert_close(codes[:, :3].sum(1), torch.ones(4))
    style, category = model.discriminator(codes[:, 3:]), model.category_discriminator(codes[:, :3])
    expected = softplus(-style).mean() + softplus(-category).mean()
    loss, scalars = loss_of(model, "encoder", batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert {"adversarial", "category_adversarial", "category_fake"} <= set(scalars)


def test_classes_are_learned_from_the_labeled_examples_alone():
    model = model_of("semisupervised")
    batch = partly_labeled(model)
    loss, scalars = loss_of(model, "classifier", batch)
    logits = model.classify(batch.labeled.real)
    assert loss.item() == pytest.approx(cross_entropy(logits.double(), batch.labeled.labels).item(), rel=1e-5)
    other = Batch(batch.domains, labeled=Batch(batch.labeled.domains, (batch.labeled.labels + 1) % 3))
    for player in ("autoencoder", "discriminator", "encoder"):  # nobody else sees a label
        results = []
        for each in (batch, other):
            torch.manual_seed(2)
            results.append(loss_of(model, player, each)[0])
        assert torch.equal(*results), player
    whole = batch_for(model.spec)  # all labels known: each example teaches its own
    assert loss_of(model, "classifier", whole)[0].item() == pytest.approx(
        cross_entropy(model.classify(whole.real), whole.labels).item(), rel=1e-5)


def test_the_informed_discriminator_is_told_labels_and_one_class_for_none():
    model = model_of("label_informed")
    assert model.discriminator.labels == len(model.spec.classes) + 1 and model.style.sections == len(model.spec.classes)
    batch = partly_labeled(model)
    (real, labels), (fake, others) = model._pairs(batch)[0]
    assert labels.tolist() == others.tolist() == [3] * 6 + [0, 1, 2]
    assert real.shape == fake.shape == (9, 2)
    torch.testing.assert_close(fake, model.encode(torch.cat((batch.real, batch.labeled.real))))
    angles = torch.atan2(real[6:, 1], real[6:, 0])
    known = real[6:].norm(dim=1) > 0.4  # beyond the center, where petals meet
    assert ((angles - labels[6:] * 2 * math.pi / 3).cos()[known] > 0.8).all()


def test_the_decoder_of_the_supervised_form_is_told_the_label():
    model = model_of("supervised")
    assert model.needs.labels and model.encode(torch.zeros(1, *model.spec.shape)).shape == (1, 2)
    z = model.draw_latents(4, torch.Generator())
    one, two = (model.generate(z, torch.full((4,), label)) for label in (0, 1))
    assert not torch.allclose(one, two, atol=1e-4)
    batch = batch_for(model.spec)
    again = model.generate(model.encode(batch.real), batch.labels)
    torch.testing.assert_close(model.reconstruct(batch.real, batch.labels), again)


def test_noise_on_the_inputs_is_of_training_alone():
    model = model_of("unsupervised", input_noise=0.3)
    x = torch.zeros(1000, *model.spec.shape)
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model.train().encode(x)
    model.eval().encode(x)
    assert seen[0].std().item() == pytest.approx(0.6, rel=0.02) and torch.equal(seen[1], x)  # 0.3 of values in [0, 1]


def test_each_turn_moves_its_own_networks_alone():
    model = model_of("semisupervised")
    batch = partly_labeled(model)
    for player in model.players:
        take_turn(model, player, batch, Progress(total=1000))
        own = {id(p) for network in model.players[player] for p in network.parameters()}
        assert all((p.grad is None) == (id(p) not in own) for p in model.parameters()), player


# Bad input


WRONG = [
    ({"form": "semi"}, "form=semi does not exist; .*semisupervised"), ({"prior": "normal"}, "prior=normal does not exist"),
    ({"prior": "ring", "latent_size": 3}, "law in the plane"), ({"form": "label_informed"}, "a Gaussian has none"),
    ({"prior_std": 0}, "prior_std must be"), ({"categories": 1}, "categories must be at least 2"),
    ({"input_noise": -1}, "input_noise must be"), ({"norm": "layer"}, "norm=layer"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_options_that_make_no_sense_are_refused(changes, words):
    assert len(WRONG) == 8
    with pytest.raises(UsageError, match=words):
        model_options({**read(CONF / "model/aae.yaml"), **changes})


def test_forms_ask_for_the_labels_that_they_need():
    plain = DataSpec((1, 8, 8), 9)
    for form in ("label_informed", "supervised", "semisupervised"):
        with pytest.raises(UserError, match=f"model.form={form} needs labels and this data set has none"):
            compose_model("aae", spec=plain, form=form, **FORMS[form])
    some = DataSpec((1, 8, 8), 9, ("a", "b"), labeled=4)
    for form in ("unsupervised", "supervised", "clustering"):
        with pytest.raises(UserError, match=f"model.form={form} does not learn from labels of some .*semisupervised"):
            compose_model("aae", spec=some, form=form, **FORMS[form])
    compose_model("aae", spec=plain, form="clustering")


def test_abilities_are_those_of_the_form():
    for form in FORMS:
        model = model_of(form)
        categorical = form in ("semisupervised", "clustering")
        assert able(model, "classify") == able(model, "codes") == categorical
        assert able(model, "sample") and able(model, "encode") and able(model, "reconstruct")
    assert "model=aae cannot classify images as its options are; " in refusal("aae", "classify")


def test_points_are_welcome_too():
    model = compose_model("aae", spec=spec_for("aae", (2,)))
    batch = batch_for(model.spec)
    for player in model.players:
        take_turn(model, player, batch, Progress(total=1000))
    assert model.sample(5, torch.Generator()).shape == (5, 2)
