"""CycleGAN: order of play, what the terms are, cached translations, and the image pool."""

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, take_turn

from gancli.data.spec import Batch
from gancli.game.model import Progress
from gancli.networks.image_pool import ImagePool

PROGRESS = Progress(total=1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return compose_model("cyclegan", compose_loss("lsgan"), pool_size=0)


def test_the_generators_move_first(model):
    assert list(model.players) == ["generator", "discriminator"]
    assert model.players["generator"] == [model.to_b, model.to_a]
    assert model.players["discriminator"] == [model.judge_a, model.judge_b, model.pool_a, model.pool_b]


@torch.no_grad()
def test_losses_are_the_papers(model):
    """Zhu 2017, eqs. 1 to 3 with squares, section 5.2's identity loss, and the discriminators' loss halved."""
    batch = batch_for(model.spec)
    a, b = batch.domains
    fake_b, fake_a = model.to_b(a), model.to_a(b)
    square = lambda judge, x, target: (judge(x) - target).square().mean()  # noqa: E731
    adversarial = square(model.judge_b, fake_b, 1) + square(model.judge_a, fake_a, 1)
    cycle = (model.to_a(fake_b) - a).abs().mean() + (model.to_b(fake_a) - b).abs().mean()
    identity = (model.to_b(b) - b).abs().mean() + (model.to_a(a) - a).abs().mean()
    loss, scalars = model.player_loss("generator", batch, PROGRESS)
    assert loss.item() == pytest.approx((adversarial + 10 * cycle + 5 * identity).item(), rel=1e-4)
    assert scalars["cycle"].item() == pytest.approx(cycle.item(), rel=1e-4)
    assert scalars["identity"].item() == pytest.approx(identity.item(), rel=1e-4)
    judged = square(model.judge_a, a, 1) + square(model.judge_a, fake_a, 0) + \
        square(model.judge_b, b, 1) + square(model.judge_b, fake_b, 0)
    loss, _ = model.player_loss("discriminator", batch, PROGRESS)
    assert loss.item() == pytest.approx(judged.item() / 2, rel=1e-4)


def test_identity_loss_can_be_left_out():
    model = compose_model("cyclegan", lambda_identity=0.0)
    _, scalars = take_turn(model, "generator", batch_for(model.spec), PROGRESS)
    assert "identity" not in scalars and "cycle" in scalars


def test_the_discriminators_judge_what_was_prepared_of_this_batch(model):
    batch, judged = batch_for(model.spec), []
    model.judge_a.register_forward_pre_hook(lambda module, inputs: judged.append(inputs[0].detach()))
    model.pool_a.size = 0
    batch.prepared = model.prepare(batch)
    with torch.no_grad():
        for parameter in model.to_a.parameters():
            parameter.mul_(1.5)
    take_turn(model, "discriminator", batch, PROGRESS)
    assert torch.equal(judged[-1][-len(batch):], batch.prepared.a)
    made = batch.prepared.a
    batch.prepared = None
    take_turn(model, "discriminator", batch, PROGRESS)
    assert not torch.allclose(judged[-1][-len(batch):], made)


@torch.no_grad()
def test_translate_names_the_target(model):
    x = batch_for(model.spec).real
    assert torch.equal(model.translate(x, "drawing"), model.to_b(x))
    assert torch.equal(model.translate(x, "photo"), model.to_a(x))
    with pytest.raises(ValueError, match="photo and drawing"):
        model.translate(x, "print")


def test_batches_may_be_split(model):
    batch = batch_for(model.spec)
    parts = list(batch.split(2))
    for part in parts:
        take_turn(model, "generator", part, PROGRESS)
    for part in parts:
        take_turn(model, "discriminator", part, PROGRESS)
    assert isinstance(parts[0], Batch)


def numbered(start: int, n: int) -> torch.Tensor:
    return torch.arange(start, start + n, dtype=torch.float32)[:, None]


def test_an_empty_pool_returns_what_is_new_and_keeps_it():
    pool = ImagePool(5, (1,))
    for start, n in ((0, 2), (2, 2), (4, 1)):
        assert torch.equal(pool.exchange(numbered(start, n)), numbered(start, n))
        assert pool.held.item() == start + n
    assert torch.equal(pool.images, numbered(0, 5))


def test_a_full_pool_returns_an_old_image_half_the_time():
    torch.manual_seed(0)
    pool = ImagePool(50, (1,))
    pool.exchange(numbered(0, 50))
    old = 0
    for start in range(50, 2050):
        held = set(pool.images.flatten().tolist())
        out = pool.exchange(numbered(start, 1)).item()
        now = set(pool.images.flatten().tolist())
        if out == start:
            assert now == held  # not kept: it went straight to the discriminator
        else:
            old += 1
            assert out in held and now == held - {out} | {start}
    assert 900 < old < 1100


@pytest.mark.parametrize(("size", "n"), [(4, 3), (4, 4), (3, 7), (5, 2), (1, 1)])
def test_no_image_is_lost_or_doubled(size, n):
    torch.manual_seed(0)
    pool, shown, given = ImagePool(size, (1,)), [], []
    for step in range(40):
        new = numbered(step * n, n)
        given += new.flatten().tolist()
        out = pool.exchange(new)
        assert out.shape == new.shape
        shown += out.flatten().tolist()
    held = pool.images.flatten().tolist()
    assert pool.held.item() == size and len(set(held)) == size
    assert set(shown) | set(held) == set(given)


def test_a_pool_of_none_passes_images_through():
    pool = ImagePool(0, (1,))
    new = numbered(0, 3)
    assert pool.exchange(new) is new


def test_the_pool_is_part_of_the_state():
    model = compose_model("cyclegan")
    take_turn(model, "discriminator", batch_for(model.spec, n=2), PROGRESS)
    state = model.state_dict()
    assert state["pool_a.held"].item() == state["pool_b.held"].item() == 2
    assert state["pool_a.images"].shape == (3, 1, 16, 16) and state["pool_a.images"][:2].any()
