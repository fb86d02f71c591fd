"""Hydra's and OmegaConf's exceptions as one or two sentences with near matches."""

import re
from difflib import get_close_matches
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gancli.config import groups
from gancli.config.compose import compose, keys
from gancli.errors import UsageError, near

TRANSLATED = (HydraException, OmegaConfBaseException, YAMLError, ValueError, RecursionError)

_EXTRAS = ("joblib", "submitit", "optuna")


def explain(error: Exception, config_name: str, overrides: list[str], config_dir: Path | None = None) -> UsageError:
    """Return the usage error that says what `error`, raised while `overrides` were composed, means to a user."""
    text = str(error)
    if isinstance(error, RecursionError):
        return UsageError("A value nests too deeply: no option has so many brackets in each other.")
    if isinstance(error, MissingConfigException):
        return UsageError(_missing(error, config_dir))
    if isinstance(error, OverrideParseException):
        return UsageError(_grammar(error.override, config_name, config_dir))
    if isinstance(error, YAMLError):
        return UsageError(f"A configuration file is not valid YAML: {' '.join(text.split())}")
    if match := re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'(?:\n| requires)", text, re.S):
        key, _, values = match[1].partition("=")
        return UsageError(f"{match[1]} gives several values: write {key}=[{values}] for one list, or add -m to "
                          f"`gan {config_name if config_name == 'lab' else 'train'}` for a run with each.")
    if match := re.search(r"Could not override '([^']+)'", text):
        return unknown_key(match[1], config_name, overrides, config_dir)
    if text.startswith("Config group override must be a string"):
        return UsageError(_no_name(config_name, overrides, config_dir))
    if match := re.search(r"Additional config directory '(.*)' not found", text):
        return UsageError(f"There is no folder {match[1]} (--config-dir).")
    return UsageError(_first_lines(error))


def near_keys(key: str, known: list[str]) -> list[str]:
    """Return up to three keys that `key` may have meant: the same last part, a similar whole, a similar last part."""
    tail = key.rsplit(".", 1)[-1]
    tails: dict[str, list[str]] = {}
    for name in known:
        tails.setdefault(name.rsplit(".", 1)[-1], []).append(name)
    found = get_close_matches(key, known, n=2, cutoff=0.85) + sorted(tails.get(tail, []), key=len)
    for similar in [] if found else get_close_matches(tail, tails, n=2, cutoff=0.7):
        found += tails[similar]
    return list(dict.fromkeys(found))[:3]


def _missing(error: MissingConfigException, config_dir: Path | None) -> str:
    """Say which option of which group does not exist."""
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return f"There is no configuration called {name}."
    extra = name.partition("_")[0]
    if group.startswith("hydra/") and extra in _EXTRAS:
        return f"{group}={name} is not installed: pip install 'gancli[{extra}]'."
    return f"There is no {group} called {name}; {near(name, error.options or groups.options(group, config_dir))}"


def _grammar(override: str, config_name: str, config_dir: Path | None) -> str:
    """Say what is wrong with an override that is not KEY=VALUE in Hydra's grammar."""
    key, equals, value = override.partition("=")
    if equals and key:
        return f"The value of {key} holds characters that need quotes: write '{key}=\"{value}\"'."
    names = groups.groups(config_name)
    meant = [f"{group}={override}" for group in names if override in groups.options(group, config_dir)]
    hint = f"did you mean {' or '.join(meant)}?" if meant else "for example seed=1."
    return f"{override!r} is not of the form KEY=VALUE; {hint}"


def _no_name(config_name: str, overrides: list[str], config_dir: Path | None) -> str:
    """Say which group was given a number or a mapping instead of the name of an option."""
    for override in overrides:
        group, _, value = override.partition("=")
        if group in groups.groups(config_name) and value not in groups.options(group, config_dir):
            return f"There is no {group} called {value}; {near(value, groups.options(group, config_dir))}"
        if not group:
            return f"{override!r} is not of the form KEY=VALUE; for example seed=1."
    return "A group was given a value that is not the name of an option."


def unknown_key(key: str, config_name: str, overrides: list[str], config_dir: Path | None) -> UsageError:
    """Return the error that there is no such key, with the groups and composed keys that are near it."""
    composed = _known_keys(config_name, overrides, config_dir)
    known = [*groups.groups(config_name), *(name for name in composed if ".recipe." not in name)]
    found = near_keys(key, known)
    command = _typed(config_name, overrides)
    hint = f"did you mean {' or '.join(found)}?" if found else f"`gan {command} --cfg job` prints every key."
    return UsageError(f"There is no key {key}; {hint}")


def _typed(config_name: str, overrides: list[str]) -> str:
    """Return the command as it is typed: a group of its own name is its first argument (`lab equilibrium`)."""
    return " ".join([config_name, *(word.partition("=")[2] for word in overrides if word.startswith(f"{config_name}="))])


def _known_keys(config_name: str, overrides: list[str], config_dir: Path | None) -> list[str]:
    """Return the keys of the configuration that the chosen groups make, without the values overridden in it."""
    names = groups.groups(config_name)
    chosen = [override for override in overrides if override.partition("=")[0] in names and "," not in override]
    for choices in (chosen, []):
        try:
            return keys(compose(config_name, choices, config_dir))
        except TRANSLATED:
            continue
    return []


def _first_lines(error: Exception) -> str:
    """Return the first lines of an error and of its cause as sentences."""
    sentences = []
    for part in (error, error.__cause__):
        line = str(part).strip().splitlines()[0].strip().rstrip(".:") if part is not None and str(part).strip() else ""
        if line and line not in sentences:
            sentences.append(line)
    return f"{'. '.join(sentences) or type(error).__name__}."
