"""The game, played: one function from the first round to the last, read from top to bottom."""

from contextlib import contextmanager

import torch
from torch import nn

from gancli import shards
from gancli.data.dataset import load_data
from gancli.data.spec import Batch
from gancli.devices import keep_freed_memory, pick_device, pick_precision, start_quickly
from gancli.engine.averages import Average
from gancli.engine.evaluation import Evaluation
from gancli.engine.following import FollowingRecord
from gancli.engine.plan import Outcome, Plan
from gancli.engine.players import Player
from gancli.engine.ranks import Stops, check_same, first_goes_first, mean_figures, own_device, share_weights
from gancli.engine.record import Record
from gancli.engine.rounds import Round
from gancli.engine.state import collect, restore
from gancli.engine.stopping import StopRequest
from gancli.engine.supervision import on_every_rank
from gancli.errors import UserError
from gancli.losses.objective import Objective
from gancli.models.build import build_model
from gancli.models.model import Model, Progress
from gancli.monitor.scalars import Scalars
from gancli.networks.layers import synchronise_batch_norm
from gancli.runs.checkpoint import read
from gancli.seeds import mix

TURN_STREAM, BUILD_STREAM = 0, 1 << 32  # of random numbers, told apart by the seed's first companion


def train(plan: Plan) -> Outcome:
    """Play the plan's game on all of its ranks; returns how it ended and leaves the record in plan.run_dir."""
    return on_every_rank(play, plan)


def play(plan: Plan) -> Outcome:
    """Play the game as one rank: with its slice of every batch, and the same weights and decisions as all the others."""
    # Device, precision, data
    device = own_device(pick_device(plan.device))
    precision = pick_precision(plan.trainer.precision, device)
    keep_freed_memory()
    start_quickly()
    with Record(plan, device, precision) if shards.rank() == 0 else FollowingRecord(plan) as record:
        with first_goes_first():
            data = load_data(plan.dataset, plan.data_dir, device, plan.seed, record.loading)
        check_same(data.fingerprint, "other data")
        record.describe_data(data)

        # Networks and players; every random number below comes from a stream named by (seed, images, turn)
        torch.manual_seed(mix(plan.seed, BUILD_STREAM))
        model = build_model(plan.model, Objective(plan.loss), data.spec).to(device).train()
        if plan.trainer.sync_batch_norm:
            synchronise_batch_norm(model)
        share_weights(model)
        average = Average(model, plan.trainer.ema_kimg) if plan.trainer.ema_kimg else None
        players = {name: Player(name, model, plan.optimizer, plan.trainer, precision) for name in model.players}
        progress, best = Progress(total=plan.total_images), None
        if plan.checkpoint is not None:
            checkpoint = read(plan.checkpoint)
            if checkpoint.extra["data_fingerprint"] != data.fingerprint:
                raise UserError("The data are not those that the run was trained on (another checksum): give data_dir= or "
                                "dataset.path= of the same images.")
            restore(checkpoint.tensors, model, average, players)
            progress = Progress(total=plan.total_images, **checkpoint.progress)
            record.seconds_before = checkpoint.extra["training_s"]
            best = checkpoint.extra.get("best")  # checkpoints of before there was evaluation have none
        game = Round(list(model.players), plan.trainer.discriminator_turns)
        evaluation = Evaluation(plan, model, average, data, best, record.working) if plan.evaluation.on else None
        with shards.alone():
            record.start(model, average, players, data, progress)

        # Rounds
        scalars, size, stops, why = Scalars(), plan.trainer.batch_size, Stops(), None
        with StopRequest() as stop:
            while progress.images < progress.total and why is None:
                begun, shown, batches = progress.images, 0, {}
                for index, turn in enumerate(game.turns):
                    if turn.draws:
                        batch = data.batch(begun + shown, size, plan.trainer.accumulate)
                        shown += size
                    batches[turn.player] = index, batch
                    torch.manual_seed(mix(plan.seed, TURN_STREAM, begun, index))
                    scalars.add(turn.player, players[turn.player].turn(batch, progress))
                progress.images += shown
                progress.rounds += 1
                if average is not None:
                    average.update(shown, progress)
                why = stops.agreed(stop.why)
                due = record.due(progress, shown, why is not None)
                if not due:
                    continue

                # All that waits for the device or the disk is below this line
                figures = mean_figures(scalars.read())
                for player in players.values():
                    player.check(figures)
                    figures[f"{player.name}/lr"] = player.lr(progress)
                if "generator" in batches:
                    index, batch = batches["generator"]
                    torch.manual_seed(mix(plan.seed, TURN_STREAM, begun, index))
                    figures |= mean_figures(after_step(players["generator"], batch, progress))
                improved = False
                if "evaluation" in due:
                    share_weights(evaluation.model)  # batch norm's running statistics were each rank's own
                    measured, improved = evaluation.measure(progress)
                    figures |= measured
                    why = why or evaluation.exhausted
                with shards.alone():  # rank 0 looks at the model while the others go on
                    if "pictures" in due:
                        record.pictures(progress)
                    record.figures(figures, progress)
                    if "checkpoint" in due or improved or why is not None:
                        record.checkpoint(collect(model, average, players), progress, evaluation)
                    record.settled()
            stops.settle()
        return record.finish(progress, why, evaluation)


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
