"""A run's config.yaml as plain values, read fast and without trust: it may come from a stranger (torch-free)."""

from pathlib import Path
from typing import Any

import yaml

from gancli.runs.files import CONFIG

LARGEST_BYTES = 1 << 20
DEEPEST, MOST_KEYS = 20, 5000  # of nested keys: YAML's aliases can make a small file huge

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast


def read_config(run_dir: Path) -> dict[str, Any]:
    """Return what config.yaml holds; {} where it is absent or broken, since a list must not fail on one run."""
    path = run_dir / CONFIG
    try:
        if path.stat().st_size > LARGEST_BYTES:
            return {}
        config = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


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
