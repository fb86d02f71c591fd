"""Systems with a head on the discriminator's features: the bound by hand, who is trained by what, and codes."""

import math

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, read, take_turn
from systems import CONF
from torch.distributions import Normal as Gaussian
from torch.nn.functional import cross_entropy

from gancli.errors import UsageError, UserError
from gancli.game.build import model_options
from gancli.game.model import Fixed, Progress
from gancli.game.prior import Codes
from gancli.losses.information import categorical_information, gaussian_information
from gancli.ranks import shards

PROGRESS = Progress(total=1000)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


# The bound


def test_the_bound_of_a_categorical_code_by_hand():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
    code = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    first = 2 - math.log(math.exp(2) + 1 + math.exp(-1))
    second = 0.5 - math.log(2 * math.exp(0.5) + math.exp(3))
    assert categorical_information(logits, code).item() == pytest.approx(math.log(3) + (first + second) / 2, abs=1e-14)
    assert categorical_information(1000 * code, code).item() == pytest.approx(math.log(3))  # sure and right
    assert categorical_information(torch.zeros_like(logits), code).item() == pytest.approx(0, abs=1e-14)  # knows nothing
    assert categorical_information(-1000 * code, code).isfinite()


def test_the_bound_of_continuous_codes_by_hand():
    mean = torch.tensor([[0.5, -0.25], [1.0, 0.0]], dtype=torch.float64)
    codes = torch.tensor([[0.25, 0.75], [-1.0, 0.5]], dtype=torch.float64)
    squares = (0.0625 + 1.0 + 4.0 + 0.25) / 2
    expected = 2 * math.log(2) - squares / 2 - math.log(2 * math.pi)
    assert gaussian_information(mean, None, codes, math.log(2)).item() == pytest.approx(expected, abs=1e-14)
    log_variance = torch.tensor([[-2.0, 0.0], [1.0, -0.5]], dtype=torch.float64)
    likely = Gaussian(mean, (log_variance / 2).exp()).log_prob(codes).sum(1).mean()
    found = gaussian_information(mean, log_variance, codes, math.log(2))
    assert found.item() == pytest.approx(2 * math.log(2) + likely.item(), abs=1e-14)
    assert gaussian_information(mean, torch.zeros_like(mean), codes, 0.0).item() == pytest.approx(
        gaussian_information(mean, None, codes, 0.0).item(), abs=1e-14)


# The codes' law


def test_the_law_of_codes():
    prior = Codes(noise=2, categorical=(3, 4), continuous=2)
    assert prior.codes == {"c1": 3, "c2": 4, "c3": None, "c4": None} and prior.shape == (11,)
    torch.manual_seed(0)
    for z in (prior.draw(30_000, seeded()), prior.like(torch.zeros(30_000, 1))):
        first, second = prior.categories_of(z)
        assert all(set(code.unique().tolist()) == {0, 1} and (code.sum(1) == 1).all() for code in (first, second))
        assert torch.allclose(first.mean(0), torch.full((3,), 1 / 3), atol=0.015)
        assert torch.allclose(second.mean(0), torch.full((4,), 1 / 4), atol=0.015)
        plain = torch.cat((z[:, :2], prior.continuous_of(z)), 1)
        assert plain.abs().max() <= 1 and plain.mean(0).abs().max() < 0.02
        assert torch.allclose(plain.square().mean(0), torch.full((4,), 1 / 3), atol=0.01)
        assert torch.corrcoef(torch.cat((plain, first[:, :2], second[:, :3]), 1).T).triu(1)[:6, 4:].abs()[:4].max() < 0.03
    assert torch.equal(prior.draw(5, seeded(1)), prior.draw(5, seeded(1)))


def test_codes_alone_have_a_law_too():
    assert Codes(0, (3,), 0).draw(7, seeded()).shape == (7, 3)
    assert Codes(0, (), 2).categories_of(Codes(0, (), 2).draw(7, seeded())) == ()


@pytest.mark.recipe
def test_a_path_between_codes_keeps_their_law():
    prior = Codes(noise=3, categorical=(4,), continuous=2)
    z = prior.draw(2, seeded())
    times = torch.linspace(0, 1, 12)
    path = prior.between(z[0].double(), z[1].double(), times.double())
    assert torch.allclose(path[[0, -1]], z.double(), atol=1e-6)
    (code,) = prior.categories_of(path)
    assert torch.equal(code, torch.cat((z[:1, 3:7].expand(6, 4), z[1:, 3:7].expand(6, 4))).double())
    prior = Codes(noise=60, categorical=(4,), continuous=2)
    ends = prior.draw(4000, seeded(1)).double()
    middles = torch.cat([prior.between(*pair, torch.tensor([0.5])) for pair in ends.split(2)])
    codes = prior.continuous_of(middles)
    assert middles.abs().max() <= 1 and codes.square().mean().item() == pytest.approx(1 / 3, abs=0.01)
    assert torch.allclose(prior.categories_of(middles)[0].mean(0), torch.full((4,), 0.25, dtype=torch.float64), atol=0.03)


