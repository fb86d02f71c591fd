"""The plain loop for any system: its own turns, losses and networks, without the engine.

What it proves: what the engine costs, or saves, beside a loop that an expert would write around the same networks and losses:
bf16 where the hardware has it, channels last, fused optimizers, decoded images in memory, one generated batch for turns that
share it, gradients for the player's own weights alone.  The loop has no named random streams, guard against numbers that are
not finite, norm of gradients, averaged weights, records, store or ranks; losses are fetched with .item() at every step, and
the library's kernels run where gancli has its own.

What it does not prove: that another formulation of a system's losses would not be faster.  Both sides call the same
`player_loss`; for that comparison the loops of reference.py are written out from the papers' public scripts.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from gancli.data.dataset import Data, normalized
from gancli.data.spec import Batch
from gancli.devices import pick_precision
from gancli.engine.players import build_optimizer
from gancli.engine.rounds import default_phase, shares_work
from gancli.game.model import Progress
from gancli.monitor.grids import to_uint8

KEPT = 2_000  # examples in memory


class Memory:
    """Some examples as tensors of bytes, which a batch is picked from."""

    def __init__(self, data: Data, device: torch.device) -> None:
        rows = torch.randperm(min(data.counts))[:KEPT]  # one order for all domains, as pairs need
        self.domains = [self._bytes(part).to(device) for part in data.domains(rows)]
        self.labels, self.attributes = data.labels(rows), data.attributes(rows)
        known = data.labeled_rows
        self.labeled = None if known is None else (self._bytes(data.examples(known)).to(device), data.labels(known))

    @staticmethod
    def _bytes(x: Tensor) -> Tensor:
        return to_uint8(x).permute(0, 2, 3, 1).contiguous() if x.dim() == 4 else x

    def batch(self, n: int) -> Batch:
        """Return so many random examples."""
        rows = torch.randint(len(self.domains[0]), (n,), device=self.domains[0].device)
        domains = tuple(self._floats(images[rows]) for images in self.domains)
        if self.labeled is not None:
            images, labels = self.labeled
            some = torch.randint(len(images), (n,), device=images.device)
            return Batch(domains, labeled=Batch((self._floats(images[some]),), labels[some]))
        return Batch(domains, None if self.labels is None else self.labels[rows],
                     None if self.attributes is None else self.attributes[rows])

    @staticmethod
    def _floats(x: Tensor) -> Tensor:
        return normalized(x) if x.dim() == 4 else x


def turns(plan, model: nn.Module, data: Data, device: torch.device) -> Iterator[int]:
    """Play the model's own turns; yield the real images shown by the rounds in which every player has moved."""
    memory, progress, default = Memory(data, device), Progress(total=10**12), default_phase(model, plan.trainer)
    bf16 = pick_precision(plan.trainer.precision, device) == "bf16"
    own = {name: list({p: None for module in modules for p in module.parameters()}) for name, modules in model.players.items()}
    options = {name: plan.optimizer.of(name, name in model.discriminators) for name in own}
    steps = {name: build_optimizer(options[name], parameters) for name, parameters in own.items()}
    every, batch = max(turn.every for turn in model.phase(progress, default).turns), None

    def precisely():
        return torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext()

    while True:
        shown = 0
        for _ in range(every):
            before, phase = shown, model.phase(progress, default)
            progress.enter(phase.name)
            model.objective.before_round(progress.images)
            for _, turn in phase.due(progress.phase_rounds):
                if turn.draws:
                    batch = memory.batch(phase.batch_size or plan.trainer.batch_size)
                    shown += len(batch)
                    if turn.shared and shares_work(plan.trainer):
                        model.requires_grad_(True)
                        with precisely():
                            batch.prepared = model.prepare(batch)
                model.requires_grad_(False)
                for parameter in own[turn.player]:
                    parameter.requires_grad_(True)
                    parameter.grad = None
                with precisely():
                    loss, scalars = (model.part_loss(turn.part, turn.player, batch, progress) if turn.part
                                     else model.player_loss(turn.player, batch, progress))
                    weights = None if turn.part else model.objective.of_weights(turn.player, None)
                loss = loss if weights is None else loss + weights
                loss.backward()
                if plan.trainer.clip_grad_norm is not None:
                    nn.utils.clip_grad_norm_(own[turn.player], plan.trainer.clip_grad_norm)
                rate = phase.lr.get(turn.player, options[turn.player].lr) * phase.lr_factor
                for group in steps[turn.player].param_groups:
                    group["lr"] = rate
                if float(scalars.get("rests", 0)) < 1:
                    steps[turn.player].step()
                model.after_step(turn.player)
                loss.item()
                progress.turns[turn.player] = progress.turns.get(turn.player, 0) + 1
            progress.images += shown - before
            progress.rounds, progress.phase_rounds = progress.rounds + 1, progress.phase_rounds + 1
            model.objective.after_round(shown - before)
        yield shown
