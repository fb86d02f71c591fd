"""The Laplacian pyramid: levels by hand, games of their own, the chain, labels, and sizes that cannot be halved."""

import pytest
import torch
from composing import batch_for, compose_model, spec_for, take_turn
from planning import TINY, plan
from torch.nn.functional import softplus

from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.game.model import Progress
from gancli.networks.laplacian import CoarseDiscriminator, ResidualDiscriminator, ResidualGenerator, down, gaussian_pyramid, up
from gancli.ranks import shards
from gancli.ranks.shards import Place

SMALL = ("model.coarsest=4", "model.latent_size=6", "model.coarse_units=12", "model.coarse_discriminator_units=8",
         "model.width=4", "model.discriminator_width=4")


def lapgan(shape=(1, 16, 16), seed=0, **changes):
    torch.manual_seed(seed)
    return compose_model("lapgan", spec=spec_for("lapgan", shape), **changes)


def test_down_and_up_are_those_of_the_authors_library():
    x = torch.arange(16, dtype=torch.float64).view(1, 1, 4, 4)
    assert down(x).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    line = torch.tensor([[0.0, 3.0]], dtype=torch.float64).expand(1, 1, 2, 2)
    torch.testing.assert_close(up(line)[0, 0, 0], torch.tensor([0.0, 1, 2, 3], dtype=torch.float64))  # corners on corners
    levels = gaussian_pyramid(torch.rand(2, 3, 16, 8), 3)
    assert [tuple(level.shape) for level in levels] == [(2, 3, 4, 2), (2, 3, 8, 4), (2, 3, 16, 8)]
    blurred, fine = up(levels[1]), levels[2]
    torch.testing.assert_close((fine - blurred) + blurred, fine)


def test_players_are_a_pair_a_level():
    model = lapgan((3, 32, 32))
    assert model.sizes == [(4, 4), (8, 8), (16, 16), (32, 32)]
    assert list(model.players) == [f"{role}_{level}" for role in ("discriminator", "generator") for level in (1, 2, 3, 4)]
    assert model.discriminators == tuple(f"discriminator_{level}" for level in (1, 2, 3, 4))
    assert lapgan((1, 28, 28), coarsest=7).sizes == [(7, 7), (14, 14), (28, 28)]
    assert lapgan((1, 28, 28), coarsest=8).sizes == [(14, 14), (28, 28)]


def test_networks_are_the_papers():
    weights = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    shape = (3, 32, 32)
    assert weights(ResidualGenerator(shape, 64, 0)) == 49 * 4 * 64 + 64 + 49 * 64 * 64 + 64 + 25 * 64 * 3 + 3
    assert weights(ResidualDiscriminator(shape, 64, 0, 0.5)) == 25 * 3 * 64 + 64 + 25 * 64 * 64 + 64 + 64 * 12 * 12 + 1
    maps = 11 * 32 * 32  # ten classes to one map
    assert weights(ResidualGenerator(shape, 64, 10)) == weights(ResidualGenerator(shape, 64, 0)) + 49 * 64 + maps
    assert weights(ResidualDiscriminator(shape, 64, 10, 0.5)) == (
        weights(ResidualDiscriminator(shape, 64, 0, 0.5)) + 25 * 64 + maps)
    coarse = CoarseDiscriminator((3, 8, 8), 600, 0, 0.5)
    assert coarse.layers[0].weight.std().item() == pytest.approx(0.005, rel=0.05) and not coarse.layers[0].bias.any()
    assert CoarseDiscriminator((3, 8, 8), 600, 10, 0.5).layers[0].bias.any()  # torch's own start with labels


@pytest.fixture
def float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_losses_are_the_papers(float64, level):
    """D: -log D(h + l) - log(1 - D(G(z, l) + l)); G: -log D(G(z, l) + l), by hand in float64."""
    model = lapgan(dropout=0.0)
    model.mean.fill_(0.2)
    model.std.fill_(0.5)
    batch = batch_for(model.spec)
    x = batch.real
    for _ in range(3 - level):
        x = torch.nn.functional.avg_pool2d(x, 2)
    torch.manual_seed(5)
    z = model.priors[level - 1].like(x)
    if level == 1:
        fake = model.generators[0](z) * 0.5 + 0.2
    else:
        low = torch.nn.functional.avg_pool2d(x, 2)
        blurred = torch.nn.functional.interpolate(low, scale_factor=2, mode="bilinear", align_corners=True)
        residual = model.generators[level - 1].layers(torch.cat((z, (blurred - 0.2) / 0.5), 1))
        fake = blurred + 0.5 * residual
    of_real, of_fake = (model.judges[level - 1].layers(((part - 0.2) / 0.5).flatten(1) if level == 1 else (part - 0.2) / 0.5)
                        for part in (x, fake))
    for player, expected in ((f"discriminator_{level}", softplus(-of_real).mean() + softplus(of_fake).mean()),
                             (f"generator_{level}", softplus(-of_fake).mean())):
        torch.manual_seed(5)
        loss, _ = model.player_loss(player, batch, Progress(total=100))
        torch.testing.assert_close(loss, expected, check_dtype=False, rtol=1e-6, atol=1e-6)  # logits are float32