def test_ranks_have_their_rows_of_the_whole_batchs_codes():
    prior = Codes(noise=2, categorical=(3,), continuous=1)
    torch.manual_seed(0)
    whole = prior.like(torch.zeros(8, 1))
    parts = []
    for rank in range(2):
        torch.manual_seed(0)
        with shards.taking(shards.Place(rank, 2)):
            parts.append(prior.like(torch.zeros(4, 1)))
    assert torch.equal(torch.cat(parts), whole)


def test_codes_can_be_set_by_name():
    prior = Codes(noise=2, categorical=(3, 2), continuous=2)
    z = prior.draw(4, seeded())
    changed = prior.with_codes(z, {"c1": torch.tensor([2, 0, 1, 2]), "c4": torch.tensor([1.5, -2, 0, 2])})
    first, second = prior.categories_of(changed)
    assert first.argmax(1).tolist() == [2, 0, 1, 2] and torch.equal(second, prior.categories_of(z)[1])
    assert prior.continuous_of(changed)[:, 1].tolist() == [1.5, -2, 0, 2]
    assert torch.equal(changed[:, :2], z[:, :2]) and torch.equal(prior.continuous_of(changed)[:, 0], z[:, -2])


# InfoGAN


def infogan(**changes):
    torch.manual_seed(0)
    return compose_model("infogan", **changes)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_both_players_losses_hold_the_bound(player, learned):
    model = infogan(learned_variance=learned, categorical=[3, 2], lambda_categorical=0.7, lambda_continuous=0.3)
    batch = batch_for(model.spec, 8)
    torch.manual_seed(1)
    loss, scalars = take_turn(model, player, batch, PROGRESS)
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    trained = ("generator.",) if player == "generator" else ("discriminator.", "teller.")
    assert {name.partition(".")[0] + "." for name in reached} == set(trained)
    found = [scalars[f"information/{name}"] for name in ("c1", "c2", "continuous")]
    expected = scalars["adversarial"] - 0.7 * (found[0] + found[1]) - 0.3 * found[2]
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_bound_alone_moves_the_generator_and_reads_the_fakes_of_the_same_pass():
    model = infogan(lambda_categorical=1.0, lambda_continuous=1.0)
    batch = batch_for(model.spec, 8)
    torch.manual_seed(1)
    made = model.make(batch)
    judged = model.objective.generator(model.judge, (made.x,), (batch.real,))
    bound, scalars = model.head_loss(judged, made, batch, discriminates=False)
    gradients = torch.autograd.grad(bound, [*model.generator.parameters(), *model.teller.parameters()])
    assert all(gradient.any() for gradient in gradients)
    told = model.teller(judged.fake.features[0])
    (code,) = model.prior.categories_of(made.given)
    by_hand = (math.log(10) - cross_entropy(told[:, :10], code.argmax(1))
               + Gaussian(told[:, 10:], 1.0).log_prob(model.prior.continuous_of(made.given)).sum(1).mean()
               + 2 * math.log(2))
    assert -bound.item() == pytest.approx(by_hand.item(), abs=1e-5)
    assert sum(scalars.values()).item() == pytest.approx(by_hand.item(), abs=1e-5)


def test_a_prepared_batch_gives_the_same_losses_and_keeps_the_generators_graph():
    model = infogan()
    batch = batch_for(model.spec, 8)
    for player in model.players:
        losses = []
        for shared in (False, True):
            torch.manual_seed(1)
            batch.prepared = model.prepare(batch) if shared else None
            losses.append(model.player_loss(player, batch, PROGRESS)[0])
        assert torch.equal(*losses)
    losses[1].backward()
    assert all(p.grad is not None for p in model.generator.parameters())


def test_q_is_spared_by_weight_clipping():
    model = compose_model("infogan", compose_loss("wgan"))
    with torch.no_grad():
        for network in model.players["discriminator"]:
            for parameter in network.parameters():
                parameter.fill_(1.0)
    model.after_step("discriminator")
    assert max(p.max() for p in model.discriminator.parameters()) < 1
    assert all((p == 1).all() for p in model.teller.parameters())


