"""Textures: sizes, fields, the papers' losses over maps, penalties in deep networks, and examples that are too small."""

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, spec_for, take_turn
from torch.nn.functional import conv_transpose2d, softplus

from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.game.model import Progress
from gancli.game.prior import Grid
from gancli.networks.spatial import SpatialDiscriminator, SpatialGenerator, cells_for, field, reach


def spatialgan(shape=(3, 33, 33), loss="nonsaturating", **changes):
    torch.manual_seed(0)
    return compose_model("spatialgan", compose_loss(loss), spec_for("spatialgan", shape), **{"layers": 3, **changes})


def test_sizes_are_those_of_the_paper():
    assert cells_for((257, 257), 5) == (9, 9) and cells_for((161, 161), 5) == (6, 6)
    assert cells_for((1, 2), 5) == (1, 2) and cells_for((33, 34), 5) == (2, 3)
    assert [field(layers) for layers in range(1, 6)] == [5, 13, 29, 61, 125]
    with torch.device("meta"):
        generator, judge = SpatialGenerator(100, 3, 64, 5), SpatialDiscriminator(3, 64, 5, "batch")
        assert generator(torch.empty(2, 100, 9, 9)).shape == (2, 3, 257, 257)
        assert judge(torch.empty(2, 3, 257, 257)).shape == (2, 1, 9, 9)
    assert [layer.in_channels for layer in generator.layers] == [100, 512, 256, 128, 64]
    assert [layer.out_channels for layer in judge.layers] == [64, 128, 256, 512, 1]
    inner = 25 * (512 * 256 + 256 * 128 + 128 * 64)
    assert sum(p.numel() for p in generator.parameters()) == 25 * (100 * 512 + 64 * 3) + inner + 2 * (512 + 256 + 128 + 64) + 3
    assert sum(p.numel() for p in judge.parameters()) == 25 * (3 * 64 + 512) + inner + 64 + 1 + 2 * (512 + 256 + 128)


def test_layers_are_transposed_convolutions_of_the_library():
    network = spatialgan().generator.double().eval()
    x = z = torch.rand(2, 4, 5, 4, dtype=torch.float64)
    for number, layer in enumerate(network.layers):
        x = conv_transpose2d(x, layer.weight, layer.bias, stride=2, padding=2)
        if number < 2:
            norm = network.norms[number]
            x = torch.relu(x / (1 + norm.eps) ** 0.5 * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1))
    torch.testing.assert_close(network(z), x.tanh())
    assert x.shape == (2, 3, 33, 25)


def test_what_a_cell_changes_and_a_verdict_sees():
    model = spatialgan().double().eval()
    z = torch.rand(1, 4, 9, 9, dtype=torch.float64, requires_grad=True)
    torch.nn.init.constant_(model.generator.norms[0].bias, 9.0)  # no unit is silent
    torch.nn.init.constant_(model.generator.norms[1].bias, 9.0)
    moved = model.generator(z).sum(1)[0]
    rows = [bool(torch.autograd.grad(moved[at].sum(), z, retain_graph=True)[0][..., 4, :].any()) for at in range(len(moved))]
    assert [at for at, touched in enumerate(rows) if touched] == list(range(32 - reach(3), 32 + reach(3) + 1))
    x = torch.rand(1, 3, 65, 65, dtype=torch.float64, requires_grad=True)
    seen = torch.autograd.grad(model.discriminator(x)[0, 0, 4, 4], x)[0].abs().sum((0, 1, 3)).nonzero().flatten()
    assert len(seen) == field(3) == 29 and seen[0] == 32 - 14


def test_losses_are_means_over_examples_and_places():
    model, batch = spatialgan(), batch_for(spec_for("spatialgan", (3, 33, 33)))
    torch.manual_seed(4)
    fake = model.generate(model.latents_for(batch.real))
    of_real, of_fake = model.discriminator(batch.real), model.discriminator(fake)
    assert of_real.shape == of_fake.shape == (4, 1, 5, 5) and fake.shape == batch.real.shape
    for player, expected in (("discriminator", softplus(-of_real).mean() + softplus(of_fake).mean()),
                             ("generator", softplus(-of_fake).mean())):
        torch.manual_seed(4)
        loss, _ = model.player_loss(player, batch, Progress(total=100))
        torch.testing.assert_close(loss, expected)
    assert model.prepare(batch) is None  # each turn draws its own noise


@pytest.mark.parametrize("loss", ["nonsaturating", "wgan_gp", "rpgan"])
@pytest.mark.parametrize(("layers", "shape"), [(2, (1, 16, 14)), (3, (3, 32, 29))], ids=str)
def test_deep_networks_play_under_losses_of_each_kind(layers, shape, loss):
    model = spatialgan(shape, loss, layers=layers)
    batch = batch_for(model.spec)
    for player in model.players:
        take_turn(model, player, batch, Progress(total=100))
        own = [p for network in model.players[player] for p in network.parameters()]
        assert all(p.grad.isfinite().all() and (p.grad.any() or p.dim() == 1) for p in own)  # a critic has no zero: no bias
    assert model.generate(model.draw_latents(2, torch.Generator())).shape == (2, *shape)


def test_noise_is_uniform_at_every_cell_of_any_map():
    prior = Grid(3, 2, 4, low=-1.0, high=1.0)
    larger = prior.of(30, 40)
    z = larger.draw(2, torch.Generator().manual_seed(0))
    assert z.shape == (2, 3, 30, 40) and z.min() < -0.99 and z.max() > 0.99 and z.mean().abs() < 0.02
    assert prior.like(torch.empty(5, 1)).shape == (5, 3, 2, 4)


def test_examples_smaller_than_the_field_are_refused():
    for layers, side, said in ((4, 32, "looks at 61x61 pixels at once, and these examples are 32x40: give dataset.crops=61 or "
                                       "more of larger images, or model.layers=3"),
                               (3, 8, "or model.layers=1"), (5, 124, "or model.layers=4")):
        with pytest.raises(UserError, match=said):
            compose_model("spatialgan", spec=DataSpec((3, side, side + 8), 9), layers=layers)
