"""A run's config.yaml as plain values, read fast and without trust: it may come from a stranger (torch-free)."""

import re
from pathlib import Path
from typing import Any

import yaml

from gancli.errors import UserError
from gancli.runs.files import CONFIG
from gancli.runs.formats import converted
from gancli.runs.records import LARGEST_NUMBER, Damaged, read_text

LARGEST_BYTES = 1 << 20
DEEPEST, MOST_KEYS = 20, 5000  # of nested keys

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast
_SUSPECT = re.compile(r"[&*]|(?:[\[{?-] ?){6}|^ {60}", re.MULTILINE)  # may hold aliases, or nest deeply


def read_config(run_dir: Path) -> dict[str, Any]:
    """Return what config.yaml holds; {} where it is absent or damaged, since a list must not fail on one run."""
    try:
        return stored_config(run_dir)
    except (OSError, Damaged):
        return {}


def load_config(run_dir: Path) -> dict[str, Any]:
    """Return the settings of a run that is to be continued or looked at with its data.

    Raises:
        UserError: config.yaml is absent, damaged, or asks for more than to be read (`${...}`, `_target_`).
    """
    path = run_dir / CONFIG
    try:
        config = stored_config(run_dir)
        refuse_code(config)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give the folder of a run of gan train.") from None
    except Damaged as error:
        raise UserError(f"{path} is refused: {error}. Give the folder of a run of gan train.") from None
    return config


def stored_config(run_dir: Path) -> dict[str, Any]:
    """Return what config.yaml holds; OSError where it cannot be opened, Damaged where it is no configuration."""
    text = read_text(run_dir / CONFIG, LARGEST_BYTES)
    try:
        if _SUSPECT.search(text):
            _refuse_bombs(text)
        config = yaml.load(text, _LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise error if isinstance(error, Damaged) else Damaged("it is not valid YAML") from None
    if not isinstance(config, dict):
        raise Damaged("it is no mapping of settings")
    _check_values(config)
    return converted(config)


def refuse_code(value: Any) -> None:
    """Raise Damaged for `${...}` and `_target_`: a saved config is resolved and names components, never code.

    A stranger's could read this machine's environment with the one, and ask for code to be run with the other.
    """
    if isinstance(value, str) and "${" in value:
        raise Damaged(f"it holds the interpolation {printable(value[:60])}, and a saved config must be resolved")
    if isinstance(value, dict) and "_target_" in value:
        raise Damaged("it holds _target_, which asks for code to be run")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        refuse_code(child)


def printable(text: str) -> str:
    """Return text without the characters by which what a file says could take over a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _refuse_bombs(text: str) -> None:
    """Raise Damaged for aliases, by which a small file stands for a huge one, and for nesting that overflows libyaml."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise Damaged("it holds a YAML alias")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > 2 * DEEPEST:
            raise Damaged(f"it nests deeper than {DEEPEST} levels")


def _check_values(value: Any) -> None:
    """Raise Damaged for what no setting is: keys that are no text, numbers beyond counting, dates and sets."""
    if isinstance(value, dict):
        for key, child in value.items():
            if not isinstance(key, (str, int, bool)):
                raise Damaged("one of its keys is no name")
            _check_values(child)
    elif isinstance(value, list):
        for child in value:
            _check_values(child)
    elif not isinstance(value, (str, int, float, bool, type(None))):
        raise Damaged(f"it holds a value of the kind {type(value).__name__}")
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise Damaged("it holds a number that is too large")


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """Return a nested config as dotted keys: the first MOST_KEYS, none that lies deeper than DEEPEST."""
    found: dict[str, Any] = {}
    _flatten(config, "", 0, found)
    return found


def at(config: dict[str, Any], *keys: str) -> str:
    """Return the value under nested keys as text, `?` where there is none."""
    value: Any = config
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return "?" if value is None else str(value)


def _flatten(node: dict[str, Any], prefix: str, depth: int, found: dict[str, Any]) -> None:
    for key, value in node.items():
        if len(found) >= MOST_KEYS:
            return
        if isinstance(value, dict) and value:
            if depth < DEEPEST:
                _flatten(value, f"{prefix}{key}.", depth + 1, found)
        else:
            found[f"{prefix}{key}"] = value
