"""How much memory a run will hold, found by playing a round on the meta device, where tensors have no data."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.blank import blank
from gancli.data.spec import Batch
from gancli.engine.averages import judging
from gancli.engine.options import OptimizerOptions
from gancli.engine.plan import Plan
from gancli.engine.rounds import shares_work
from gancli.game.build import build_model, build_objective
from gancli.game.model import Model, Progress
from gancli.plan.course import Stretch

STATES = {"adam": 2, "adamw": 2, "rmsprop": 1, "sgd": 0}  # tensors of a weight's size that the optimizer keeps


@dataclass
class Estimate:
    """What a run needs, in bytes and counts."""

    parameters: dict[str, int]  # of each player
    weights: int  # bytes of weights, gradients, averaged weights and optimizer states
    activations: dict[str, int]  # bytes kept for backward passes on each player's turn, with what a later one shares
    data: int  # bytes of the decoded data
    checkpoint: int  # bytes of one on disk: all but the gradients

    @property
    def total(self) -> int:
        """Bytes of weights, decoded data and the turn that needs most."""
        return self.weights + self.data + max(self.activations.values())


def blueprint(plan: Plan) -> Model:
    """Return the plan's model on the meta device, where tensors have no data."""
    with blank():
        return build_model(plan.model, build_objective(plan.loss, plan.augment, plan.spec), plan.spec).train()


def estimate(plan: Plan, model: Model, stretches: list[Stretch]) -> Estimate:
    """Play a turn of each player in each phase on the model's blueprint, as one rank does, and count."""
    activations: dict[str, int] = {}
    with blank():
        for stretch in stretches:
            batch = Batch.blank(plan.spec, stretch.batch_size // (plan.trainer.accumulate * plan.ranks))
            progress = Progress(total=plan.total_images, images=stretch.begin, phase=stretch.phase.name)
            for player in dict.fromkeys(turn.player for turn in stretch.phase.turns if not turn.part):
                shares = shares_work(plan.trainer) and any(turn.shared for turn in stretch.phase.turns)
                kept = _saved_bytes(model, player, batch, progress, shares)
                activations[player] = max(activations.get(player, 0), kept)
    parameters = {player: sum(p.numel() for p in dict.fromkeys(p for m in modules for p in m.parameters()))
                  for player, modules in model.players.items()}
    everything = sum(p.numel() for p in model.parameters())
    judged = sum(p.numel() for judge in judging(model) for p in judge.parameters())
    averaged = everything - judged if plan.trainer.ema_kimg else 0
    states = sum(count * _states(plan.optimizer.of(player, player in model.discriminators), plan.trainer.scheme)
                 for player, count in parameters.items())
    remembered = sum(parameters.values()) if plan.loss.historical_averaging else 0
    weights = 4 * (2 * everything + states + averaged + remembered)
    return Estimate(parameters, weights, activations, plan.spec.stored_bytes, weights - 4 * everything)


def _states(options: OptimizerOptions, scheme: str) -> int:
    past = scheme in ("past_extragradient", "optimistic")
    return STATES[options.name] + (options.name in ("rmsprop", "sgd") and options.momentum > 0) + past


def _saved_bytes(model: Model, player: str, batch: Batch, progress: Progress, shares: bool) -> int:
    """Return the bytes that a turn's forward pass, and what it prepares for others, keep for backward passes, in float32."""
    kept: dict[tuple, int] = {}
    own = {id(p) for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if id(tensor) not in own and not isinstance(tensor, torch.nn.Parameter):
            kept[len(kept),] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        if shares:
            model.requires_grad_(True)
            batch.prepared = model.prepare(batch)
        model.requires_grad_(False)
        for module in model.players[player]:
            module.requires_grad_(True)
        loss, _ = model.player_loss(player, batch, progress)
        loss.backward()
        batch.prepared = None  # each player's turn is counted with what a later one shares
    return sum(kept.values())