def test_the_papers_networks_for_mnist():
    from gancli.data.spec import DataSpec

    with torch.device("meta"):
        model = compose_model("infogan", spec=DataSpec((1, 28, 28), 9), small=False)
    count = {name: sum(p.numel() for p in network.parameters()) for name, network in
             (("g", model.generator), ("d", model.discriminator), ("q", model.teller))}
    convolutions = 16 * (128 * 64 + 64)
    assert count["g"] == 74 * 1024 + 2 * 1024 + 1024 * 6272 + 2 * 6272 + convolutions + 2 * 64 + 1
    assert count["d"] == convolutions + 64 + 2 * 128 + 6272 * 1024 + 2 * 1024 + 1025
    assert count["q"] == 1024 * 128 + 2 * 128 + 129 * 12


def test_each_codes_grid_moves_that_code_alone():
    model = infogan().eval()
    batch = batch_for(model.spec, 12)
    seen = []
    model.generate = lambda z: seen.append(z) or torch.zeros(len(z), *model.spec.shape)
    shown = model.showcase(Fixed(model.draw_latents(12, seeded()), None, batch, columns=4))
    assert list(shown) == ["samples", "code-c1", "code-c2", "code-c3"]
    by_category, by_c2 = seen[1].view(10, 4, -1), seen[2].view(10, 4, -1)
    categories = model.prior.categories_of(seen[1])[0].argmax(1).view(10, 4)
    assert torch.equal(categories, torch.arange(10)[:, None].expand(10, 4))
    other = torch.cat((by_category[..., :6], by_category[..., 16:]), 2)
    assert (other == other[:1]).all()
    assert torch.allclose(by_c2[:, :, 16], torch.tensor([-2, -2 / 3, 2 / 3, 2]).expand(10, 4))
    rest = torch.cat((by_c2[..., :16], by_c2[..., 17:]), 2)
    assert (rest == rest[:, :1]).all()


def test_classify_gives_the_first_codes_posterior():
    model = infogan(categorical=[3, 2]).eval()
    x = torch.rand(5, *model.spec.shape) * 2 - 1
    assert torch.equal(model.classify(x), model.teller(model.discriminator.body(x))[:, :3])
    with pytest.raises(UserError, match="no categorical code"):
        infogan(categorical=[]).classify(x)


@pytest.mark.parametrize(("changes", "words"), [
    ({"categorical": [], "continuous": 0}, "leave no code.*model=dcgan"), ({"categorical": [1]}, "at least 2"),
    ({"continuous": -1}, "continuous must be at least 0"), ({"discriminator_norm": "instance"}, "did you mean none"),
])
def test_codes_that_cannot_be_are_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        model_options({**read(CONF / "model/infogan.yaml"), **changes})


# AC-GAN


@pytest.mark.parametrize("name", ["infogan", "acgan"])
def test_the_judgment_is_the_discriminators_with_the_features_that_it_came_from(name):
    torch.manual_seed(0)
    model = compose_model(name).eval()
    x = torch.rand(5, *model.spec.shape) * 2 - 1
    logits, (features,), _ = model.judge(x)
    assert torch.equal(logits, model.discriminator(x)) and torch.equal(features, model.discriminator.body(x))
    assert logits.shape == (5,) and len(features) == 5


def test_the_classifiers_loss_is_in_both_players_losses():
    torch.manual_seed(0)
    model = compose_model("acgan", lambda_class=0.5)
    batch = batch_for(model.spec, 6)
    for player, parts in (("discriminator", ("class", "class_real")), ("generator", ("class",))):
        loss, scalars = take_turn(model, player, batch, PROGRESS)
        expected = scalars["adversarial"] + 0.5 * sum(scalars[part] for part in parts)
        assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
        assert ("class_real" in scalars) == (player == "discriminator")


def test_labels_reach_the_image_and_not_the_judgment():
    torch.manual_seed(0)
    model = compose_model("acgan").eval()
    z = model.draw_latents(1, seeded()).repeat(3, 1)
    x = model.generate(z, torch.arange(3))
    assert not torch.allclose(x[0], x[1], atol=1e-5)
    assert torch.equal(model.generate(z, torch.eye(3)), x)
    logits = model.classify(x)
    assert torch.equal(logits, model.teller(model.discriminator.body(x))) and logits.shape == (3, 3)
    batch = batch_for(model.spec, 4)
    loss, scalars = model.head_loss(model.objective.discriminator(model.judge, (batch.real,), (batch.real,), 0),
                                    model.make(batch), batch, discriminates=True)
    assert scalars["class"] == scalars["class_real"] == cross_entropy(model.classify(batch.real), batch.labels)
    assert loss == 2 * scalars["class"]
