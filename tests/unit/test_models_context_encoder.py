"""Context encoder and GP-GAN: sizes of their networks, their losses on hand-made numbers, holes, and what they refuse."""

from dataclasses import replace

import pytest
import torch
from composing import compose_loss, compose_model, spec_for
from torch.nn.functional import softplus

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError
from gancli.game.holes import Box, corners, crop, holes_of, middle
from gancli.game.model import Progress
from gancli.game.sampler import Sampler
from gancli.metrics.catalog import METRICS
from gancli.metrics.context import Context
from gancli.metrics.measures.fidelity import errors_within, seam_energy
from gancli.metrics.needs import Given
from gancli.models.gpgan import relit
from gancli.networks.context import ChannelwiseBottleneck, map_widths
from gancli.ranks.shards import Place, taking

START = Progress(total=9)


def weights(network):
    return sum(weight.numel() for weight in network.parameters())


def test_networks_of_the_released_code():
    with torch.device("meta"):
        part = compose_model("context_encoder", spec=spec_for("context_encoder", (3, 128, 128)), small=False, bottleneck=4000)
        whole = compose_model("context_encoder", spec=spec_for("context_encoder", (3, 64, 64)), small=False, bottleneck=4000,
                              mask="random")
        blend = compose_model("gpgan", compose_loss("wgan"), spec_for("gpgan", (3, 64, 64)), small=False)
    assert map_widths(64, 5) == [64, 64, 128, 256, 512] and map_widths(64, 4) == [64, 128, 256, 512]
    halved = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 64 + 2 * (128 + 256 + 512)  # norms, and a bias without one
    dense = 2 * 16 * 512 * 4000 + 2 * 4000
    doubled = 2 * (512 + 256 + 128 + 64) + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 3
    assert weights(whole.generator) == weights(blend.generator) == halved + dense + doubled
    assert weights(part.generator) == weights(whole.generator) + 16 * 64 * 64 + 2 * 64
    assert weights(part.discriminator) == weights(whole.discriminator) == halved + 16 * 512 + 1
    assert part.fillable == Box(36, 36, 56, 56)


def test_a_channelwise_layer_joins_places_and_then_channels():
    layer = ChannelwiseBottleneck(3, 2, 2)
    x = torch.rand(2, 3, 2, 2)
    within = torch.stack([x[:, c].flatten(1) @ layer.weight[c] + layer.bias[c] for c in range(3)], 1)
    assert torch.allclose(layer(x), layer.across(within.unflatten(2, (2, 2))), atol=1e-7)
    assert weights(layer) == 3 * (4 * 4 + 4) + 3 * 3  # m n^4, not m^2 n^4 (section 3.1)


@pytest.mark.parametrize("kind, least, most", [("center", 0.25, 0.25), ("square", 0.25, 0.25), ("random", 0.2, 0.3)])
def test_laws_of_holes(kind, least, most):
    law = holes_of(kind, 32, 48)
    masks = law.draw(200, torch.Generator().manual_seed(0))
    shares = masks.mean((1, 2, 3))
    assert masks.shape == (200, 1, 32, 48) and set(masks.unique().tolist()) == {0.0, 1.0}
    assert least - 1e-3 <= shares.min() and shares.max() <= most + 1e-3
    assert torch.equal(law.draw(200, torch.Generator().manual_seed(0)), masks)
    assert (masks.unique(dim=0).shape[0] > 150) == (kind != "center")
    if kind == "random":  # every place is as likely, and neighbors are alike: of independent pixels 2 p (1 - p) differ
        assert 0.12 < masks.mean(0).min() and masks.mean(0).max() < 0.38
        assert masks.diff(dim=3).abs().mean() < 0.3 * 2 * masks.mean() * (1 - masks.mean())


def test_holes_are_this_ranks_share(monkeypatch):
    law, x = holes_of("square", 9, 14), torch.zeros(4, 3, 9, 14)
    torch.manual_seed(0)
    whole = law.like(x)
    parts = []
    for rank in range(2):
        torch.manual_seed(0)
        with taking(Place(rank, 2)):
            parts.append(law.like(x[:2]))
    assert torch.equal(torch.cat(parts), whole)
    corner = corners(whole)
    assert torch.equal(crop(whole, corner, 4, 7), torch.ones(4, 1, 4, 7))
    assert middle(9, 14) == (2, 3, 4, 7) and middle(9, 14).shrunk(1) == (3, 4, 2, 5)


