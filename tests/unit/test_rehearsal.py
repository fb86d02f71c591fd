"""Whole rounds of every system on the meta device, as an accelerator would play them: nothing waits for a number.

Tensors without values raise where a device's host would have to wait for one (`.item()`, a branch on a tensor, a copy to the
host), and where tensors of two devices meet.  What the kernels compute is not seen here.
"""

from dataclasses import replace

import pytest
import torch
import torch.optim.optimizer as torchs_optimizers
from composing import batch_for, compose_loss, compose_model, phases_of
from planning import plan
from systems import LOSSES, MODELS, VARIANTS, later

from gancli.data.spec import Batch, DataSpec
from gancli.engine.averages import Average
from gancli.engine.players import Player
from gancli.engine.rounds import Game
from gancli.game.model import Progress
from gancli.monitor.scalars import Scalars

META = torch.device("meta")


class Valueless:
    """Batches without values, as data."""

    def __init__(self, spec: DataSpec) -> None:
        self.spec = spec

    def batch(self, start: int, size: int, parts: int) -> Batch:
        batch = batch_for(self.spec, size)
        return replace(batch, domains=tuple(domain.to(META) for domain in batch.domains),
                       labels=None if batch.labels is None else batch.labels.to(META))


@pytest.fixture
def rehearse(tmp_path, monkeypatch):
    """Return what plays a round of each phase of a model without values and returns the last scalars' sums."""
    fused = torchs_optimizers._get_fused_kernels_supported_devices
    monkeypatch.setattr(torchs_optimizers, "_get_fused_kernels_supported_devices", lambda: [*fused(), "meta"])

    def rehearsed(name: str, loss: str | None = None, **changes) -> dict[str, torch.Tensor]:
        options = plan(tmp_path / "run", "model=dcgan", "dataset=digits", "dataset.size=8", "device=cpu",
                       "trainer.clip_grad_norm=1", "trainer.batch_size=4")
        made = {} if loss is None else {"loss": compose_loss(loss)}
        for _, there in phases_of(compose_model(name, **made, **changes)):
            model = compose_model(name, **made, **changes).to(META).train()
            players = {player: Player(player, model, options.optimizer, options.trainer, "fp32") for player in model.players}
            game = Game(model, Average(model, 1.0), players, options.trainer, seed=0)
            progress, scalars = Progress(total=1000, images=there.images), Scalars()
            for _ in range(2):  # terms that are lazy are in the first
                game.round(Valueless(model.spec), progress, scalars)
            assert all(player.tripped.device == META for player in players.values())
        return scalars._sums
    return rehearsed


@pytest.mark.parametrize("name", later(MODELS, 4))
def test_a_round_of_every_system_waits_for_no_number(rehearse, name):
    sums = rehearse(name)
    assert any(key.endswith("/gradient_norm") for key in sums) and all(value.device == META for value in sums.values())


@pytest.mark.recipe
@pytest.mark.parametrize("name, changes", VARIANTS)
def test_nor_do_their_variants(rehearse, name, changes):
    assert rehearse(name, **changes)


@pytest.mark.parametrize("loss", later(LOSSES, 1))
def test_nor_does_any_loss(rehearse, loss):
    assert rehearse("dcgan", loss)


def test_what_looks_at_a_number_is_found_out(rehearse, monkeypatch):
    model = type(compose_model("dcgan"))
    honest = model.player_loss

    def curious(self, *arguments):
        loss, scalars = honest(self, *arguments)
        return loss * (2 if loss > 0 else 1), scalars

    monkeypatch.setattr(model, "player_loss", curious)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        rehearse("dcgan")


def test_all_are_rehearsed():
    assert (len(MODELS), len(LOSSES)) == (31, 10)
