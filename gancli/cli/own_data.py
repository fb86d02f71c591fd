"""`dataset=PATH`, and `dataset.path=PATH` alone: the data set that lies there is found out and said."""

import os
import re
from pathlib import Path

from gancli.config.compose import compose
from gancli.config.groups import options
from gancli.config.paths import absolute
from gancli.errors import UserError, near
from gancli.monitor.terminal import tell

COMMANDS = ("train", "data")  # whose configurations have a data set of their own
OF_FOLDERS = ("unpaired", "paired")  # what a system may bring, and takes any folder for
_GIVEN = re.compile(r"(\+{0,2})(dataset|dataset\.path)=(['\"]?)(.*)\3", re.DOTALL)


def with_own_data(command: str, overrides: list[str], config_dir: Path | None = None) -> list[str]:
    """Return the overrides with `dataset=NAME` in front of `dataset.path=` where a path alone says which data are meant.

    Raises:
        UserError: dataset= is a path at which there is nothing.
    """
    given = {match[2]: (place, match[4]) for place, override in enumerate(overrides)
             if (match := _GIVEN.fullmatch(override))}
    if command not in COMMANDS or any(override.startswith("resume=") for override in overrides):
        return overrides
    if "dataset" in given:
        return _of_group(command, overrides, *given["dataset"], config_dir)
    if "dataset.path" not in given:
        return overrides
    place, value = given["dataset.path"]
    path = Path(absolute(value, False))
    if not path.exists():
        return overrides if "path" in _brought(command, _without_data(overrides), config_dir) else [
            "dataset=folder", *overrides]  # which says that there is nothing
    brought = {} if command == "data" else _brought(command, _without_data(overrides), config_dir)
    if "path" in brought and brought.get("name") != "text":
        return overrides
    return _named(_kind_of(path), value, overrides)


def _of_group(command: str, overrides: list[str], place: int, value: str, config_dir: Path | None) -> list[str]:
    """Return the overrides with a path in place of the name of a data set taken apart."""
    known = options("dataset", config_dir)
    expanded = os.path.expanduser(value)
    looks_like_path = os.sep in value or value.startswith("~") or value in (".", "..")
    if value in known or not (looks_like_path or os.path.exists(expanded)):
        return overrides
    if "${" in value or "," in value and not os.path.exists(expanded):
        return overrides
    path = Path(absolute(value, False))
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = near(path.name, siblings[:20]) if siblings else f"there is no folder {path.parent} either."
        raise UserError(f"dataset={value} does not exist; {hint} Give a path, or a name (gan list datasets).")
    rest = [override for number, override in enumerate(overrides) if number != place]
    brought = _brought(command, _without_data(rest), config_dir).get("name")
    kind = brought if brought in OF_FOLDERS and path.is_dir() else _kind_of(path)
    return _named(kind, value, [*rest[:place], f"dataset.path={value}", *rest[place:]])


def _kind_of(path: Path) -> str:
    from gancli.data.kinds import kind_of  # reads archives, which other commands need not

    return kind_of(path)


def _named(kind: str, value: str, overrides: list[str]) -> list[str]:
    tell(f"Data: {value} is taken as dataset={kind} dataset.path={value}.")
    return [f"dataset={kind}", *overrides]


def _without_data(overrides: list[str]) -> list[str]:
    return [override for override in overrides if not override.lstrip("+").startswith(("dataset.", "dataset="))]


def _brought(command: str, overrides: list[str], config_dir: Path | None) -> dict:
    """Return the data set that the other choices bring; nothing where they do not compose, which is said later."""
    try:
        return dict(compose(command, overrides, config_dir).dataset)
    except Exception:  # whatever Hydra raises; a sweep over models among it
        return {}
