"""The game, played: one function from the first round to the last, read from top to bottom.

One step, file by file (docs/one-step.md has it in full):

    engine/training.py     play: a round, and what is due after it
    game/phase.py          which turns the round has (Model.phase)
    engine/rounds.py       Game.round: batches and random numbers, a turn at a time
    engine/updates.py      the scheme: when players learn gradients and when they step
    engine/players.py      a player: backward, mean over ranks, guard, clip, optimizer, constraints
    models/NAME.py         player_loss: the paper
    losses/objective.py    the rule (adversarial.py) with penalties (penalties.py) and augmentation
    engine/averages.py     averaged weights follow
    engine/recording/      figures, grids, evaluation, checkpoints
"""

import torch

from gancli.data.dataset import Data, load_data
from gancli.devices import keep_freed_memory, pick_device, pick_precision, start_quickly
from gancli.engine.averages import Average
from gancli.engine.fetching import fetch
from gancli.engine.inheriting import inherit
from gancli.engine.owning import owning
from gancli.engine.plan import Outcome, Plan
from gancli.engine.players import Player
from gancli.engine.recording.evaluation import Evaluation
from gancli.engine.recording.following import FollowingRecord
from gancli.engine.recording.keeping import KeepingRecord
from gancli.engine.rounds import Game
from gancli.engine.state import collect, restore
from gancli.engine.stopping import StopRequest, handlers_restored
from gancli.engine.supervision import on_every_rank
from gancli.engine.threads import as_before
from gancli.engine.watching import check_state, naming_what_is_good
from gancli.errors import UserError
from gancli.game.build import build_model, build_objective
from gancli.game.model import Model, Progress
from gancli.game.stabilizing import fill_references
from gancli.monitor.scalars import Scalars
from gancli.networks.layers import synchronize_batch_norm
from gancli.ranks import shards
from gancli.ranks.agreeing import Stops, check_same, first_goes_first, mean_figures, share_weights
from gancli.ranks.joining import own_device
from gancli.runs.checkpoint import read
from gancli.seeds import mix

BUILD_STREAM = 1 << 32  # of random numbers, told apart from other streams by the seed's first companion


def train(plan: Plan) -> Outcome:
    """Play the plan's game on all of its ranks; returns how it ended and leaves the record in plan.run_dir.

    Raises:
        UserError: what is to be downloaded cannot be had; nothing has been created.
    """
    fetch(plan)
    return on_every_rank(play, plan)


def play(plan: Plan) -> Outcome:
    """Play the game as one rank: with its slice of every batch, and the same weights and decisions as all the others."""
    # Device, precision, data
    device = own_device(pick_device(plan.device))
    precision = pick_precision(plan.trainer.precision, device)
    keep_freed_memory()
    start_quickly()
    as_before(plan)
    with (handlers_restored(), owning(plan),
          KeepingRecord(plan, device, precision) if shards.rank() == 0 else FollowingRecord(plan) as record):
        with first_goes_first():
            data = load_data(plan.dataset, plan.data_dir, device, plan.seed, record.loading)
        check_same(data.fingerprint, "other data")
        record.describe_data(data)

        model = _networks(plan, data, device)

        # Players, and where a continued run stands
        average = Average(model, plan.trainer.ema_kimg, plan.trainer.ema_ramp) if plan.trainer.ema_kimg else None
        players = {name: Player(name, model, plan.optimizer, plan.trainer, precision) for name in model.players}
        progress, best, seconds_before = Progress(total=plan.total_images), None, 0.0
        if plan.checkpoint is not None:
            checkpoint = read(plan.checkpoint)
            if checkpoint.extra["data_fingerprint"] != data.fingerprint:
                raise UserError("The data are not those that the run was trained on (another checksum): give data_dir= or "
                                "dataset.path= of the same images.")
            restore(checkpoint.tensors, model, average, players)
            progress = Progress(total=plan.total_images, **checkpoint.progress)
            seconds_before = checkpoint.extra["training_s"]
            best = checkpoint.extra.get("best")  # checkpoints of before there was evaluation have none
        elif plan.init is not None:
            inherit(model, average, plan.init)
        game = Game(model, average, players, plan.trainer, plan.seed)
        evaluation = Evaluation(plan, model, average, data, best, record.working) if plan.evaluation.on else None
        with shards.alone():
            record.start(model, average, players, data, progress, seconds_before)

        # Rounds: the loop of training, which waits for nothing
        scalars, stops, why = Scalars(), Stops(), None
        with StopRequest() as stop, naming_what_is_good(plan.run_dir):
            while progress.images < progress.total and why is None:
                shown = game.round(data, progress, scalars)
                why = stops.agreed(stop.why)
                due = record.due(progress, shown, why is not None)
                if not due:
                    continue

                # All that waits for the device or the disk is below this line
                figures = mean_figures(scalars.read())
                for player in players.values():
                    player.check(figures)
                    figures[f"{player.name}/lr"] = player.lr(progress)
                check_state(model, average)
                if "pictures" in due:
                    opponents = [name for name in players if name not in model.discriminators] if model.discriminators else []
                    for name in opponents:
                        figures |= mean_figures(game.after_turn(name, progress))
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


def _networks(plan: Plan, data: Data, device: torch.device) -> Model:
    """Return the plan's model as every rank begins with it; its random numbers are a stream of their own."""
    torch.manual_seed(mix(plan.seed, BUILD_STREAM))
    objective = build_objective(plan.loss, plan.augment, data.spec)
    model = build_model(plan.model, objective, data.spec).to(device).train()
    model.read_files(plan.data_dir)
    if plan.trainer.sync_batch_norm:
        synchronize_batch_norm(model)
    with shards.alone():  # the whole batch, on every rank
        reference = data.batch(0, plan.trainer.batch_size)
        model.begin(reference)
        fill_references(model, reference)
    share_weights(model)
    return model
