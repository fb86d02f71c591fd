"""StarGAN v2: its networks' sizes, the four steps of a round, what each minimizes, and its styles."""

import pytest
import torch
from composing import compose_loss, compose_model
from torch.nn.functional import softplus

from gancli.data.spec import Batch, DataSpec
from gancli.engine.options import OptimizerOptions, ScheduleOptions
from gancli.engine.players import Player
from gancli.errors import UserError
from gancli.game.model import Progress
from gancli.game.phase import in_turn
from gancli.models.stargan_v2 import fellows
from gancli.networks.stargan_v2 import AdaIN, of_domains

SPEC = DataSpec((1, 8, 8), 9, ("cat", "dog", "fox"))


def model_of(loss="nonsaturating", spec=SPEC, **changes):
    torch.manual_seed(0)
    return compose_model("stargan_v2", compose_loss(loss), spec, **changes)  # float32, which R1 is computed in


def batch_of(n=6):
    torch.manual_seed(1)
    return Batch((torch.rand(n, 1, 8, 8) * 2 - 1,), torch.arange(n) % 3)


def test_networks_of_the_paper_at_256_pixels():
    spec = DataSpec((3, 256, 256), 9, ("man", "woman"))
    with torch.device("meta"):
        model = compose_model("stargan_v2", spec=spec, small=False, channel_base=2**14, channel_max=512)
        made = model.generator(torch.zeros(2, 3, 256, 256), torch.zeros(2, 64))
    mapping = 16 * 512 + 512 + 3 * (512**2 + 512) + 2 * (3 * (512**2 + 512) + 512 * 64 + 64)
    counts = {name: sum(p.numel() for p in getattr(model, name).parameters())
              for name in ("generator", "mapping", "encoder", "discriminator")}
    assert counts == {"generator": 33_892_995, "mapping": mapping, "encoder": 20_916_928, "discriminator": 20_852_290}
    assert made.shape == (2, 3, 256, 256) and len(model.generator.down) == 4 and len(model.generator.up) == 4


def test_a_style_sets_gain_and_shift_of_each_map():
    layer = AdaIN(2, 3).double()
    torch.manual_seed(0)
    x, style = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    made, numbers = layer(x, style), layer.style(style)
    assert torch.allclose(made.mean((2, 3)), numbers[:, 3:]) and torch.allclose(
        made.std((2, 3), correction=0), (1 + numbers[:, :3]).abs(), rtol=1e-4)


def test_a_round_has_four_steps_on_one_batch():
    model = model_of()
    phase = model.phase(Progress(total=9), in_turn(list(model.players)))
    assert [(turn.player, turn.part) for turn in phase.turns] == [
        ("discriminator", ""), ("discriminator", "reference"), ("generator", ""), ("generator", "reference")]
    assert phase.batches == 1 and phase.full_steps and phase.turns[0].shared


def test_losses_are_the_papers():
    model, batch = model_of(lambda_style=2.0, lambda_cycle=3.0, lambda_diversity=5.0), batch_of()
    made = batch.prepared = model.prepare(batch)
    x, target, references = batch.real, made.references.labels, made.references.x
    assert torch.equal(target.sort().values, batch.labels.sort().values), "the batch's own, in a new order"
    real, fake = (of_domains(model.discriminator(images), target) for images in (references, made.fake))
    loss, scalars = model.player_loss("discriminator", batch, Progress(total=100))
    inputs = references.clone().requires_grad_()
    slopes, = torch.autograd.grad(of_domains(model.discriminator(inputs), target).sum(), inputs)
    penalty = 0.5 * slopes.square().flatten(1).sum(1).mean()
    assert loss.item() == pytest.approx((softplus(-real).mean() + softplus(fake).mean() + penalty).item(), rel=1e-4)
    torch.manual_seed(5)
    loss, scalars = model.player_loss("generator", batch, Progress(total=100, images=25))
    torch.manual_seed(5)
    other = of_domains(model.mapping(model.prior.like(x)), target)
    style = (of_domains(model.encoder(made.fake), target) - made.style).abs().mean()
    diversity = (made.fake - model.generator(x, other)).abs().mean()
    cycle = (model.generator(made.fake, of_domains(model.encoder(x), batch.labels)) - x).abs().mean()
    wanted = softplus(-fake).mean() + 2 * style + 3 * cycle - 5 * 0.75 * diversity
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert model.diversity_share(Progress(total=100, images=100)) == 0
    assert model_of(diversity_kimg=0.05).diversity_share(Progress(total=1000, images=30)) == pytest.approx(0.4)
    assert model_of("wgan_gp").r1 == 0, "a penalty of the loss's own"


