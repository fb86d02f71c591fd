"""What a new run takes from another one's weights (`init=`), told before anything exists."""

from pathlib import Path

from gancli.engine.inheriting import inheritance
from gancli.engine.plan import Plan
from gancli.errors import UserError
from gancli.plan.memory import blueprint
from gancli.runs.find import find_checkpoint
from gancli.runs.header import read_header


def chosen(init: str | None) -> str | None:
    """Return the checkpoint that `init=` names, as a run records it; a UserError where there is none."""
    return None if init is None else str(find_checkpoint(init).absolute())


def tell(plan: Plan, path: Path) -> None:
    """Note in a plan what its model takes of a checkpoint.

    Raises:
        UserError: it takes nothing.
    """
    header = read_header(path)
    found = inheritance(blueprint(plan), {name: tensor.shape for name, tensor in header.table.items()})
    model = header.config.get("model")
    theirs = model.get("name") if isinstance(model, dict) else None
    if not found.taken:
        raise UserError(f"init={path}: none of its weights fits model={plan.model.name}, the run's model is "
                        f"{theirs or 'unknown'}: give a run of the same model and size, or leave init= out.")
    run = path.parent.parent.name
    plan.notices.append(f"Begins with the weights of {run} at {header.images / 1000:g} kimg: {found.describe()}.")
