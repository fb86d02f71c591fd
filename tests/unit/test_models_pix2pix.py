"""pix2pix: its networks' sizes, what its players minimize, and what it refuses."""

import pytest
import torch
from composing import compose_loss, compose_model, spec_for
from torch.nn.functional import softplus

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError
from gancli.game.model import Progress
from gancli.models.pix2pix import largest_patch
from gancli.networks.patch import PatchDiscriminator, PixelDiscriminator
from gancli.networks.unet import UNet, unet_depth

SPEC = DataSpec((1, 8, 8), 9, domains=("map", "photo"), paired=True)


def model_of(spec=SPEC, **changes):
    return compose_model("pix2pix", compose_loss("nonsaturating"), spec=spec, dropout=0.0, **changes)


def batch(n=3):
    torch.manual_seed(0)
    return Batch((torch.rand(n, 1, 8, 8) * 2 - 1, torch.rand(n, 1, 8, 8) * 2 - 1))


def test_networks_of_the_paper_at_256_pixels():
    with torch.device("meta"):
        model = compose_model("pix2pix", spec=spec_for("pix2pix", (3, 256, 256)), small=False, generator_norm="batch")
    count = {name: sum(weight.numel() for weight in modules[0].parameters()) for name, modules in model.players.items()}
    assert count == {"generator": 54_413_955, "discriminator": 2_768_705}
    shapes = [tuple(up.weight.shape[:2]) for up in model.generator.ups]
    assert shapes == [(512, 512), (1024, 512), (1024, 512), (1024, 512), (1024, 256), (512, 128), (256, 64), (128, 3)]
    with torch.device("meta"):
        assert model.judge(torch.zeros(1, 3, 256, 256), torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize("size, depth", [((256, 256), 8), ((64, 64), 6), ((9, 14), 3), ((1024, 600), 8)])
def test_any_size_comes_back(size, depth):
    assert unet_depth(*size) == depth
    if size[0] < 100:
        net = UNet(3, 1, depth, 2, "instance", 0.5).eval()
        assert net(torch.zeros(1, 3, *size)).shape == (1, 1, *size)


def test_a_translation_depends_on_no_other_image():
    model = model_of().eval()
    x = batch().domains[0]
    assert torch.allclose(model.translate(x, "photo")[:1], model.translate(x[:1], "photo"), atol=1e-6)


def test_losses_are_the_papers():
    model, given = model_of(discriminator_norm="none").double(), batch()
    given = Batch(tuple(images.double() for images in given.domains))
    x, y = given.domains
    fake = model.generator(x)
    of_real, of_fake = model.discriminator(torch.cat((x, y), 1)), model.discriminator(torch.cat((x, fake), 1))
    loss, _ = model.player_loss("discriminator", given, Progress(total=9))
    assert loss.item() == pytest.approx((softplus(-of_real).mean() + softplus(of_fake).mean()).item(), rel=1e-6)
    loss, scalars = model.player_loss("generator", given, Progress(total=9))
    error = (fake - y).abs().mean()
    assert loss.item() == pytest.approx((softplus(-of_fake).mean() + 100 * error).item(), rel=1e-6)
    assert scalars["l1"].item() == pytest.approx(error.item())
    model.lambda_adversarial = 0.0
    assert model.player_loss("generator", given, Progress(total=9))[0].item() == pytest.approx(100 * error.item(), rel=1e-6)


def test_either_direction():
    forth, back = model_of(), model_of(to="map")
    a, b = batch().domains
    assert [each is x for each, x in zip(forth.in_order(batch_of(a, b)), (a, b), strict=True)] == [True, True]
    assert [each is x for each, x in zip(back.in_order(batch_of(a, b)), (b, a), strict=True)] == [True, True]
    assert forth.targets == ("photo",) and back.targets == ("map",)
    with pytest.raises(ValueError, match="translates to map alone"):
        back.translate(a, "photo")


def batch_of(a, b):
    return Batch((a, b))


def test_patches():
    assert [largest_patch(side, side) for side in (8, 16, 64, 512)] == [1, 2, 4, 6]
    pixel, patch = model_of(patch=0).discriminator, model_of().discriminator
    assert isinstance(pixel, PixelDiscriminator) and isinstance(patch, PatchDiscriminator)
    x = torch.zeros(1, 2, 8, 8)
    moved = x.clone()
    moved[..., 0, 0] = 1
    pixel.eval()
    assert ((pixel(moved) - pixel(x)).abs() > 0).sum() == 1, "a pixel is judged by itself"


@pytest.mark.parametrize("spec, changes, told", [
    (DataSpec((1, 8, 8), 9, domains=("a", "b")), {}, "dataset=paired"), (DataSpec((1, 8, 8), 9), {}, "dataset=paired"),
    (SPEC, {"to": "sketch"}, "map, photo"), (SPEC, {"depth": 4}, "model.depth"), (SPEC, {"patch": 3}, "model.patch")])
def test_what_is_refused(spec, changes, told):
    with pytest.raises((UserError, ValueError), match=told):
        model_of(spec, **changes)
