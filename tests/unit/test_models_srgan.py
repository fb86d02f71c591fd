"""SRGAN: its networks' sizes, what its players minimize and when, frozen weights, and low resolution as Pillow makes it."""

import numpy as np
import pytest
import torch
from composing import compose_loss, compose_model, spec_for
from PIL import Image
from torch import nn
from torch.nn.functional import softplus

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError
from gancli.features.perceptual import PERCEPTIONS, build_maps, read_maps
from gancli.game.model import Progress
from gancli.game.phase import in_turn
from gancli.networks.bicubic import enlarged, reduced
from gancli.networks.frozen import Frozen
from gancli.networks.srgan import SRResNet, halvings

SPEC = DataSpec((1, 16, 16), 9)


def model_of(**changes):
    return compose_model("srgan", compose_loss("nonsaturating"), spec=SPEC, **changes)


def at(kimg):
    return Progress(total=10**6, images=round(1000 * kimg))


def test_networks_of_the_paper():
    with torch.device("meta"):
        model = compose_model("srgan", spec=spec_for("srgan", (3, 96, 96)), small=False, content="mse")
    count = {name: sum(weight.numel() for weight in modules[0].parameters()) for name, modules in model.players.items()}
    body = 33 * (64 * 64 * 9 + 2 * 64) + 16 * 64
    ends = (3 * 81 * 64 + 64 + 64) + 2 * (64 * 256 * 9 + 256 + 64) + (64 * 81 * 3 + 3)
    assert count["generator"] == body + ends
    widths = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    convolutions = sum(9 * a * b for a, b in widths) + 64 + 2 * sum(b for _, b in widths[1:])
    assert count["discriminator"] == convolutions + (512 * 6 * 6 * 1024 + 1024) + 1025
    strides = [layer.stride[0] for layer in model.discriminator.layers if isinstance(layer, nn.Conv2d)]
    assert strides == [1, 2] * 4 and [halvings(side, side + 1) for side in (8, 16, 32, 64, 128)] == [1, 2, 3, 4, 5]
    assert model_of().eval().upscale(torch.zeros(1, 1, 7, 11)).shape == (1, 1, 28, 44)


@pytest.mark.parametrize("factor, blocks", [(2, 1), (4, 2)])
def test_no_pixel_depends_on_others_than_those_in_reach(factor, blocks):
    torch.manual_seed(0)
    net = SRResNet(1, 2, blocks, factor, "batch").eval().double()
    side, middle = 2 * net.reach + 5, net.reach + 2
    x = torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    cell = net(x)[..., factor * middle:factor * (middle + 1), factor * middle:factor * (middle + 1)]
    (slope,) = torch.autograd.grad(cell.square().sum(), x)
    seen = slope[0, 0].abs().sum(0).nonzero()[:, 0]
    assert middle - net.reach <= seen.min() <= middle - net.reach + 1 and seen.max() <= middle + net.reach


