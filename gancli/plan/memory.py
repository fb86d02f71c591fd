"""How much memory a run will hold, found by playing a round on the meta device, where tensors have no data."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gancli.data.spec import Batch
from gancli.engine.options import OptimizerOptions
from gancli.engine.plan import Plan
from gancli.game.build import build_model
from gancli.game.model import Model, Progress
from gancli.losses.objective import Objective

STATES = {"adam": 2, "adamw": 2, "rmsprop": 1, "sgd": 0}  # tensors of a weight's size that the optimizer keeps


@dataclass
class Estimate:
    """What a run needs, in bytes and counts."""

    parameters: dict[str, int]  # of each player
    weights: int  # bytes of weights, gradients, averaged weights and optimizer states
    activations: dict[str, int]  # bytes kept for backward passes on each player's turn, with what a later one shares
    data: int  # bytes of the decoded data

    @property
    def total(self) -> int:
        """Bytes of weights, decoded data and the turn that needs most."""
        return self.weights + self.data + max(self.activations.values())


def estimate(plan: Plan) -> Estimate:
    """Build the plan's model on the meta device, play a turn of each player as one rank does, and count."""
    with torch.device("meta"):
        model = build_model(plan.model, Objective(plan.loss), plan.spec).train()
        batch = Batch.blank(plan.spec, plan.trainer.batch_size // (plan.trainer.accumulate * plan.ranks))
        shares = plan.trainer.reuse_generated and plan.trainer.accumulate == 1
        activations = {player: _saved_bytes(model, player, batch, shares) for player in model.players}
    parameters = {player: sum(p.numel() for m in modules for p in m.parameters())
                  for player, modules in model.players.items()}
    everything = sum(p.numel() for p in model.parameters())
    averaged = everything - parameters.get("discriminator", 0) if plan.trainer.ema_kimg else 0
    weights = 4 * (everything * (2 + _states(plan.optimizer)) + averaged)
    item = 1 if plan.spec.is_image else 4
    data = plan.spec.count * len(plan.spec.domains) * item * torch.Size(plan.spec.shape).numel()
    return Estimate(parameters, weights, activations, data)


def _states(options: OptimizerOptions) -> int:
    return STATES[options.name] + (options.name in ("rmsprop", "sgd") and options.momentum > 0)


def _saved_bytes(model: Model, player: str, batch: Batch, shares: bool) -> int:
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
            model.prepare(batch)
        model.requires_grad_(False)
        for module in model.players[player]:
            module.requires_grad_(True)
        loss, _ = model.player_loss(player, batch, Progress(total=1))
        loss.backward()
    return sum(kept.values())
