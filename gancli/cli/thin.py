"""The thin commands: they compose conf/<name>.yaml from KEY=VALUE and hand it to one function."""

from collections.abc import Callable
from typing import Any

from gancli.cli import bridge
from gancli.cli.options import Cfg, ConfigDir, Overrides, Package, Resolve


def thin_command(task: Callable[[Any], None], config_name: str) -> Callable[..., None]:
    """Return the Typer command that runs `task` on conf/<config_name>.yaml; its help is the task's docstring.

    Args:
        task: as `bridge.run` takes it, a module-level function decorated with gancli.sweeps.jobs.job.
    """

    def command(
        overrides: Overrides = None,
        cfg: Cfg = None,
        resolve: Resolve = False,
        package: Package = None,
        config_dir: ConfigDir = None,
    ) -> None:
        bridge.run(task, config_name, overrides or [], cfg=cfg, resolve=resolve, package=package, config_dir=config_dir)

    command.__doc__ = task.__doc__
    return command
