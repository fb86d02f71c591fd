"""Typer to Hydra: one command line in, one composed configuration (or a sweep of them) into a task.

`hydra.main` is public and is the only way to all of Hydra's launchers and sweepers; it reads sys.argv, so
this module rebuilds that.  See gancli.sweeps.jobs for what happens around the task.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.config.calling import call_hydra
from gancli.config.paths import quote_paths
from gancli.errors import UsageError
from gancli.sweeps.jobs import Carried

if TYPE_CHECKING:
    from gancli.sweeps.sweeping import Sweep

_MODE = re.compile(r"""(?:\+{0,2}|~)hydra\.mode=(['"]?)(.*)\1""", re.DOTALL)
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def run(task: Callable[[Any], Any], config_name: str, overrides: list[str], *, multirun: bool | None = None,
        cfg: str | None = None, info: str | None = None, resolve: bool = False, package: str | None = None,
        config_dir: Path | None = None, resumes_sweeps: bool = False) -> "Sweep | None":
    """Compose conf/<config_name>.yaml with `overrides` and call `task` with it, once or for each job of a sweep.

    Args:
        task: a module-level function decorated with gancli.sweeps.jobs.job (launchers pickle it by its name).
        multirun: whether a sweep is asked for; None where the command makes none.
        cfg: "job", "hydra" or "all": print that configuration instead, with `resolve` its values instead of
            interpolations, with `package` one node of it.
        info: one of INFO: print that instead.
        config_dir: a folder with more options.
        resumes_sweeps: resume= may name a sweep, and is then its stored command again.

    Returns:
        what a multirun left, else None.

    Raises:
        UsageError: the command line does not compose; nothing has been created.
        Exception: whatever a single run's task raises.
    """
    from gancli.cli.own_data import with_own_data
    from gancli.config.explain import TRANSLATED, explain
    from gancli.config.marks import settled
    from gancli.sweeps.sweeping import continued_sweep, sweep

    overrides, multirun = _mode(overrides, multirun)
    overrides = with_own_data(config_name, overrides, config_dir)
    continued = None
    if resumes_sweeps and cfg is None and info is None:
        continued = continued_sweep(config_name, overrides, config_dir)
    if continued is not None:
        overrides, multirun = continued, True
    _check_flags(multirun, cfg, info, resolve, package)
    overrides = quote_paths(settled(config_name, overrides, config_dir), multirun, config_name)
    flags = _flags(multirun, cfg, info, resolve, package, config_dir)
    try:
        if multirun:
            return sweep(task, config_name, overrides, flags, config_dir)
        call_hydra(task, config_name, [*flags, *overrides, "hydra.mode=RUN"])  # the last word, however it was written before
    except Carried as carried:
        raise carried.error from None
    except TRANSLATED as error:
        raise explain(error, config_name, overrides, config_dir) from error
    return None


def _mode(overrides: list[str], multirun: bool | None) -> tuple[list[str], bool]:
    """Take hydra.mode out of the overrides: it says what --multirun says."""
    modes = [match[2].upper() for override in overrides if (match := _MODE.fullmatch(override))]
    unknown = [mode for mode in modes if mode not in ("RUN", "MULTIRUN")]
    if unknown:
        raise UsageError(f"hydra.mode takes RUN or MULTIRUN, not {unknown[0]}.")
    if multirun is None and "MULTIRUN" in modes:
        raise UsageError("This command makes no sweeps: leave hydra.mode=MULTIRUN out.")
    rest = [override for override in overrides if not _MODE.fullmatch(override)]
    return rest, bool(multirun) or "MULTIRUN" in modes


def _check_flags(multirun: bool, cfg: str | None, info: str | None, resolve: bool, package: str | None) -> None:
    """Refuse flags that exclude each other."""
    if sum((multirun, cfg is not None, info is not None)) > 1:
        raise UsageError("--multirun, --cfg and --info exclude each other: give one of them.")
    if cfg is None and (resolve or package is not None):
        raise UsageError("--resolve and --package belong to --cfg: add --cfg job.")
    if info is not None and info not in INFO:
        raise UsageError(f"--info takes {', '.join(INFO)}, not {info}.")


def _flags(multirun: bool, cfg: str | None, info: str | None, resolve: bool, package: str | None,
           config_dir: Path | None) -> list[str]:
    """Return Hydra's own flags."""
    flags = ["--multirun"] if multirun else []
    flags += [f"--cfg={cfg}"] if cfg is not None else []
    flags += [f"--info={info}"] if info is not None else []
    flags += ["--resolve"] if resolve else []
    flags += [f"--package={package}"] if package is not None else []
    flags += [f"--config-dir={config_dir}"] if config_dir is not None else []
    return flags