def model_of(shape=(2, 32, 32), **changes):
    torch.manual_seed(0)
    return compose_model("context_encoder", compose_loss("nonsaturating"), DataSpec(shape, 9), **changes).double()


def batch(model, n=3):
    torch.manual_seed(1)
    found = Batch((torch.rand(n, *model.spec.shape, dtype=torch.float64) * 2 - 1,))
    model.mean.copy_(torch.tensor([[[0.25]], [[-0.5]]]))
    return found


def test_the_middles_rim_weighs_ten_times():
    model = model_of(discriminator_norm="none")
    given = batch(model)
    x = given.real
    hole = torch.zeros(3, 1, 32, 32, dtype=torch.float64)
    hole[..., 9:23, 9:23] = 1  # the middle from 8 to 24 without a pixel's rim
    hidden = x * (1 - hole) + hole * torch.tensor([0.25, -0.5], dtype=torch.float64)[:, None, None]
    part = model.generator(hidden)
    assert part.shape == (3, 2, 16, 16)
    scale = torch.full((16, 16), 10.0, dtype=torch.float64)
    scale[1:15, 1:15] = 1
    error = (scale * (part - x[..., 8:24, 8:24]) ** 2).mean()
    of_fake, of_real = model.discriminator(part), model.discriminator(x[..., 8:24, 8:24])
    loss, scalars = model.player_loss("generator", given, START)
    assert loss.item() == pytest.approx((0.999 * error + 0.001 * softplus(-of_fake).mean()).item(), rel=1e-6)
    assert scalars["l2"].item() == pytest.approx(error.item(), rel=1e-6)
    loss, _ = model.player_loss("discriminator", given, START)
    assert loss.item() == pytest.approx((softplus(-of_real).mean() + softplus(of_fake).mean()).item(), rel=1e-6)
    model.eval()
    made = model.inpaint(x, hole)
    assert torch.equal(made * (1 - hole), x * (1 - hole))
    small = hole.clone()
    small[..., 12:, :] = 0
    assert torch.equal(model.inpaint(x, small), torch.where(small > 0, made, x)), "the network sees the hole that it knows"


@pytest.mark.parametrize("seen", [None, 10.0])
def test_random_holes_are_judged_in_whole_images(seen):
    model = model_of(mask="random", seen_weight=seen)
    given = batch(model)
    x = given.real
    torch.manual_seed(5)
    mask = model.holes.like(x).double()
    made = model.filled(x, mask)
    expected = ((mask + (seen or 1.0) * (1 - mask)) * (made.predicted - x) ** 2).mean()
    assert model.error(x, made).item() == pytest.approx(expected.item(), rel=1e-9)
    real, fake = model.shown("discriminator", x, made)
    assert real is x and fake is made.predicted and fake.shape == x.shape
    assert torch.equal(made.completed, torch.where(mask > 0, made.predicted, x))


def test_two_discriminators():
    model = model_of(mask="square", local=True)
    assert model.discriminators == ("discriminator", "local_discriminator") == tuple(model.players)[:2]
    given = batch(model)
    x = given.real
    made = model.filled(x, model.holes.like(x).double())
    real, fake = model.shown("discriminator", x, made)
    assert real is x and torch.equal(fake * (1 - made.mask), x * (1 - made.mask))
    real, fake = model.shown("local_discriminator", x, made)
    for number, (top, left) in enumerate(corners(made.mask).tolist()):
        assert torch.equal(real[number], x[number, :, top:top + 16, left:left + 16])
        assert torch.equal(fake[number], made.predicted[number, :, top:top + 16, left:left + 16])
    _, scalars = model.player_loss("generator", given, START)
    assert {"adversarial", "adversarial/local"} <= scalars.keys()


def test_the_holes_color_is_the_datas():
    model = model_of()
    model.begin(batch(model))
    assert torch.allclose(model.mean[:, 0, 0], batch(model_of()).real.mean((0, 2, 3)))


@pytest.mark.parametrize("changes, told", [
    ({"mask": "random", "local": True}, "model.mask=square"), ({"mask": "square", "overlap": 2}, "model.mask=center"),
    ({"mask": "round"}, "model.mask=round"), ({"overlap": 8}, "leaves no hole")])
def test_what_is_refused(changes, told):
    with pytest.raises(UserError, match=told):
        model_of(**changes)