def test_levels_are_games_of_their_own():
    model, batch = lapgan(), batch_for(spec_for("lapgan"))
    model.generators[0].forward = model.judges[0].forward = None  # a call would fail
    for level in (2, 3):
        for role in ("discriminator", "generator"):
            take_turn(model, f"{role}_{level}", batch, Progress(total=100))
            assert {name.split(".")[1] for name, p in model.named_parameters() if p.grad is not None} == {str(level - 1)}


def test_sampling_joins_the_levels():
    model = lapgan(seed=3).eval()
    model.mean.fill_(-0.1)
    model.std.fill_(0.3)
    z = model.draw_latents(5, torch.Generator().manual_seed(0))
    assert z.shape == (5, 6 + 8 * 8 + 16 * 16) and z.abs().max() <= 1
    with torch.no_grad():
        coarse = model.generators[0](z[:, :6]) * 0.3 - 0.1
        middle = model.sharpen(1, z[:, 6:70].view(5, 1, 8, 8), up(coarse))
        fine = model.sharpen(2, z[:, 70:].view(5, 1, 16, 16), up(middle))
        torch.testing.assert_close(model.generate(z), fine.clamp(-1, 1))
        stages = model.stages(z)
    assert list(stages) == ["4x4", "8x8", "16x16"] and all(stage.shape == (5, 1, 16, 16) for stage in stages.values())
    torch.testing.assert_close(stages["8x8"][:, :, ::2, ::2], middle.clamp(-1, 1))


def test_discriminators_see_standardized_images():
    model, batch = lapgan((3, 16, 16)), batch_for(spec_for("lapgan", (3, 16, 16)), 64)
    batch.domains = (batch.real * torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1) + 0.05,)
    model.begin(batch)
    seen = []
    model.judges[2].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.objective.one_pass = False
    model.player_loss("discriminator_3", batch, Progress(total=100))
    real = seen[0]
    torch.testing.assert_close(real.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(real.std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)
    flat = batch_for(spec_for("lapgan", (3, 16, 16)))
    flat.domains = (torch.zeros_like(flat.real),)
    model.begin(flat)
    assert model.std.min() > 0  # an empty channel divides by nothing


def test_two_ranks_have_the_loss_of_one():
    model, batch = lapgan(), batch_for(spec_for("lapgan"), 8)
    for player in model.players:
        torch.manual_seed(1)
        whole, _ = model.player_loss(player, batch, Progress(total=100))
        parts = []
        for rank, half in enumerate(batch.split(2)):
            with shards.taking(Place(rank, 2)):
                torch.manual_seed(1)
                model.objective.one_pass = False  # both halves of a pass have a draw of their own then
                parts.append(model.player_loss(player, half, Progress(total=100))[0])
                model.objective.one_pass = True
        if "generator" in player:
            torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_labels_are_seen_at_every_level():
    model = lapgan(conditional=True).eval()
    assert model.needs.labels and not lapgan().needs.labels
    z = model.draw_latents(3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, two = (model.levels(z, torch.full((3,), label)) for label in (0, 2))
        assert all(not torch.allclose(a, b, atol=1e-4) for a, b in zip(one, two, strict=True))
        soft = torch.nn.functional.one_hot(torch.full((3,), 2), 3).float()
        assert torch.equal(model.levels(z, soft)[-1], two[-1])
        x = torch.rand(3, 1, 16, 16)
        for level, image in enumerate(gaussian_pyramid(x, 3)):
            assert not torch.allclose(model.judge(level, image, soft), model.judge(level, image, soft.roll(1, 1)), atol=1e-6)


REFUSED = [
    ({}, DataSpec((1, 27, 27), 9), "27x27 cannot be halved so far: give dataset.size=24 or 28, or another model.coarsest="),
    ({"coarsest": 8}, DataSpec((3, 36, 34), 9), r"give dataset.size=\[36,32\] or \[36,36\], or"),
    ({"coarsest": 9}, DataSpec((1, 16, 16), 9), "not halved with model.coarsest=9: give model.coarsest=8 or less, or "
                                               "dataset.size=18 or more"),
    ({"conditional": True}, DataSpec((1, 16, 16), 9), "needs labels"),
]


@pytest.mark.parametrize(("changes", "spec", "said"), REFUSED)
def test_what_cannot_be_trained_on_is_refused(changes, spec, said):
    with pytest.raises(UserError, match=said):
        compose_model("lapgan", spec=spec, **changes)


def test_players_of_levels_have_options_of_their_own(tmp_path):
    made = plan(tmp_path / "a", "model=lapgan", *TINY, *SMALL, "optimizer.players.generator_2.lr=1e-3")
    assert made.optimizer.of("generator_2", False).lr == 1e-3 and made.optimizer.of("generator_1", False).lr == 2e-4
    with pytest.raises(UsageError, match="generator_4: model=lapgan has no such player; did you mean generator_"):
        plan(tmp_path / "b", "model=lapgan", *TINY, *SMALL, "optimizer.players.generator_4.lr=1e-3")
