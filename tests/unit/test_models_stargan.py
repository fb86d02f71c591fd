"""StarGAN: its networks' sizes, what its players minimize, its targets, and what it refuses."""

import pytest
import torch
from composing import compose_loss, compose_model
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError
from gancli.game.model import Progress
from gancli.game.phase import in_turn
from gancli.game.translating import next_targets, sources, translated
from gancli.networks.stargan import halvings

CLASSES = DataSpec((1, 8, 8), 9, ("cat", "dog", "fox"))
FACES = DataSpec((1, 8, 8), 9, attributes=("black", "blond", "male"))


def model_of(spec=CLASSES, loss="nonsaturating", **changes):
    torch.manual_seed(0)
    return compose_model("stargan", compose_loss(loss), spec, attributes=not spec.classes, **changes)


def batch_of(spec=CLASSES, n=4):
    torch.manual_seed(1)
    labels = torch.arange(n) % len(spec.classes) if spec.classes else None
    attributes = None if labels is not None else torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]])[:n]
    return Batch((torch.rand(n, *spec.shape, dtype=torch.float64) * 2 - 1,), labels,
                 None if attributes is None else attributes.double())


def count(network):
    return sum(weight.numel() for weight in network.parameters())


def test_networks_of_the_paper_at_128_pixels():
    spec = DataSpec((3, 128, 128), 9, attributes=tuple("abcde"))
    with torch.device("meta"):
        model = compose_model("stargan", compose_loss("wgan_gp"), spec, small=False, attributes=True)
        judged = model.judge(torch.zeros(1, 3, 128, 128))
        told = model.teller(judged.features[0])
    # convolutions without biases and six norms' gains and shifts; the critic's with biases, its heads without
    translator = 49 * 8 * 64 + 16 * (64 * 128 + 128 * 256) * 2 + 6 * 2 * 9 * 256**2 + 49 * 64 * 3
    assert count(model.generator) == translator + 2 * (64 + 128 + 256) * 2 - 2 * 256 + 6 * 4 * 256 == 8_430_528
    assert count(model.discriminator) + count(model.teller) == 44_762_048  # with the other 53.2 million, as Choi 2018 counts
    assert judged.logits.shape == (1, 1, 2, 2) and told.shape == (1, 5)
    assert [halvings(side, side) for side in (8, 16, 32, 64, 128)] == [2, 3, 4, 5, 6] and halvings(9, 14) == 2


def test_losses_are_the_papers():
    model, batch = model_of().double(), batch_of()
    x, target = batch.real, torch.eye(3, dtype=torch.float64)[[1, 2, 0, 1]]
    fake = model.generator(x, target)
    batch.prepared = (made := type(model.prepare(batch))(target, fake))
    features = [model.discriminator.body(images) for images in (x, fake)]
    real_logits, fake_logits = (model.discriminator.head(each) for each in features)
    real_classes, fake_classes = (model.teller(each) for each in features)
    softplus = torch.nn.functional.softplus
    loss, scalars = model.player_loss("discriminator", batch, Progress(total=9))
    of_class = cross_entropy(real_classes, batch.labels)
    assert scalars["class_real"].item() == pytest.approx(of_class.item(), rel=1e-5)
    wanted = softplus(-real_logits).mean() + softplus(fake_logits).mean() + of_class
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    loss, scalars = model.player_loss("generator", batch, Progress(total=9))
    cycle = (model.generator(made.fake, torch.eye(3, dtype=torch.float64)[batch.labels]) - x).abs().mean()
    wanted = softplus(-fake_logits).mean() + cross_entropy(fake_classes, torch.tensor([1, 2, 0, 1])) + 10 * cycle
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5) and scalars["cycle"].item() == pytest.approx(cycle.item())


