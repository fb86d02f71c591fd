"""The engine's parts: order of play, rates, turns, averages, and the guard against non-finite numbers."""

import math

import pytest
import torch
from planning import SMALL_NETWORKS, TINY, plan

from gancli.data.spec import Batch
from gancli.devices import pick_device, pick_precision
from gancli.engine.averages import Average
from gancli.engine.options import ScheduleOptions
from gancli.engine.players import NonFinite, Player, lr_factor
from gancli.engine.state import collect, restore
from gancli.errors import UserError
from gancli.game.build import build_model
from gancli.game.model import Progress
from gancli.losses.objective import Objective


def game(tmp_path, *overrides, precision="fp32"):
    """Return (model, players, batch) of a tiny DCGAN on random data."""
    made = plan(tmp_path / "run", *TINY, *SMALL_NETWORKS["dcgan"], *overrides)
    torch.manual_seed(0)
    model = build_model(made.model, Objective(made.loss), made.spec).train()
    players = {name: Player(name, model, made.optimizer, made.trainer, precision) for name in model.players}
    return model, players, Batch((torch.rand(4, 1, 8, 8) * 2 - 1,), torch.arange(4))


@pytest.mark.parametrize(("name", "start", "images", "factor"), [
    ("constant", 0.5, 1000, 1.0), ("linear", 0.5, 500, 1.0), ("linear", 0.5, 750, 0.5), ("linear", 0.0, 250, 0.75),
    ("cosine", 0.0, 500, 0.5), ("cosine", 0.0, 0, 1.0), ("cosine", 0.5, 750, 0.5)])
def test_schedules(name, start, images, factor):
    progress = Progress(total=1000, images=images)
    assert lr_factor(ScheduleOptions(name, start, 0.0), progress) == pytest.approx(factor)


def test_warmup_rises_from_nothing_and_multiplies_the_schedule():
    options = ScheduleOptions("linear", 0.0, 0.1)
    factors = [lr_factor(options, Progress(total=1000, images=images)) for images in (0, 49, 99, 500)]
    assert factors == pytest.approx([0.01, 0.5 * 0.951, 0.901, 0.5])


def test_a_turn_changes_only_its_own_player(tmp_path):
    model, players, batch = game(tmp_path)
    before = {name: p.clone() for name, p in model.named_parameters()}
    players["generator"].turn(batch, Progress(total=100))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("discriminator"), name
        assert parameter.requires_grad != name.startswith("discriminator")


def test_accumulated_parts_equal_one_batch_where_no_statistic_is_shared(tmp_path):
    gradients = []
    for parts in (1, 2):
        model, players, batch = game(tmp_path, "loss=wgan_gp", "loss.gradient_penalty.weight=0", "optimizer=sgd",
                                     "model.discriminator_norm=none", f"trainer.accumulate={parts}")
        model.eval()  # the generator's batch statistics would differ between one batch and its halves
        torch.manual_seed(1)
        model.prior.like = lambda x, z=torch.linspace(-1, 1, 24).view(4, 6), at=iter((0, 2)): (
            z if len(x) == 4 else z[(i := next(at)):i + 2])
        players["discriminator"].turn(batch, Progress(total=100))
        gradients.append([p.grad.clone() for p in players["discriminator"].parameters])
    for one, two in zip(*gradients, strict=True):
        assert torch.allclose(one, two, atol=1e-6)


def test_clipping_bounds_the_whole_gradient(tmp_path):
    _, players, batch = game(tmp_path, "trainer.clip_grad_norm=0.001")
    scalars = players["discriminator"].turn(batch, Progress(total=100))
    gradients = [p.grad for p in players["discriminator"].parameters]
    assert scalars["gradient_norm"] > 0.001  # as measured before clipping
    assert torch.nn.utils.get_total_norm(gradients).item() == pytest.approx(0.001, rel=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_non_finite_loss_stops_before_the_step_and_names_player_and_tensor(tmp_path, optimizer):
    model, players, batch = game(tmp_path, f"optimizer={optimizer}")
    batch.real[0, 0, 0, 0] = math.nan
    before = [p.clone() for p in players["discriminator"].parameters]
    with pytest.raises(NonFinite, match="discriminator's turn.*adversarial"):
        players["discriminator"].turn(batch, Progress(total=100))
    assert all(torch.equal(a, b) for a, b in zip(before, players["discriminator"].parameters, strict=True))


def test_non_finite_gradient_names_the_parameter(tmp_path):
    model, players, batch = game(tmp_path)
    name, parameter = next((n, p) for n, p in model.named_parameters() if n.startswith("generator"))
    parameter.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(NonFinite, match=f"gradient of {name}"):
        players["generator"].turn(batch, Progress(total=100))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_on_an_accelerator_the_step_is_skipped_without_waiting(tmp_path, optimizer):
    """The on-device guard, run on the CPU by telling the player that it is somewhere else."""
    model, players, batch = game(tmp_path, f"optimizer={optimizer}", "optimizer.lr=0.01")
    player = players["discriminator"]
    player.device = torch.device("cuda")
    player.precision = "fp32"
    good = player.turn(batch, Progress(total=100))
    player.check({f"discriminator/{key}": float(value) for key, value in good.items()})
    before = [p.clone() for p in player.parameters]
    broken = Batch((torch.full_like(batch.real, math.nan),), batch.labels)
    bad = player.turn(broken, Progress(total=100))
    player.turn(batch, Progress(total=100))  # nothing moves any more, though this batch is good
    assert all(torch.equal(a, b) for a, b in zip(before, player.parameters, strict=True))
    with pytest.raises(NonFinite, match="discriminator"):
        player.check({f"discriminator/{key}": float(value) for key, value in bad.items()})


def test_average_follows_with_its_half_life_and_leaves_the_discriminator(tmp_path):
    model, _, _ = game(tmp_path)
    average = Average(model, half_life_kimg=1.0)
    assert all(not name.startswith("discriminator") for name in average.names) and len(average.names) > 4
    start = {name: tensor.clone() for name, tensor in average.tensors().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    average.update(1000, Progress(total=10**6, images=10**6))
    name = next(n for n, p in model.named_parameters() if n.startswith("generator"))
    assert torch.allclose(average.tensors()[name], start[name] + 0.5)
    assert average.model.discriminator is model.discriminator and average.model.generator is not model.generator


def test_state_round_trip_continues_exactly(tmp_path):
    _, (first, second) = None, (game(tmp_path), game(tmp_path))
    (model, players, batch), (other, others, _) = first, second
    progress = Progress(total=100)
    for _ in range(3):
        for player in players.values():
            player.turn(batch, progress)
    restore({k: v.clone() for k, v in collect(model, None, players).items()}, other, None, others)
    for sides in (players, others):
        torch.manual_seed(5)
        for player in sides.values():
            player.turn(batch, Progress(total=100))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_devices_are_never_replaced_silently():
    with pytest.raises(UserError, match="not a device"):
        pick_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="not available here .*cpu"):
            pick_device("cuda")
    assert pick_precision("fp32", torch.device("cpu")) == "fp32"
