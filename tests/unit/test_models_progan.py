"""Progressive growing: layers by hand, the course of growth, and a run that is continued in the middle of a fade."""

import math

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, spec_for, take_turn
from planning import SMALL_NETWORKS, TINY, plan, resume, run
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from gancli.config.compose import compose
from gancli.engine import training
from gancli.errors import UsageError, UserError
from gancli.explore.loaded import load
from gancli.game.model import Fixed, Progress
from gancli.game.phase import in_turn
from gancli.gradients import halves_apart
from gancli.networks.equalized import EqualizedConv2d, EqualizedLinear, MinibatchStddev, pixel_norm
from gancli.networks.layers import mixes_examples, mixes_halves
from gancli.networks.progressive import level_at, levels_of, nearest_sizes, shrunk
from gancli.plan.course import course
from gancli.plan.validate import report
from gancli.runs.checkpoint import CheckpointFolder, read

PLAYERS = ["discriminator", "generator"]


def progan(shape=(1, 16, 16), loss="wgan_gp", **changes):
    """Return a tiny model, seeded, whose biases are not zero."""
    torch.manual_seed(0)
    model = compose_model("progan", compose_loss(loss), spec_for("progan", shape), **changes)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.normal_()
    return model


# Layers


def test_equalized_layers_store_standard_normal_weights_and_use_them_scaled():
    torch.manual_seed(0)
    layers = {EqualizedConv2d(64, 50, 3): (math.sqrt(2 / (64 * 9)), torch.randn(2, 64, 5, 5)),
              EqualizedConv2d(64, 50, 1, gain=1): (math.sqrt(1 / 64), torch.randn(2, 64, 5, 5)),
              EqualizedLinear(300, 50): (math.sqrt(2 / 300), torch.randn(2, 300))}
    for layer, (scale, x) in layers.items():
        assert layer.weight.mean().abs() < 0.06 and layer.weight.std().item() == pytest.approx(1, rel=0.05)
        assert not layer.bias.any()
        torch.nn.init.normal_(layer.bias)
        used = scale * layer.weight
        by_hand = x @ used.T + layer.bias if x.dim() == 2 else conv2d(x, used, layer.bias, padding=used.shape[-1] // 2)
        torch.testing.assert_close(layer(x), by_hand, rtol=1e-5, atol=1e-5)


def test_signals_keep_their_size_through_layers_of_any_width():
    torch.manual_seed(0)
    for inputs in (10, 1000):
        x = torch.randn(500, inputs)
        assert EqualizedLinear(inputs, 200, gain=1)(x).std().item() == pytest.approx(1, rel=0.1)


def test_pixel_norm():
    x = torch.tensor([[[[3.0]], [[4.0]]]])
    torch.testing.assert_close(pixel_norm(x), x / math.sqrt(12.5))
    z = pixel_norm(torch.randn(5, 16))
    torch.testing.assert_close(z.square().mean(1), torch.ones(5))
    assert pixel_norm(x.bfloat16()).dtype == torch.bfloat16


def test_minibatch_deviation_by_hand():
    torch.manual_seed(0)
    x = torch.tensor([0.0, 5, 2, 5]).view(4, 1, 1, 1).repeat(1, 3, 2, 2)
    assert torch.allclose(MinibatchStddev(2)(x)[:, 3:].flatten(1)[:, 0], torch.tensor([1.0, 1e-4, 1, 1e-4]))  # 0, 2 and 5, 5
    x = torch.randn(6, 3, 2, 2)
    whole = x.std(0, correction=0).mean()
    for group in (0, 6, 100):
        made = MinibatchStddev(group)(x)
        assert torch.equal(made[:, :3], x)
        assert torch.allclose(made[:, 3], whole.expand(6, 2, 2), atol=1e-6)
    assert torch.equal(MinibatchStddev(4)(x), MinibatchStddev(3)(x))  # 6 cannot be divided by 4
    assert torch.allclose(MinibatchStddev(4)(x[:1])[:, 3], torch.tensor(1e-4))
    other = torch.randn(6, 3, 2, 2)
    with halves_apart():
        both = MinibatchStddev(3)(torch.cat((x, other)))
    assert torch.equal(both, torch.cat((MinibatchStddev(3)(x), MinibatchStddev(3)(other))))


def test_the_discriminator_mixes_examples_of_either_half_alone():
    model = progan()
    assert mixes_examples(model.discriminator) and not mixes_halves(model.discriminator) and model.objective.one_pass
    batch, losses = batch_for(model.spec, 8), []
    for one_pass in (True, False):
        model.objective.one_pass = one_pass
        torch.manual_seed(0)
        losses.append(model.player_loss("discriminator", batch, Progress(total=100, images=14))[0])
    torch.testing.assert_close(*losses)


def test_stabilizers_reach_what_the_layers_use():
    model = compose_model("progan", compose_loss("hinge", orthogonal_init=True))
    for layer in (model.generator.first, model.discriminator.dense):
        singular = torch.linalg.svdvals(layer.scale * layer.weight.detach().flatten(1))
        assert torch.allclose(singular, torch.ones_like(singular), atol=1e-4)
    model = compose_model("progan", compose_loss("hinge", spectral_norm=True))
    judge = model.discriminator.train()
    for _ in range(50):  # power iterations
        judge(torch.rand(2, *model.spec.shape), 2.0)
    layer, x = judge.dense, torch.eye(judge.dense.in_features)
    assert torch.linalg.matrix_norm(layer(x) - layer.bias, 2).item() == pytest.approx(1, abs=1e-3)


# Sizes


def test_sizes_from_the_smallest_map_to_the_image():
    assert levels_of(32, 32) == [(4, 4), (8, 8), (16, 16), (32, 32)]
    assert levels_of(48, 24) == [(12, 6), (24, 12), (48, 24)]
    assert levels_of(28, 28) == [(7, 7), (14, 14), (28, 28)] and levels_of(8, 16) == [(4, 8), (8, 16)]
    assert [side for side in range(8, 65) if levels_of(side, side)] == [8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64]
    assert levels_of(9, 9) is None and levels_of(16, 18) is None


def test_the_nearest_sizes_can_be_grown_to():
    assert nearest_sizes(36, 36) == ((32, 32), (40, 40)) and nearest_sizes(63, 63) == ((56, 56), (64, 64))
    assert nearest_sizes(15, 18) == ((14, 18), (16, 20))
    for height in range(8, 70):
        for width in range(8, 70):
            assert all(levels_of(*size) for size in nearest_sizes(height, width)), (height, width)


@pytest.mark.parametrize(("shape", "words"), [((1, 36, 36), "cannot grow to 36x36: give dataset.size=32 or 40"),
                                              ((3, 9, 14), r"cannot grow to 9x14: give dataset.size=\[8,14\] or \[10,14\]"),
                                              ((1, 7, 8), "at least 8x8")])
def test_sizes_that_it_cannot_grow_to_are_refused(shape, words):
    with pytest.raises(UserError, match=words):
        compose_model("progan", spec=spec_for("progan", shape))


def test_a_batch_of_a_level_larger_than_the_data_is_refused():
    with pytest.raises(UserError, match="give 100 or less"):
        compose_model("progan", batch_sizes=[200, 8])


# Growth


def test_what_is_played_is_a_function_of_the_images_shown():
    model = progan(stable_kimg=0.1, fade_kimg=0.2)
    at = {0: 0, 99: 0, 100: 0, 150: 0.25, 299: 0.995, 300: 1, 400: 1, 500: 1.5, 600: 2, 10**9: 2}
    assert {images: model.growth_at(images) for images in at} == pytest.approx(at)
    assert [level_at(growth) for growth in (0.0, 0.25, 1.0, 1.5)] == [(0, 1.0), (1, 0.25), (1, 1.0), (2, 0.5)]


def test_phases_tile_the_run_and_have_batches_and_rates_of_their_own():
    model = progan(stable_kimg=0.1, fade_kimg=0.2, batch_sizes=[20, 10], rates=[1e-3, 2e-3, 3e-3])
    stretches = course(model, in_turn(PLAYERS), 1000, 4)
    assert [(s.phase.name, s.begin, s.end, s.batch_size, s.phase.lr["generator"]) for s in stretches] == [
        ("4x4", 0, 100, 20, 1e-3), ("fade to 8x8", 100, 300, 10, 2e-3), ("8x8", 300, 400, 10, 2e-3),
        ("fade to 16x16", 400, 600, 10, 3e-3), ("16x16", 600, 1000, 10, 3e-3)]
    assert all(s.phase.fresh_optimizers and s.phase.turns == in_turn(PLAYERS).turns for s in stretches)
    plain = course(progan(), in_turn(PLAYERS), 1000, 4)
    assert {(s.batch_size, *s.phase.lr) for s in plain} == {(4,)}
    nothing = course(progan(stable_kimg=0, fade_kimg=0), in_turn(PLAYERS), 1000, 4)
    assert [s.phase.name for s in nothing] == ["16x16"]
    jumps = course(progan(fade_kimg=0), in_turn(PLAYERS), 1000, 4)
    assert [s.phase.name for s in jumps] == ["4x4", "8x8", "16x16"]


@pytest.mark.parametrize("level", [1, 2])
def test_a_fade_begins_and_ends_with_the_networks_beside_it(level):
    model, z = progan(), torch.randn(4, 6)
    make, judge = model.generator, model.discriminator
    below, above = make(z, level - 1.0), make(z, float(level))
    faded = [make(z, level - 1 + alpha) for alpha in (1e-6, 0.5, 1 - 1e-6)]
    enlarged = interpolate(below, scale_factor=2)
    torch.testing.assert_close(faded[0], enlarged)
    torch.testing.assert_close(faded[1], (enlarged + above) / 2)
    torch.testing.assert_close(faded[2], above)
    assert not torch.allclose(enlarged, above, atol=1e-2)
    torch.testing.assert_close(judge(above, level - 1 + 1e-6), judge(avg_pool2d(above, 2), level - 1.0))
    torch.testing.assert_close(judge(above, level - 1e-6), judge(above, float(level)))


def test_fade_ends_are_the_stable_networks_exactly():
    model = progan(stable_kimg=0.1, fade_kimg=0.2)
    z = torch.randn(4, 6)
    for images, level in ((100, 0), (300, 1), (400, 1), (600, 2)):  # first and last of each fade
        growth = model.growth_at(images)
        assert torch.equal(model.generator(z, growth), model.generator(z, float(level)))
        x = torch.randn(4, 1, *model.sizes[level])
        assert torch.equal(model.discriminator(x, growth), model.discriminator(x, float(level)))


def test_real_images_fade_likewise():
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(shrunk(x, 3, 2.0), x) and torch.equal(shrunk(x, 3, 1.0), avg_pool2d(x, 2))
    torch.testing.assert_close(shrunk(x, 3, 0.0), avg_pool2d(x, 4))
    blurred = interpolate(avg_pool2d(x, 4), scale_factor=2)
    torch.testing.assert_close(shrunk(x, 3, 0.75), 0.25 * blurred + 0.75 * avg_pool2d(x, 2))


def test_only_what_has_grown_learns():
    model = progan()
    take_turn(model, "generator", batch_for(model.spec), Progress(total=1000, images=0))
    learned = {key for key, parameter in model.named_parameters() if parameter.grad is not None}
    begins = ("generator.project", "generator.first", "generator.to_images.0")
    assert learned and all(key.startswith(begins) for key in learned)
    take_turn(model, "discriminator", batch_for(model.spec), Progress(total=1000, images=14))  # 16x16 is half faded in
    silent = {key for key, parameter in model.named_parameters() if parameter.grad is None and "discriminator" in key}
    assert silent == {"discriminator.from_images.0.weight", "discriminator.from_images.0.bias"}


def test_drift_belongs_to_wasserstein_losses():
    batch, progress = None, Progress(total=1000, images=500)
    for loss, has in (("wgan_gp", True), ("wgan", True), ("nonsaturating", False)):
        model = progan(loss=loss)
        batch = batch or batch_for(model.spec)
        losses = {}
        for drift in (model.drift, 0.0):
            model.drift = drift
            torch.manual_seed(1)
            losses[drift] = model.player_loss("discriminator", batch, progress)
        (with_drift, scalars), (without, _) = losses.get(0.001, losses[0.0]), losses[0.0]
        assert ("drift" in scalars) == has
        scores = model.discriminator(batch.real, 2.0)
        expected = 0.001 * scores.square().mean() if has else 0.0 * scores.mean()
        torch.testing.assert_close(with_drift - without, expected, rtol=1e-3, atol=1e-5)


def test_pictures_are_whole_at_every_point_of_the_growth():
    model, z = progan(), torch.randn(8, 6)
    for images, block in ((0, 4), (6, 2), (8, 2), (14, 1), (16, 1)):
        model.player_loss("generator", batch_for(model.spec), Progress(total=1000, images=images))
        with torch.no_grad():
            shown = model.showcase(Fixed(z, None, None, 4))["samples"]
            small = model.generator(z, model.growth_at(images))
        assert shown.shape == (8, 1, 16, 16) and shown.abs().max() <= 1
        assert torch.equal(shown[..., ::block, ::block], small.clamp(-1, 1))
        assert torch.equal(shown, interpolate(shown[..., ::block, ::block], scale_factor=block))


# Runs

SETTINGS = (*TINY, "model=progan", *SMALL_NETWORKS["progan"], "model.fade_kimg=0.012", "trainer.record_kimg=0.004",
            "trainer.sample_kimg=0.004", "trainer.checkpoint_kimg=0.004", "trainer.keep=9", "trainer.kimg=0.032")


def last(run_dir):
    return read(CheckpointFolder(run_dir).latest()).tensors


def test_the_paper_of_the_model_goes_before_that_of_its_loss(tmp_path):
    made = plan(tmp_path / "run", "model=progan")
    assert (made.loss.name, made.optimizer.lr, list(made.optimizer.betas)) == ("wgan_gp", 1e-3, [0.0, 0.99])
    assert (made.trainer.discriminator_turns, made.trainer.batch_size) == (1, 16)
    other = compose("train", ["model=progan", "loss=wgan"])
    assert (other.optimizer.name, other.optimizer.lr, other.trainer.discriminator_turns) == ("rmsprop", 5e-5, 5)
    dcgan = compose("train", ["model=dcgan", "loss=wgan_gp"])
    assert (dcgan.optimizer.lr, dcgan.trainer.discriminator_turns) == (1e-4, 5)


@pytest.mark.recipe  # seconds
def test_the_default_run_is_longer_than_its_growth_and_a_shorter_one_is_refused(tmp_path):
    assert plan(tmp_path / "a", "model=progan", "dataset.size=1024").total_images == 400_000
    with pytest.raises(UsageError, match=r"ends after 50 kimg in the phase 8x8 .* 32x32, begins after 120"):
        plan(tmp_path / "b", "model=progan", "dataset.size=32", "trainer.kimg=50")


def test_validate_shows_every_phase_with_its_batch_and_rate(tmp_path):
    given = ["model=progan", "dataset.size=8", "model.batch_sizes=[32,16]", "model.rates=[0.001,0.002]",
             f"run_dir={tmp_path / 'run'}"]
    lines = [line.split(":")[0] for line in report(compose("train", given), given).splitlines() if line.startswith("phase")]
    assert [line.removeprefix("phase").strip() for line in lines] == [
        "4x4, 0 to 20 kimg, batch 32, lr 0.001", "fade to 8x8, 20 to 40 kimg, batch 16, lr 0.002",
        "8x8, 40 to 400 kimg, batch 16, lr 0.002"]


class StopAfterThreeRounds:
    """Stands in for a signal that arrives in the third round."""

    looks = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    @property
    def why(self):
        self.looks += 1
        return "SIGTERM" if self.looks >= 3 else None


@pytest.mark.recipe  # seconds
def test_a_run_continued_in_the_middle_of_a_fade_equals_the_uninterrupted_one_bit_for_bit(tmp_path, monkeypatch):
    run(tmp_path / "whole", *SETTINGS)
    monkeypatch.setattr(training, "StopRequest", StopAfterThreeRounds)
    assert run(tmp_path / "parts", *SETTINGS).status == "stopped"
    monkeypatch.undo()
    growth = last(tmp_path / "parts")["model/growth"]
    assert 0 < growth < 1  # the first level has been faded in to a third
    assert training.train(resume(tmp_path / "parts")).status == "finished"
    whole, parts = last(tmp_path / "whole"), last(tmp_path / "parts")
    assert whole.keys() == parts.keys() and any(name.startswith("optimizer/") for name in whole)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    for name in ("kimg-000000_012", "kimg-000000_032"):
        pictures = [(tmp_path / run_dir / f"samples/{name}.png").read_bytes() for run_dir in ("whole", "parts")]
        assert pictures[0] == pictures[1]


@pytest.mark.recipe
def test_a_checkpoint_of_the_middle_of_a_fade_samples_what_it_was(tmp_path):
    run(tmp_path / "run", *SETTINGS)
    shown = {}
    for kimg in (4, 8, 12, 16, 20, 32):  # 4x4 until 4, then faded in until 16
        loaded = load(tmp_path / f"run/checkpoints/kimg-000000_{kimg:03}.safetensors", device="cpu")
        shown[kimg] = loaded.model.growth.item()
        x = loaded.sample(4)
        assert x.shape == (4, 1, 8, 8)
        flat = torch.equal(x, interpolate(x[..., ::2, ::2], scale_factor=2))
        assert flat == (shown[kimg] == 0)
    assert list(shown.values()) == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 1])


@pytest.mark.recipe
def test_optimizers_begin_anew_with_each_phase(tmp_path):
    run(tmp_path / "run", *SETTINGS)
    name = "optimizer/generator/generator.first.weight/step"
    folder = tmp_path / "run/checkpoints"
    steps = [read(folder / f"kimg-000000_{kimg:03}.safetensors").tensors[name].item() for kimg in (4, 8, 12, 16, 20, 24)]
    assert steps == [1, 1, 2, 3, 1, 2]
