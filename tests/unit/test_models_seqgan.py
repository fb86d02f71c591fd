"""SeqGAN: its losses against closed forms, its phases, and its share of what several ranks play."""

import pytest
import torch
from composing import compose_model
from planning import SMALL_NETWORKS, plan

from gancli.data.spec import Batch, DataSpec
from gancli.engine.players import Player
from gancli.engine.rounds import default_phase
from gancli.errors import UsageError
from gancli.game.model import Progress
from gancli.ranks import shards
from gancli.ranks.shards import Place

SPEC = DataSpec((4,), 100, kind="tokens", vocabulary=("", *"abc"))
GAME = Progress(total=1000, images=500)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return compose_model("seqgan", spec=SPEC, discriminator_batch=4, policy_batch=8, dropout=0.0)


def real(n=4):
    return Batch((torch.tensor([[1, 2, 0, 0], [3, 0, 0, 0], [1, 1, 2, 3], [2, 3, 1, 0]])[:n],))


def test_likelihood_is_the_mean_over_all_places(model):
    loss, scalars = model.player_loss("generator", real(), Progress(total=1000))
    logs = model.log_likelihood(real().real)
    assert loss.item() == pytest.approx(-logs.sum().item() / 16)
    assert scalars["nll"].item() == pytest.approx(-logs.sum().item() / (3 + 2 + 4 + 4))


def test_the_discriminators_loss(model):
    torch.manual_seed(5)
    loss, scalars = model.player_loss("discriminator", real(), GAME)
    torch.manual_seed(5)
    fake = model.generate(torch.rand(4, 4))
    of_real, of_fake = (model.discriminator(x).softmax(1)[:, 1] for x in (real().real, fake))
    entropy = -(of_real.log().sum() + (1 - of_fake).log().sum()) / 8
    output = model.discriminator.output
    assert scalars["adversarial"].item() == pytest.approx(entropy.item(), rel=1e-5)
    penalty = 0.2 * 0.5 * (output.weight.square().sum() + output.bias.square().sum())
    assert loss.item() == pytest.approx((entropy + penalty).item(), rel=1e-5)
    assert scalars["D(x)"].item() == pytest.approx(of_real.mean().item())


def test_each_token_is_weighed_by_the_verdict_on_its_completions(model):
    torch.manual_seed(6)
    loss, scalars = model.player_loss("generator", real(), GAME)
    torch.manual_seed(6)
    tokens, states = model.generator.write(torch.rand(8, 4))  # policy_batch, twice the discriminator's
    rolled = model.generator.roll_out(tokens, states, torch.rand(8, 2, 3, 4))
    verdict = lambda x: model.discriminator(x, drops=False).softmax(1)[:, 1]  # noqa: E731
    expected = 0.0
    for n in range(8):
        logs = model.log_likelihood(tokens[n:n + 1])[0]
        rewards = [verdict(rolled[place, :, n]).mean() for place in range(3)] + [verdict(tokens[n:n + 1])[0]]
        expected -= sum(log * reward for log, reward in zip(logs, rewards, strict=True))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert scalars["D(G(z))"].item() == pytest.approx(verdict(tokens).mean().item(), rel=1e-5)
    loss.backward()
    assert all(p.grad is None for p in model.discriminator.parameters())
    assert all(p.grad is not None for p in model.generator.parameters())


def test_policy_gradients_raise_the_reward(model):
    """Rewards that a fixed judge gives grow: it likes token 3 alone."""
    model.discriminator.forward = lambda tokens, drops=True: torch.stack(
        (torch.zeros(len(tokens)), 4 * (tokens == 3).float().mean(1) - 2), 1)
    optimizer = torch.optim.Adam(model.generator.parameters(), 0.02)
    rewards = []
    for turn in range(40):
        torch.manual_seed(turn)
        optimizer.zero_grad()
        loss, scalars = model.player_loss("generator", real(), GAME)
        loss.backward()
        optimizer.step()
        rewards.append(scalars["D(G(z))"].item())
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.3


