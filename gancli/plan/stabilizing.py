"""What stabilizers ask of a run: batches that they can look at, and a model that can take them."""

from gancli.engine.options import TrainerOptions
from gancli.engine.plan import Plan
from gancli.errors import UsageError
from gancli.game.model import Model
from gancli.losses.options import LossOptions
from gancli.plan.course import Stretch
from gancli.plan.memory import estimate


def check_batches(loss: LossOptions, trainer: TrainerOptions, ranks: int) -> None:
    """Refuse batches that do not divide into packs, that hold nothing to compare, or less than a reference batch."""
    at_once = trainer.batch_size // (ranks * trainer.accumulate)
    if at_once % loss.packing:
        below = at_once // loss.packing * loss.packing * ranks * trainer.accumulate
        step = loss.packing * ranks * trainer.accumulate
        near = f"{below} or {below + step}" if below else str(step)
        raise UsageError(f"loss.packing={loss.packing} does not divide the {at_once} examples of a batch that one device has "
                         f"at once: give trainer.batch_size={near}, or another loss.packing=.")
    judged = trainer.batch_size // trainer.accumulate // loss.packing
    for key, on in (("minibatch_discrimination", loss.minibatch_discrimination.kernels), ("minibatch_stddev", True)):
        if getattr(loss, key) is not None and on and judged < 2:
            raise UsageError(f"loss.{key} compares what is judged together, and a batch has one example (or pack) at a time: "
                             "give a larger trainer.batch_size=, or leave it out.")
    if loss.virtual_batch_norm is not None and loss.virtual_batch_norm > trainer.batch_size:
        raise UsageError(f"loss.virtual_batch_norm={loss.virtual_batch_norm} takes its reference examples from one batch of "
                         f"{trainer.batch_size}: give loss.virtual_batch_norm={trainer.batch_size} or less.")


def rehearse(plan: Plan, model: Model, stretches: list[Stretch]) -> None:
    """Play a turn of each player on the model's blueprint where a switch changes its networks.

    Raises:
        UsageError: the networks do not take what the switch would give them.
    """
    loss = plan.loss
    changed = {"packing": loss.packing > 1, "minibatch_discrimination": loss.minibatch_discrimination.kernels > 0,
               "minibatch_stddev": loss.minibatch_stddev is not None,
               "virtual_batch_norm": loss.virtual_batch_norm is not None}
    switched = [key for key, on in changed.items() if on]
    if not switched:
        return
    try:
        estimate(plan, model, stretches)
    except (RuntimeError, IndexError) as error:  # shapes that do not fit together
        raise UsageError(f"loss.{' and loss.'.join(switched)}: the networks of model={plan.model.name} do not take this "
                         f"({str(error).splitlines()[0]}): leave it out.") from None