def test_the_game_of_the_paper_is_wasserstein_with_five_turns():
    model, batch = model_of(loss="wgan_gp"), batch_of()
    batch.domains = (batch.real.float(),)  # which penalties are computed in
    assert model.objective.options.gradient_penalty.weight == 10
    made = model.prepare(batch)
    batch.prepared = made
    loss, scalars = model.player_loss("discriminator", batch, Progress(total=9))
    means = [model.judge(images).logits.mean() for images in (made.fake, batch.real)]
    wanted = means[0] - means[1] + 10 * scalars["gradient_penalty"] + scalars["class_real"]
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    turns = model.phase(Progress(total=9), in_turn(list(model.players), {"discriminator": 5})).turns
    assert [turn.player for turn in turns] == ["discriminator"] * 5 + ["generator"] and sum(turn.draws for turn in turns) == 5


def test_targets_in_training_are_the_batchs_own_domains():
    model, batch = model_of(), batch_of(n=12)
    batch.domains = (batch.real.float(),)
    target = model.prepare(batch).target
    assert torch.equal(target.sum(0), torch.full((3,), 4.0)) and not torch.equal(target.argmax(1), batch.labels)


def test_attributes_are_summed_and_some_exclude_each_other():
    model, batch = model_of(FACES, exclusive=["black", "blond"]).double(), batch_of(FACES)
    model.teller = model.teller.double()
    judged = model.judge(batch.real)
    wanted = binary_cross_entropy_with_logits(model.teller(judged.features[0]), batch.attributes, reduction="sum") / 4
    assert model.class_loss(judged, batch.attributes).item() == pytest.approx(wanted.item(), rel=1e-5)
    assert model.targets == ("not black", "not blond", "not male", "black", "blond", "male")
    with torch.no_grad():
        model.teller.weight.zero_()
        for bias, value in zip((0, 1, 2), (1, -1, 1), strict=True):  # it sees black hair and a man everywhere
            model.teller.weight[bias] = value * model.discriminator.body(batch.real[:1])[0].sign()
    seen = model.target_of(batch.real[:1], "male")
    assert seen.tolist() == [[1, 0, 1]] and model.target_of(batch.real[:1], "not male").tolist() == [[1, 0, 0]]
    assert model.target_of(batch.real[:1], "blond").tolist() == [[0, 1, 1]]
    assert model.target_of(batch.real[:1], "not black").tolist() == [[0, 0, 1]]
    assert model.shows("blond", batch).tolist() == [False, True, False, False]
    assert model.shows("not male", batch).tolist() == [True, False, False, False]


class Labels:
    """Data of which only the labels are asked."""

    spec, counts = CLASSES, (6,)

    def labels(self, rows):
        return torch.tensor([0, 1, 2, 0, 1, 2])[rows]


def test_who_looks_at_it_translates_each_image_into_another_domain():
    model = model_of().eval()
    rows, place = sources(model, Labels(), "dog")
    assert rows.tolist() == [0, 2, 3, 5] and place == 0 and model.targets == CLASSES.classes
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    targets = next_targets(model, Batch((labels,), labels), torch.arange(8))
    assert targets.tolist() == [1, 2, 1, 2, 0, 1, 0, 1]
    x = batch_of(n=4).real.float()
    made = translated(model, x, torch.tensor([0, 2, 0, 1]))
    for i, name in enumerate(("cat", "fox", "cat", "dog")):
        assert torch.allclose(made[i], model.translate(x[i:i + 1], name)[0], atol=1e-5)


@pytest.mark.parametrize("spec, changes, told", [
    (DataSpec((1, 8, 8), 9), {"attributes": False}, "needs labels"), (DataSpec((1, 8, 8), 9, ("a",)), {}, "has one"),
    (CLASSES, {"attributes": True}, "dataset.attributes"), (FACES, {"exclusive": ["blodn"]}, "did you mean blond"),
    (CLASSES, {"exclusive": ["cat"]}, "model.attributes=true")])
def test_what_is_refused(spec, changes, told):
    with pytest.raises((UserError, ValueError), match=told):
        compose_model("stargan", compose_loss("nonsaturating"), spec, **{"attributes": not spec.classes, **changes})
