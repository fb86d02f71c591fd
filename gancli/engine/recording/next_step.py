"""The command that shows more of what a run's model makes, as it can be typed when the run has ended."""

from gancli.data.dataset import open_source
from gancli.data.holdout import held_out
from gancli.engine.plan import Plan
from gancli.game.abilities import next_command
from gancli.game.model import Model

OF_HELD_OUT = ("translate", "upscale", "inpaint", "reconstruct")  # take examples that the run was not trained on


def next_step(model: Model, plan: Plan) -> str:
    """Return the command and what it needs beside the run, `translate dataset.split=all`; "" where none shows more.

    Where the data have no part that the run was not trained on, these commands need to be told another.
    """
    command = next_command(model)
    if command is None:
        return ""
    if command in OF_HELD_OUT and "split" in plan.dataset:
        source = open_source(plan.dataset, plan.data_dir)
        if held_out(plan.dataset, source, plan.data_dir) is None:
            return f"{command} dataset.split={plan.dataset['split']}"
    return command