@pytest.mark.parametrize("factor", [2, 4])
def test_low_resolution_is_pillows_within_rounding(factor):
    random = np.random.default_rng(0)
    picture = random.integers(80, 176, (24, 40, 3), dtype=np.uint8)  # nothing overshoots, which Pillow cuts off between
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    for found, size in ((reduced(x, factor), (40 // factor, 24 // factor)), (enlarged(x, factor), (40 * factor, 24 * factor))):
        expected = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)).astype(float)
        values = ((found[0].permute(1, 2, 0) + 1) * 127.5).numpy()
        assert np.abs(values - values.round()).max() < 1e-4
        difference = np.abs(values.round() - expected)
        assert difference.max() <= 1 and difference.mean() < 0.3, "Pillow rounds after each direction"


def test_pretraining_is_the_squared_error_and_then_the_game_begins():
    model = model_of(pretrain_kimg=2, decay_kimg=1, lambda_adversarial=0.25, discriminator_norm="none").double()
    default = in_turn(["discriminator", "generator"])
    phases = [model.phase(at(kimg), default) for kimg in (0, 1.999, 2, 2.999, 3)]
    assert [phase.name for phase in phases] == ["pretraining"] * 2 + ["game"] * 3
    assert [phase.lr_factor for phase in phases] == [1, 1, 1, 1, 0.1]
    assert [[turn.player for turn in phase.turns] for phase in (phases[0], phases[2])] == [
        ["generator"], ["discriminator", "generator"]]
    torch.manual_seed(0)
    y = torch.rand(3, 1, 16, 16, dtype=torch.float64) * 2 - 1
    batch, x = Batch((y,)), model.reduce(y).double()
    model.reduce = lambda images: x
    fake = model.generator(x)
    error, judge = (fake - y).square().mean(), model.discriminator
    early, _ = model.player_loss("generator", batch, at(1))
    late, scalars = model.player_loss("generator", batch, at(2))
    assert early.item() == pytest.approx(error.item(), rel=1e-9)
    assert late.item() == pytest.approx((error + 0.25 * softplus(-judge(fake)).mean()).item(), rel=1e-6)
    assert scalars["content"].item() == pytest.approx(error.item())
    of_judge, _ = model.player_loss("discriminator", batch, at(2))
    assert of_judge.item() == pytest.approx((softplus(-judge(y)).mean() + softplus(judge(fake)).mean()).item(), rel=1e-6)


def test_srresnet_is_one_setting():
    plain, forever = model_of(lambda_adversarial=0), model_of(pretrain_kimg=None)
    assert [list(model.players) for model in (plain, forever)] == [["generator"]] * 2
    assert not plain.discriminators and not forever.discriminators
    default = in_turn(["generator"])
    assert [plain.phase(at(kimg), default).name for kimg in (0, 1)] == ["pretraining", "content"]
    assert forever.phase(at(1e9), default).name == "pretraining"
    assert model_of(pretrain_kimg=None, content="vgg54").perception is None, "no weights are asked for"


def test_frozen_weights_may_come_later_and_are_told_apart():
    waiting, trained = Frozen(nn.Linear(2, 1, device="meta")), Frozen(nn.Linear(2, 1))
    assert waiting.waits and not trained.waits
    waiting.load_state_dict(trained.state_dict())  # to be used without them
    assert torch.equal(waiting.digest, trained.digest) and waiting.waits
    waiting.fill(nn.Linear(2, 1).state_dict())
    assert not waiting.waits and waiting(torch.ones(1, 2)).shape == (1, 1)
    assert not any(weight.requires_grad for weight in waiting.network.parameters())
    with pytest.raises(RuntimeError, match="other frozen weights"):
        waiting.load_state_dict(trained.state_dict())


def test_maps_are_those_of_the_layers_that_the_paper_names():
    vgg22, vgg54 = build_maps("vgg22"), build_maps("vgg54")
    convolutions = [[layer.out_channels for layer in maps.layers if isinstance(layer, nn.Conv2d)] for maps in (vgg22, vgg54)]
    assert convolutions == [[64, 64, 128, 128], [64, 64, 128, 128] + [256] * 4 + [512] * 8]
    assert all(isinstance(maps.layers[-1], nn.ReLU) for maps in (vgg22, vgg54))
    assert PERCEPTIONS["vgg54"].scale == pytest.approx(0.00615, abs=1e-5)
    x = torch.zeros(1, 1, 32, 48, device="meta")
    shapes = {name: tuple(build_maps(name)(x).shape[1:]) for name in PERCEPTIONS}
    assert shapes == {"vgg22": (128, 16, 24), "vgg54": (512, 2, 3), "mobilenet_v2": (96, 2, 3),
                      "efficientnet_lite0": (112, 2, 3)}


@pytest.fixture
def weights(tmp_path):
    """A file with vgg22's part of torchvision's format."""
    torch.manual_seed(0)
    state = {f"features.{key}": torch.randn(tensor.shape) * 0.05
             for key, tensor in build_maps("vgg22").layers.state_dict().items()}
    torch.save(state, tmp_path / "vgg.pth")
    return tmp_path / "vgg.pth", state


def test_content_is_compared_in_the_maps_of_a_file(weights, tmp_path):
    path, state = weights
    model = model_of(content="vgg22", content_weights=str(path), lambda_adversarial=0.0)
    assert model.perception.waits
    model.read_files(tmp_path)
    fake, real = torch.rand(2, 2, 1, 16, 16) * 2 - 1
    fake.requires_grad_(True)
    found = model._content(fake, real)
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def maps(x):
        x = ((x + 1) / 2).expand(-1, 3, -1, -1).sub(mean).div(std)
        for place in (0, 2, 5, 7):
            x = nn.functional.max_pool2d(x, 2) if place == 5 else x
            x = nn.functional.conv2d(x, state[f"features.{place}.weight"], state[f"features.{place}.bias"], padding=1).relu()
        return x
    assert found.item() == pytest.approx((maps(fake) - maps(real)).square().mean().item() / 12.75**2, rel=1e-4)
    assert torch.autograd.grad(found, fake)[0].abs().sum() > 0


def test_pixels_may_weigh_beside_the_content(weights, tmp_path):
    models = [model_of(content="vgg22", content_weights=str(weights[0]), lambda_adversarial=0.0, **changes)
              for changes in ({}, {"lambda_pixel": 4.0})]
    models[1].load_state_dict(models[0].state_dict())
    batch, losses = Batch((torch.rand(2, 1, 16, 16) * 2 - 1,)), []
    for model in models:
        model.read_files(tmp_path)
        losses.append(model.player_loss("generator", batch, at(1)))
    (plain, scalars), (weighed, _) = losses
    assert weighed.item() == pytest.approx(plain.item() + 4 * scalars["mse"].item(), rel=1e-5) != plain.item()
    with pytest.raises(UserError, match="leave model.lambda_pixel=0"):
        model_of(content="mse", lambda_pixel=4.0)


@pytest.mark.parametrize("change, told", [
    (lambda state: state.pop("features.5.weight"), "features.5.weight should be .128, 64, 3, 3. and there is nothing"),
    (lambda state: state.update({"features.0.bias": torch.zeros(3)}), "VGG19 in torchvision's format.*there is .3."),
    (lambda state: state["features.7.bias"].fill_(torch.nan), "not finite")])
def test_other_weights_are_refused(weights, tmp_path, change, told):
    path, state = weights
    change(state)
    torch.save(state, path)
    with pytest.raises(UserError, match=told):
        read_maps("vgg22", str(path), tmp_path)


def test_absent_weights_are_refused_in_a_sentence(tmp_path):
    options = model_of(content="vgg54").options
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(UserError, match=r"model.content=vgg54.*vgg19-dcbb9e9d.pth.*model.content=mse"):
        type(model_of()).check_files(options, tmp_path)
    with pytest.raises(UserError, match="no file of weights"):
        read_maps("vgg54", str(tmp_path / "text.pth"), tmp_path)
    with pytest.raises(UserError, match="nowhere.pth"):
        read_maps("vgg54", str(tmp_path / "nowhere.pth"), tmp_path)
    type(model_of()).check_files(model_of().options, tmp_path)


@pytest.mark.parametrize("shape, changes, told", [
    ((1, 18, 16), {}, "dataset.crops=16,"), ((1, 9, 14), {"factor": 2}, r"dataset.size=\[8,14\]")])
def test_sides_that_do_not_divide_are_refused(shape, changes, told):
    with pytest.raises(UserError, match=told):
        compose_model("srgan", spec=DataSpec(shape, 9), **changes)
