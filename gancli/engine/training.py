"""The game, played: one function from the first round to the last, read from top to bottom."""

from contextlib import contextmanager

import torch
from torch import nn

from gancli.data.dataset import load_data
from gancli.data.spec import Batch
from gancli.devices import keep_freed_memory, pick_device, pick_precision, start_quickly
from gancli.engine.averages import Average
from gancli.engine.plan import Outcome, Plan
from gancli.engine.players import Player
from gancli.engine.record import Record
from gancli.engine.rounds import Round
from gancli.engine.state import collect, restore
from gancli.engine.stopping import StopRequest
from gancli.errors import UserError
from gancli.losses.objective import Objective
from gancli.models.build import build_model
from gancli.models.model import Model, Progress
from gancli.monitor.scalars import Scalars
from gancli.runs.checkpoint import read
from gancli.seeds import mix

RANK = 0
BUILD_STREAM = 1 << 32  # kept apart from the streams of turns, which are small integers


def train(plan: Plan) -> Outcome:
    """Play the game that the plan describes; returns how it ended and leaves the record in plan.run_dir."""
    # Device, precision, data
    device = pick_device(plan.device)
    precision = pick_precision(plan.trainer.precision, device)
    keep_freed_memory()
    start_quickly()
    with Record(plan, device, precision) as record:
        data = load_data(plan.dataset, plan.data_dir, device, plan.seed, record.loading)
        record.describe_data(data)

        # Networks and players; every random number below comes from a stream named by (seed, rank, images, turn)
        torch.manual_seed(mix(plan.seed, BUILD_STREAM))
        model = build_model(plan.model, Objective(plan.loss), data.spec).to(device).train()
        average = Average(model, plan.trainer.ema_kimg) if plan.trainer.ema_kimg else None
        players = {name: Player(name, model, plan.optimizer, plan.trainer, precision) for name in model.players}
        progress = Progress(total=plan.total_images)
        if plan.checkpoint is not None:
            checkpoint = read(plan.checkpoint)
            if checkpoint.extra["data_fingerprint"] != data.fingerprint:
                raise UserError("The data are not those that the run was trained on (another checksum): give data_dir= or "
                                "dataset.path= of the same images.")
            restore(checkpoint.tensors, model, average, players)
            progress = Progress(total=plan.total_images, **checkpoint.progress)
            record.seconds_before = checkpoint.extra["training_s"]
        game = Round(list(model.players), plan.trainer.discriminator_turns)
        record.start(model, average, players, data, progress)

        # Rounds
        scalars, size, stopping = Scalars(), plan.trainer.batch_size, False
        with StopRequest() as stop:
            while progress.images < progress.total and not stopping:
                begun, shown, batches = progress.images, 0, {}
                for index, turn in enumerate(game.turns):
                    if turn.draws:
                        batch = data.batch(begun + shown, size)
                        shown += size
                    batches[turn.player] = index, batch
                    torch.manual_seed(mix(plan.seed, RANK, begun, index))
                    scalars.add(turn.player, players[turn.player].turn(batch, progress))
                progress.images += shown
                progress.rounds += 1
                if average is not None:
                    average.update(shown, progress)
                stopping = stop.why is not None
                due = record.due(progress, shown, stopping)
                if not due:
                    continue

                # All that waits for the device or the disk is below this line
                figures = scalars.read()
                for player in players.values():
                    player.check(figures)
                    figures[f"{player.name}/lr"] = player.lr(progress)
                if "generator" in batches:
                    index, batch = batches["generator"]
                    torch.manual_seed(mix(plan.seed, RANK, begun, index))
                    figures |= after_step(players["generator"], batch, progress)
                if "pictures" in due:
                    record.pictures(progress)
                record.figures(figures, progress)
                if "checkpoint" in due:
                    record.checkpoint(collect(model, average, players), progress)
        return record.finish(progress, stop.why if stopping else None)


@torch.no_grad()
def after_step(player: Player, batch: Batch, progress: Progress) -> dict[str, float]:
    """Return D(G(z)) of a turn played again after its optimizer step, on the same data and latents."""
    with frozen_statistics(player.model):
        _, scalars = player.loss(batch, progress)
    return {f"{player.name}/{key} after": value.item() for key, value in scalars.items() if key == "D(G(z))"}


@contextmanager
def frozen_statistics(model: Model):
    """Keep batch norm's running statistics as they are while training-mode forward passes are made."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked.clone() for norm in norms if norm.num_batches_tracked is not None]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for norm, count in zip((n for n in norms if n.num_batches_tracked is not None), counts, strict=True):
            norm.num_batches_tracked.copy_(count)
