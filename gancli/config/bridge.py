"""Typer to Hydra: one command line in, one composed configuration (or a sweep of them) into a task.

`hydra.main` is public and is the only way to all of Hydra's launchers and sweepers; it reads sys.argv, so
this module rebuilds that.  See gancli.config.jobs for what happens around the task.
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gancli.config import groups
from gancli.config.jobs import Carried, Sweep, read_jobs, sweep_name
from gancli.config.paths import quote_paths
from gancli.errors import UsageError

SWEEPS = Path("outputs/sweep")
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def run(task: Callable[[Any], Any], config_name: str, overrides: list[str], *, multirun: bool = False,
        cfg: str | None = None, info: str | None = None, resolve: bool = False, package: str | None = None,
        config_dir: Path | None = None) -> Sweep | None:
    """Compose conf/<config_name>.yaml with `overrides` and call `task` with it, once or for each job of a sweep.

    Args:
        task: a module-level function decorated with gancli.config.jobs.job (launchers pickle it by its name).
        cfg: "job", "hydra" or "all": print that configuration instead, with `resolve` its values instead of
            interpolations, with `package` one node of it.
        info: one of INFO: print that instead.
        config_dir: a folder with more options.

    Returns:
        what a multirun left, else None.

    Raises:
        UsageError: the command line does not compose; nothing has been created.
        Exception: whatever a single run's task raises.
    """
    from gancli.config.explain import TRANSLATED, explain

    overrides, multirun = _mode(overrides, multirun)
    _check_flags(multirun, cfg, info, resolve, package)
    _check_marks(config_name, overrides, config_dir)
    overrides = quote_paths(overrides, multirun)
    flags = _flags(multirun, cfg, info, resolve, package, config_dir)
    try:
        if multirun:
            return _sweep(task, config_name, overrides, flags, config_dir)
        _call_hydra(task, config_name, [*flags, *overrides])
    except Carried as carried:
        raise carried.error from None
    except TRANSLATED as error:
        raise explain(error, config_name, overrides, config_dir) from error
    return None


def _sweep(task: Callable[[Any], Any], config_name: str, overrides: list[str], flags: list[str],
           config_dir: Path | None) -> Sweep:
    """Check that every choice composes, then launch the jobs and collect what they left."""
    from gancli.config.compose import check_sweep

    folder = check_sweep(config_name, overrides, config_dir)
    if folder == SWEEPS:
        folder /= sweep_name()
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} holds other files: give hydra.sweep.dir= a new folder.")
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    interrupted = False
    quoted = str(folder).replace("'", r"\'")
    try:
        _call_hydra(task, config_name, [*flags, *_tolerance(overrides), *overrides, f"hydra.sweep.dir='{quoted}'"])
    except KeyboardInterrupt:
        interrupted = True
    except Exception:
        _remove_empty(folder, missing)
        raise
    return Sweep(folder, read_jobs(folder) if folder.is_dir() else {}, interrupted)


def _call_hydra(task: Callable[[Any], Any], config_name: str, arguments: list[str]) -> None:
    """Call hydra.main as if `arguments` had been typed; errors arrive as they are."""
    import hydra

    from gancli.config import resolvers
    from gancli.config.compose import version_base

    resolvers.register()
    main = hydra.main(config_path=str(groups.conf_dir()), config_name=config_name, **version_base())(task)
    with _process_state([f"gan {config_name}", *arguments]):
        main()


@contextmanager
def _process_state(argv: list[str]) -> Iterator[None]:
    """Set what Hydra reads and changes in the process, and put it back: argv, environment, root logger."""
    root = logging.getLogger()
    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR"), root.level, list(root.handlers)
    sys.argv = argv
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv, full_error, root.level, root.handlers[:] = before
        if full_error is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def _mode(overrides: list[str], multirun: bool) -> tuple[list[str], bool]:
    """Take hydra.mode out of the overrides: it says what --multirun says."""
    modes = [override.partition("=")[2].upper() for override in overrides if override.startswith("hydra.mode=")]
    rest = [override for override in overrides if not override.startswith("hydra.mode=")]
    return rest, multirun or "MULTIRUN" in modes


def _check_flags(multirun: bool, cfg: str | None, info: str | None, resolve: bool, package: str | None) -> None:
    """Refuse flags that exclude each other."""
    if sum((multirun, cfg is not None, info is not None)) > 1:
        raise UsageError("--multirun, --cfg and --info exclude each other: give one of them.")
    if cfg is None and (resolve or package is not None):
        raise UsageError("--resolve and --package belong to --cfg: add --cfg job.")
    if info is not None and info not in INFO:
        raise UsageError(f"--info takes {', '.join(INFO)}, not {info}.")


def _check_marks(config_name: str, overrides: list[str], config_dir: Path | None) -> None:
    """Refuse ~key, since every key is needed, and +key outside of what is composed, which nothing would read."""
    from gancli.config.compose import compose
    from gancli.config.explain import unknown_key

    marked = [override for override in overrides if override[:1] in ("~", "+")]
    top = set(compose(config_name, [], config_dir)) | {"hydra"} if marked else set()
    for override in marked:
        key = override.lstrip("+~").partition("=")[0]
        if re.split(r"[./@]", key)[0] not in top:
            raise unknown_key(key, config_name, [], config_dir)
        if override.startswith("~") and not key.startswith("hydra"):
            raise UsageError(f"{key} cannot be left out: give it a value ({key}=null where it may be empty).")


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


def _tolerance(overrides: list[str]) -> list[str]:
    """Let Optuna go on after failed jobs, as the other sweepers do."""
    chosen = "hydra/sweeper=optuna" in overrides
    given = any(override.startswith("hydra.sweeper.max_failure_rate=") for override in overrides)
    return ["hydra.sweeper.max_failure_rate=1.0"] if chosen and not given else []


def _remove_empty(folder: Path, created: list[Path]) -> None:
    """Remove a sweep directory in which no job has begun, and the parents that were made for it."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"multirun.yaml"}:
        (folder / "multirun.yaml").unlink(missing_ok=True)
        for path in created:
            path.rmdir()