def test_errors_in_holes_and_on_seams_by_hand():
    wanted, made = torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 3, 4)
    mask = torch.zeros(1, 1, 3, 4)
    mask[..., 1, 1:3] = 1
    made[..., 1, 1], made[..., 0, 0] = 1.0, -1.0  # one in the hole, one outside
    error, ratio = errors_within(made, wanted, mask)
    assert error.item() == 0.25 and ratio.item() == pytest.approx(9.0309, abs=1e-4)  # mean square 1/8
    assert seam_energy(made, mask).item() == pytest.approx(3 * 0.25 / 6)  # six pairs, three of them at the pixel of 1
    assert seam_energy(made, torch.ones_like(mask)).item() == 0


class Slopes:
    """Held-out images, of which row r rises from left to right and is r / 10 brighter than the first."""

    split, counts, device = "test", (5,), torch.device("cpu")
    spec = DataSpec((1, 16, 16), 5)

    def examples(self, rows, domain=0):
        return torch.linspace(-0.5, 0.5, 16).expand(len(rows), 1, 16, 16) + rows[:, None, None, None] / 10


def test_fillings_are_measured_in_the_holes_alone():
    model = compose_model("context_encoder", spec=Slopes.spec, mask="square").eval()
    sampler = Sampler(model, 3, batch_size=2, data=Slopes())
    assert sampler.limit == 5 and torch.equal(sampler.holes_at(1, 4), sampler.holes_at(0, 5)[1:4])
    x, rows = sampler(1, 4), torch.arange(1, 4)
    outside = sampler.holes_at(1, 4) == 0
    assert torch.equal(x[outside], Slopes().examples(rows)[outside]) and torch.allclose(sampler(2, 3), x[1:2], atol=1e-6)
    with pytest.raises(ValueError, match="there are 5 images"):
        sampler(3, 6)
    sampler.model.inpaint = lambda x, mask: x + 0.2 * mask
    context = Context(5, 0, Slopes(), 0, torch.arange(5), None, Slopes(), sampler)
    found = METRICS["inpainting"].score({}, {}, context)
    assert found.values.keys() == {figure.name for figure in METRICS["inpainting"].figures} and found.real == 5
    assert found.values["hole_l1"] == pytest.approx(0.1, abs=1e-6) and found.values["hole_psnr"] == pytest.approx(20, abs=1e-3)
    assert found.values["hole_l1_diffusion"] < found.values["hole_l1_mean"], "a slope is nearly what diffusion makes"
    assert 0.03 < found.values["hole_l1_mean"] < 0.3


def test_what_cannot_fill_is_refused_in_words():
    given = Given(DataSpec((1, 16, 16), 9), holdout=True)
    assert "fills none" in given.lack(METRICS["inpainting"], "classifier")
    assert not replace(given, fills=True).lack(METRICS["inpainting"], "classifier")
    with pytest.raises(UserError, match="neither samples nor changes whole images"):
        Sampler(compose_model("gpgan"))
    with pytest.raises(UserError, match="needs the data set"):
        Sampler(compose_model("context_encoder"))


# GP-GAN


def gpgan(spec, **changes):
    torch.manual_seed(0)
    return compose_model("gpgan", compose_loss("wgan"), spec, **changes).double()


def test_composites_and_the_loss_of_the_paper():
    torch.manual_seed(1)
    y = torch.rand(3, 2, 16, 16, dtype=torch.float64) * 2 - 1
    model = gpgan(DataSpec((2, 16, 16), 9), pairs="batch")
    composite = model.composite(Batch((y,)))
    assert torch.equal(composite[0, :, 4:12, 4:12], y[1, :, 4:12, 4:12]) and torch.equal(composite[0, :, :4], y[0, :, :4])
    fake = model.generator(composite)
    loss, _ = model.player_loss("generator", Batch((y,)), START)
    assert loss.item() == pytest.approx((0.999 * ((fake - y) ** 2).mean() - 0.001 * model.discriminator(fake).mean()).item())
    paired = gpgan(DataSpec((2, 16, 16), 9, domains=("day", "night"), paired=True), pairs="domains")
    composite = paired.composite(Batch((y, -y)))
    assert torch.equal(composite[..., 4:12, 4:12], -y[..., 4:12, 4:12]) and torch.equal(composite[..., 12:], y[..., 12:])
    with pytest.raises(UserError, match="2 domains"):
        gpgan(DataSpec((2, 16, 16), 9), pairs="domains")


def test_another_light():
    x = torch.full((1, 2, 3, 3), 0.5)
    light = torch.tensor([[1.0, 0.5], [0.5, 0.0]]).view(1, 2, 2, 1, 1)  # contrast, then brightness
    assert relit(x, light)[0, :, 0, 0].tolist() == pytest.approx([0.75, 0.1])
