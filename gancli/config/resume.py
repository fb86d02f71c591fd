"""What a continued run may change: its length, its device, what is measured and recorded, and nothing else."""

import logging
import os
import socket
from copy import deepcopy
from pathlib import Path
from typing import Any

from gancli.errors import UserError
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.config import flat, load_config, stored_config
from gancli.runs.directory import is_run
from gancli.runs.files import CONFIG
from gancli.runs.find import find_run
from gancli.runs.header import read_header
from gancli.runs.records import Damaged
from gancli.runs.status import read_status

FREE = ("trainer.kimg", "trainer.epochs", "trainer.record_kimg", "trainer.sample_kimg", "trainer.checkpoint_kimg",
        "trainer.keep", "trainer.loggers", "trainer.memory_check", "device", "devices", "data_dir", "dataset.store",
        "dataset.verify")
LENGTH = ("trainer.kimg", "trainer.epochs")
GROWN = ("trainer", "evaluation")  # groups in which later versions have more keys
MOST_DIFFERENCES = 8
log = logging.getLogger(__name__)


def continued_values(run: str, asked: dict[str, Any], overrides: list[str] | None) -> tuple[Path, dict[str, Any]]:
    """Return a run's directory and the settings with which it goes on.

    Args:
        run: path, id or a unique part of it.
        asked: the configuration composed from this command.
        overrides: what this command says; only these keys are compared.  None: the whole configuration is.

    Raises:
        UserError: there is no such run, it is running or finished, or other settings than those of FREE differ.
    """
    directory = find_run(run)
    status = read_status(directory)
    if status is not None and status.status == "running" and status.host == socket.gethostname():
        raise UserError(f"The run {directory.name} is running (process {status.pid}): stop it first.")
    stored = _completed(stored_settings(directory), asked, directory)
    keys = list(asked) if overrides is None else [_key(override) for override in overrides]
    values, differences = deepcopy(stored), []
    flat_asked, flat_stored = flat(asked), flat(stored)
    for key in sorted({name for name in flat_asked.keys() | flat_stored.keys() if _stands_under(name, keys)}):
        new, old = flat_asked.get(key), flat_stored.get(key)
        if new == old or (key in LENGTH and new is None):
            continue
        if key in FREE or key.startswith("evaluation."):
            _set(values, key, new)
        elif not (overrides is None and key == "model.discriminator_norm"):
            differences.append(f"{key} is {old} in the run and {new} here")
    if differences:
        more = f" and {len(differences) - MOST_DIFFERENCES} more" if len(differences) > MOST_DIFFERENCES else ""
        raise UserError(f"{directory} holds a run of other settings: {'; '.join(differences[:MOST_DIFFERENCES])}{more}. "
                        "Leave them out to continue it, or start another run in another directory.")
    for given, other in (LENGTH, LENGTH[::-1]):
        if given in {key for key in flat_asked if _stands_under(key, keys)} and flat_asked[given] is not None:
            _set(values, other, None)
    if status is not None and status.status == "finished" and all(
            values[group][key] == stored[group][key] for group, key in
            (("trainer", "kimg"), ("trainer", "epochs"), *([("evaluation", "patience")] if status.why else []))):
        length = stored["trainer"]["kimg"] or f"{stored['trainer']['epochs']} epochs"
        raise Finished(f"The run {directory.name} has finished its {length}{' kimg' if stored['trainer']['kimg'] else ''}: "
                        "give a longer trainer.kimg= to train it further.")
    return directory, values


class Finished(UserError):
    """There is nothing left to train."""


def holds_run(directory: Path) -> bool:
    """Whether a directory holds a run that got as far as recording its settings."""
    return is_run(directory) and (os.path.lexists(directory / CONFIG) or bool(CheckpointFolder(directory).list()))


def stored_settings(directory: Path) -> dict[str, Any]:
    """Return a run's settings from config.yaml, or from its newest readable checkpoint where that file is damaged.

    Raises:
        UserError: neither can be read, or one asks for more than to be read.
    """
    try:
        stored_config(directory)
    except (OSError, Damaged) as error:
        for path in reversed(CheckpointFolder(directory).list()):
            try:
                config = read_header(path).config
            except UserError:
                continue
            log.warning("%s cannot be read (%s): the settings are those in %s.", directory / CONFIG, error, path.name)
            return config
    return load_config(directory)


def _completed(stored: dict[str, Any], asked: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Return a run's settings with those that its version did not have yet, at the top, in `trainer` and in `evaluation`."""
    for group, values in asked.items():
        if isinstance(values, dict) and not isinstance(stored.get(group, {}), dict):
            raise UserError(f"{directory / CONFIG} is damaged: {group} is no mapping of settings.")
    grown = {group: {**asked[group], **stored.get(group, {})} for group in GROWN}
    return {**asked, **stored, **grown}


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0].replace("/", ".")


def _stands_under(key: str, tops: list[str]) -> bool:
    return any(key == top or key.startswith(f"{top}.") for top in tops)


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for name in path:
        config = config[name] if isinstance(config.get(name), dict) else config.setdefault(name, {})
    config[last] = value