def test_references_teach_the_translator_alone():
    model, batch = model_of(), batch_of()
    for network in model.players["generator"]:
        network.requires_grad_(True)
    model.discriminator.requires_grad_(False)
    loss, _ = model.part_loss("reference", "generator", batch, Progress(total=9))
    loss.backward()
    assert all(p.grad is not None for p in model.generator.parameters())
    assert all(p.grad is None for network in (model.mapping, model.encoder) for p in network.parameters())
    torch.manual_seed(5)
    loss, scalars = model.part_loss("reference", "generator", batch, Progress(total=9, images=9))
    torch.manual_seed(5)
    references = model.references(batch)
    style = of_domains(model.encoder(references.x), references.labels)
    again = of_domains(model.encoder(model.generator(batch.real, style)), references.labels)
    assert scalars["style"].item() == pytest.approx((again - style).abs().mean().item(), rel=1e-4)


def test_fellows_are_of_one_class_and_never_oneself_unless_alone():
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 0, 2, 0, 1])
    for _ in range(20):
        found = fellows(labels)
        assert torch.equal(labels[found], labels) and found[3] == 3
        assert all(found[i] != i for i in (0, 1, 2, 4, 5))


def test_the_mapping_learns_at_its_own_rate(monkeypatch):
    model = model_of()
    options = OptimizerOptions("sgd", 0.5, [0.0, 0.99], 0.0, 0.9, 0.0, 1e-8, ScheduleOptions("constant", 1.0, 0.0),
                               None, None, {})
    monkeypatch.setattr(OptimizerOptions, "of", lambda self, player, discriminates: self)
    player = Player("generator", model, options, None, "fp32")
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    player.held = [torch.ones_like(p) for p in player.parameters]
    player.step(Progress(total=9))
    moved = {name: (before[name] - p).max().item() for name, p in model.named_parameters()}
    assert all(change == pytest.approx(0.005, rel=1e-2) for name, change in moved.items() if name.startswith("mapping."))
    assert all(change == pytest.approx(0.5, rel=1e-2) for name, change in moved.items()
               if name.startswith(("generator.", "encoder.")))


def test_styles_of_latents_and_of_images():
    model, x = model_of().eval(), batch_of().real
    assert model.targets == SPEC.classes
    z = model.draw_latents(6, torch.Generator().manual_seed(3))
    style = model.latent_style(z, "fox")
    assert torch.equal(style, model.mapping(z)[:, 2]) and torch.equal(model.image_style(x, "dog"), model.encoder(x)[:, 1])
    assert torch.equal(model.translate(x, "fox", style), model.generator(x, style).clamp(-1, 1))


@pytest.mark.parametrize("spec, changes, told", [
    (DataSpec((1, 8, 8), 9), {}, "needs labels"), (DataSpec((1, 8, 8), 9, ("a",)), {}, "has one"),
    (SPEC, {"depth": 3}, "model.depth"), (SPEC, {"mapping_rate": -1}, "mapping_rate")])
def test_what_is_refused(spec, changes, told):
    with pytest.raises((UserError, ValueError), match=told):
        model_of(spec=spec, **changes)
