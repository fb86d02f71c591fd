"""The conditional adversarial autoencoder: its four losses by hand, how labels are told, and its networks' sizes."""

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, read, take_turn
from systems import CONF
from torch.nn.functional import softplus

from gancli.data.spec import DataSpec
from gancli.errors import UsageError
from gancli.game.build import model_options
from gancli.game.model import Progress
from gancli.game.phase import in_turn
from gancli.losses.smoothness import total_variation
from gancli.networks.caae import signed


def model_of(**changes):
    torch.manual_seed(0)
    return compose_model("caae", compose_loss("nonsaturating"), **changes)


def loss_of(model, player, batch):
    torch.manual_seed(4)
    return model.player_loss(player, batch, Progress(total=1000))


def test_total_variation_by_hand():
    x = torch.tensor([[[[0.0, 1.0, 3.0], [2.0, 2.0, 2.0]]]], dtype=torch.float64)
    down, across = (4 + 1 + 1) / 3, (1 + 4 + 0 + 0) / 4
    assert total_variation(x).item() == pytest.approx(down + across, rel=1e-12)
    assert total_variation(torch.full((2, 3, 4, 5), 0.7)).item() == 0
    assert total_variation(torch.cat((x, 0 * x))).item() == pytest.approx((down + across) / 2, rel=1e-12)  # a mean over images


@pytest.mark.parametrize("reconstruction", ["l2", "l1"])
def test_the_autoencoder_minimizes_the_sum_of_equation_5(reconstruction):
    model = model_of(reconstruction=reconstruction, lambda_reconstruction=7, lambda_tv=3, lambda_image=0.5, lambda_code=0.25)
    batch = batch_for(model.spec)
    x, codes = batch.real.double(), model.encoder(batch.real)
    again = model.generate(codes, batch.labels)
    error = (again.double() - x).square().mean() if reconstruction == "l2" else (again.double() - x).abs().mean()
    image = softplus(-model.judge(again, batch.labels).double()).mean()
    code = softplus(-model.code_discriminator(codes).double()).mean()
    variation = (again[:, :, 1:] - again[:, :, :-1]).double().square().mean() + (
        again[..., 1:] - again[..., :-1]).double().square().mean()
    loss, scalars = loss_of(model, "autoencoder", batch)
    assert loss.item() == pytest.approx((7 * error + 3 * variation + 0.5 * image + 0.25 * code).item(), rel=1e-5)
    assert scalars["reconstruction"].item() == pytest.approx(error.item(), rel=1e-5)
    assert scalars["code_adversarial"].item() == pytest.approx(code.item(), rel=1e-5)


def test_discriminators_tell_images_of_a_label_and_codes_from_uniform_ones():
    model = model_of()
    batch = batch_for(model.spec)
    codes = model.encoder(batch.real)
    again = model.generate(codes, batch.labels)
    expected = (softplus(-model.judge(batch.real, batch.labels).double()).mean()
                + softplus(model.judge(again, batch.labels).double()).mean())
    assert loss_of(model, "discriminator", batch)[0].item() == pytest.approx(expected.item(), rel=1e-5)
    torch.manual_seed(4)
    drawn = 2 * torch.rand(4, 6) - 1
    expected = softplus(-model.code_discriminator(drawn).double()).mean() + softplus(
        model.code_discriminator(codes).double()).mean()
    assert loss_of(model, "code_discriminator", batch)[0].item() == pytest.approx(expected.item(), rel=1e-5)
    other = model.judge(batch.real, (batch.labels + 1) % 3)
    assert not torch.allclose(other, model.judge(batch.real, batch.labels))  # the label counts


def test_labels_are_told_as_signs_and_repeated_to_the_number_of_latents():
    model, told = model_of(), []
    assert model.generator.repeats == 2 and model_of(latent_size=2).generator.repeats == 1
    model.generator.project.register_forward_pre_hook(lambda _, inputs: told.append(inputs[0]))
    z = torch.linspace(-1, 1, 12).view(2, 6)
    model.generate(z, torch.tensor([0, 2]))
    signs = torch.tensor([[1.0, -1, -1], [-1, -1, 1]])
    assert torch.equal(told[0], torch.cat((z, signs, signs), 1))
    assert torch.equal(signed(torch.tensor([[0.25, 0.75]])), torch.tensor([[-0.5, 0.5]]))


def test_what_turns_share_changes_no_gradient():
    model = model_of()
    batch = batch_for(model.spec)
    model.encoder.requires_grad_(True)
    model.generator.requires_grad_(True)
    torch.manual_seed(4)
    batch.prepared = model.prepare(batch)
    for player in model.players:
        take_turn(model, player, batch, Progress(total=1000))
        shared = [p.grad.clone() for network in model.players[player] for p in network.parameters()]
        alone = batch_for(model.spec)
        alone.domains, alone.labels = batch.domains, batch.labels
        torch.manual_seed(4)
        take_turn(model, player, alone, Progress(total=1000))
        torch.testing.assert_close(shared, [p.grad for network in model.players[player] for p in network.parameters()])


def test_all_step_from_one_point_unless_discriminators_have_more_turns():
    model = model_of()
    turns = model.phase(Progress(total=1000), in_turn(list(model.players))).turns
    assert [turn.together for turn in turns] == [True, True, False] and [turn.draws for turn in turns] == [True, False, False]
    more = in_turn(list(model.players), {"discriminator": 2, "code_discriminator": 2})
    assert model.phase(Progress(total=1000), more) == more


def test_networks_are_the_authors_at_128_pixels():
    ages = tuple(map(str, range(10)))
    with torch.device("meta"):
        model = compose_model("caae", spec=DataSpec((3, 128, 128), 9, ages), small=False)
    count = {player: sum(p.numel() for network in networks for p in network.parameters())
             for player, networks in model.players.items()}
    encoder = sum(25 * a * b + b for a, b in ((3, 64), (64, 128), (128, 256), (256, 512), (512, 1024))) + 16385 * 50
    generator = (50 + 50) * 16384 + 16384 + sum(25 * a * b + b for a, b in (
        (1024, 512), (512, 256), (256, 128), (128, 64), (64, 32), (32, 16), (16, 3)))
    assert count["autoencoder"] == encoder + generator
    judge = sum(25 * a * b + 2 * b for a, b in ((3, 16), (26, 32), (32, 64), (64, 128)))  # norms have two numbers
    assert count["discriminator"] == judge + (8 * 8 * 128 + 1) * 1024 + 1025
    assert count["code_discriminator"] == sum(a * b + 2 * b for a, b in ((50, 64), (64, 32), (32, 16))) + 17


WRONG = [({"reconstruction": "l3"}, "reconstruction=l3 does not exist"), ({"lambda_tv": -1}, "lambda_tv must be"),
         ({"init_std": 0}, "init_std must be"), ({"latent_size": 0}, "latent_size must be at least 1")]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_options_out_of_range_are_refused(changes, words):
    assert len(WRONG) == 4
    with pytest.raises(UsageError, match=words):
        model_options({**read(CONF / "model/caae.yaml"), **changes})
