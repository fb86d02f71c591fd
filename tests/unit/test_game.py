"""Rounds: order of play, what players share, and looking again at a turn."""

import pytest
import torch
from planning import SMALL_NETWORKS, TINY, plan
from systems import later

from gancli.data.spec import Batch
from gancli.engine.averages import Average
from gancli.engine.players import Player
from gancli.engine.rounds import Game
from gancli.game.build import build_model
from gancli.game.looking import untouched
from gancli.game.model import Progress
from gancli.game.phase import Turn, in_turn
from gancli.losses.objective import Objective
from gancli.monitor.scalars import Scalars

PAIRS = ("gan", "dcgan", "cgan", "bigan")  # a generator against a discriminator


class Counting:
    """Batches of noise, as data; the n-th image is the same however it is asked for."""

    def batch(self, start, size, parts):
        generator = torch.Generator().manual_seed(start)
        return Batch((torch.rand(size, 1, 8, 8, generator=generator) * 2 - 1,), torch.arange(size) % 10)


def made(tmp_path, name, *overrides):
    """Return (model, game) with tiny networks in fp32."""
    options = plan(tmp_path / "run", *TINY, f"model={name}", *SMALL_NETWORKS[name], *overrides)
    torch.manual_seed(0)
    model = build_model(options.model, Objective(options.loss), options.spec).train()
    players = {player: Player(player, model, options.optimizer, options.trainer, "fp32") for player in model.players}
    return model, Game(model, Average(model, 1.0), players, options.trainer, seed=7)


def played(game, rounds=1):
    """Play and return the figures and the progress."""
    scalars, progress = Scalars(), Progress(total=10**6)
    for _ in range(rounds):
        game.round(Counting(), progress, scalars)
    return scalars.read(), progress


def test_players_share_a_batch_and_never_see_one_twice():
    D, G = "discriminator", "generator"
    assert in_turn([D, G], {D: 3}).turns == (
        Turn(D, True), Turn(D, True), Turn(D, True, shared=True), Turn(G, False))
    assert in_turn([G, D], {D: 2}).turns == (Turn(G, True, shared=True), Turn(D, False), Turn(D, True))
    assert in_turn([D, G], {D: 5}).batches == 5
    two = in_turn(["a", "b", G], {"a": 2, "b": 2})
    assert two.turns == (Turn("a", True, shared=True), Turn("b", False), Turn("a", True, shared=True), Turn("b", False),
                         Turn(G, False))
    assert [turn.together for turn in in_turn([D, G], together=True).turns] == [True, False]


@pytest.mark.parametrize("turns", later([3, 1]))
@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_a_shared_batch_is_generated_once(tmp_path, name, reuse, turns):
    model, game = made(tmp_path, name, f"trainer.reuse_generated={reuse}", f"trainer.discriminator_turns={turns}")
    passes, judged = [], []
    model.generator.register_forward_hook(lambda module, inputs, made: passes.append(made.detach().clone()))
    model.discriminator.register_forward_pre_hook(lambda module, inputs: judged.append(inputs[0].detach().clone()))
    _, progress = played(game)
    assert len(passes) == (turns if reuse else turns + 1)
    saw_last = [torch.equal(x[-len(passes[-1]):], passes[-1]) for x in judged]
    assert saw_last[-1]  # the generator's turn judges what was made last
    assert any(saw_last[:-1]) == reuse  # and with reuse the discriminator has been trained on just that
    assert all(taken.batch.prepared is None for taken in game.last.values())  # no graph is kept beyond its round
    assert (progress.images, progress.rounds) == (4 * turns, 1)


def test_a_generator_learns_the_same_from_examples_made_before_the_discriminators_step(tmp_path):
    model, game = made(tmp_path, "gan", "trainer.precision=fp32")
    batch = Counting().batch(0, 4, 1)
    game.prepare(batch, 0, 2)
    z_made = batch.prepared[1][0].detach().clone()
    game.players["discriminator"].turn(batch, Progress(total=100))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(3)  # of the dropout masks
    game.players["generator"].turn(batch, Progress(total=100))
    reused = [parameter.grad.clone() for parameter in model.generator.parameters()]
    model.load_state_dict(state)
    game.stream(0, 2)
    fake = model.pairs(batch)[1]
    assert torch.equal(fake[0], z_made)
    torch.manual_seed(3)
    anew = torch.autograd.grad(model.objective.generator(model.judge, fake, (batch.real,)).loss,
                               list(model.generator.parameters()))
    assert all(torch.allclose(one, two, rtol=1e-5, atol=1e-8) for one, two in zip(reused, anew, strict=True))
    assert any(gradient.abs().max() > 0 for gradient in anew)


def test_parts_of_a_batch_are_made_one_at_a_time(tmp_path):
    model, game = made(tmp_path, "dcgan", "trainer.accumulate=2")
    passes = []
    model.generator.register_forward_hook(lambda module, inputs, made: passes.append(len(made)))
    played(game)
    assert passes == [2] * 4


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_a_turn_played_again_sees_the_same_latents_and_data(tmp_path, name, reuse):
    """With no step taken, D(G(z)) after the turn is what it was before it, dropout and all."""
    model, game = made(tmp_path, name, f"trainer.reuse_generated={reuse}", "optimizer=sgd", "optimizer.lr=0",
                       "optimizer.discriminator.lr=0")
    figures, progress = played(game)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    assert game.after_turn("generator", progress) == {
        "generator/D(G(z)) after": pytest.approx(figures["generator/D(G(z))"], rel=1e-5)}
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert game.after_turn("nobody", progress) == {}


@pytest.mark.parametrize("name", ["dcgan", "spectral", "cyclegan"])
def test_looking_leaves_every_buffer_alone(tmp_path, two_domains, name):
    data = ("dataset=unpaired", f"dataset.path={two_domains}") if name == "cyclegan" else ()
    extra = ("loss.spectral_norm=true",) if name == "spectral" else ()
    model, game = made(tmp_path, "dcgan" if name == "spectral" else name, *data, *extra)
    x = torch.rand(4, 1, 8, 8) * 2 - 1
    batch, player = Batch((x, -x)[:len(model.spec.domains)]), game.players["discriminator"]
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad(), untouched(model):
        player.loss(batch, Progress(total=100))
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers()) and before
    player.loss(batch, Progress(total=100))
    assert any(not torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