@pytest.mark.parametrize(("player", "progress"), [
    ("generator", Progress(total=1000)), ("generator", GAME), ("discriminator", GAME)])
def test_two_ranks_play_the_turn_of_one(model, player, progress):
    model.discriminator.dropout.p = 0.3

    def gradients(batch):
        torch.manual_seed(9)
        model.zero_grad()
        loss, _ = model.player_loss(player, batch, progress)
        loss.backward()
        return [p.grad.clone() for network in model.players[player] for p in network.parameters()]

    whole, parts = gradients(real()), []
    for rank in range(2):
        with shards.taking(Place(rank, 2)):
            parts.append(gradients(Batch((shards.mine(real().real),))))
    for one, first, second in zip(whole, *parts, strict=True):
        torch.testing.assert_close((first + second) / 2, one, atol=1e-5, rtol=1e-4)


def names(tmp_path, *overrides):
    return plan(tmp_path / "run", "model=seqgan", *SMALL_NETWORKS["seqgan"], "dataset=names", "trainer.batch_size=4",
                "device=cpu", "evaluation.kimg=null", "trainer.kimg=1", *overrides)


def test_phases_follow_the_paper(tmp_path):
    made = names(tmp_path)
    assert made.trainer.discriminator_turns == 15 and made.trainer.clip_grad_norm == 5
    model = compose_model("seqgan", spec=SPEC)
    model.players["generator"][0].requires_grad_(True)
    default = default_phase(model, made.trainer)
    phases = [model.phase(Progress(total=1000, images=images), default) for images in (0, 15, 16, 31, 32, 999)]
    assert [phase.name for phase in phases] == ["likelihood"] * 2 + ["discriminator"] * 2 + ["adversarial"] * 2
    assert [phase.fresh_optimizers for phase in phases[::2]] == [False, True, False]
    assert [phase.batch_size for phase in phases[::2]] == [None, 4, 4]
    judge, writer = phases[-1].turns
    assert (judge.player, judge.draws, judge.every) == ("discriminator", True, 1)
    assert (writer.player, writer.draws, writer.every) == ("generator", False, 15)
    player = Player("generator", model, made.optimizer, made.trainer, "fp32")
    player.turn(Batch((torch.randint(4, (4, 4)),)), Progress(total=1000))
    assert player.optimizer.state
    player.enter(phases[2], True)
    assert not player.optimizer.state  # Adam's of the likelihood are not those of the policy
    assert not phases[-1].lr and not model.phase(Progress(total=1000), default).lr
    alone = compose_model("seqgan", spec=SPEC, discriminator_kimg=0, policy_lr=0.001)
    assert alone.phase(Progress(total=1000, images=16), default).lr == {"generator": 0.001}
    assert alone.phase(Progress(total=1000, images=16), default).fresh_optimizers


def test_the_papers_networks():
    spec = DataSpec((20,), 10_000, kind="tokens", vocabulary=tuple(map(str, range(5000))))
    with torch.device("meta"):
        model = compose_model("seqgan", spec=spec, small=False)
    counts = {name: sum(p.numel() for p in players[0].parameters()) for name, players in model.players.items()}
    assert counts["generator"] == 5000 * 32 + 4 * (32 * 32 + 32 * 32 + 32) + 33 * 5000
    options = model.options
    windows = sum((64 * width + 1) * filters for width, filters in zip(options.widths, options.filters, strict=True))
    assert counts["discriminator"] == 5000 * 64 + windows + 2 * (1720 * 1720 + 1720) + 2 * 1720 + 2


@pytest.mark.parametrize(("changes", "words"), [
    ("model.widths=[1]", "lists of one length"), ("model.policy_batch=6", "must be a multiple"),
    ("model.roll_outs=0", "roll_outs must be"), ("model.dropout=1", "dropout must be")])
def test_options_that_do_not_fit(tmp_path, changes, words):
    with pytest.raises(UsageError, match=words):
        names(tmp_path, changes)
