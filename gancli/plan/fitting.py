"""Whether a run fits into the memory there is: found before it begins, where the system would end it in the middle."""

import math

import torch

from gancli.capacity import free_bytes
from gancli.devices import pick_device, pick_precision
from gancli.engine.plan import Plan
from gancli.errors import UserError
from gancli.game.model import Model
from gancli.plan.course import Stretch
from gancli.plan.memory import Estimate, blueprint, estimate

CLEARLY = 1000  # no network here keeps so many times the bytes of its batch


def blueprint_that_fits(plan: Plan) -> Model:
    """Return the plan's blueprint; a UserError where its networks are too large to be counted."""
    try:
        return blueprint(plan)
    except (RuntimeError, OverflowError, MemoryError) as error:
        if "overflow" not in str(error).lower() and not isinstance(error, (OverflowError, MemoryError)):
            raise
        raise UserError(f"model={plan.model.name} has networks too large to be counted: give smaller sizes.") from None


def check_memory(plan: Plan, model: Model, stretches: list[Stretch]) -> None:
    """Refuse a run that needs more memory than is free, unless trainer.memory_check=false."""
    if not plan.trainer.memory_check:
        return
    free = _free(plan)
    if free is None or _at_most(plan, model) < free:
        return
    needs = estimate(plan, model, stretches)
    needed = _held(plan, needs)
    if needed > free:
        raise UserError(f"The run needs about {needed / 2**30:,.1f} GiB of memory and {free / 2**30:,.1f} GiB are free: give "
                        "smaller networks or a smaller trainer.batch_size=; trainer.memory_check=false tries all the same.")


def _held(plan: Plan, needs: Estimate) -> int:
    """Return the bytes that the run surely holds at once: the data may stay on disk."""
    device = pick_device(plan.device)
    narrow = 2 if pick_precision(plan.trainer.precision, device) == "bf16" else 1
    ranks = plan.ranks if device.type == "cpu" else 1
    return ranks * (needs.weights + max(needs.activations.values(), default=0) // narrow)


def _at_most(plan: Plan, model: Model) -> int:
    """Return more bytes than a usual run needs, counted at once."""
    weights = 6 * 4 * sum(parameter.numel() for parameter in model.parameters())
    return plan.ranks * (weights + CLEARLY * 4 * plan.trainer.batch_size * math.prod(plan.spec.shape))


def _free(plan: Plan) -> int | None:
    """Return the bytes that are free where the run plays; None where that is not told."""
    device = pick_device(plan.device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_bytes() if device.type == "cpu" else None
