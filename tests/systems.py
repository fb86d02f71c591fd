"""The registered systems as tests meet them: found by themselves, small, each with the losses that it takes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from gancli.losses.options import DIVERGENCES
from gancli.registry import models

CONF = Path(__file__).parents[1] / "conf"
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
LOSSES = sorted(path.stem for path in (CONF / "loss").glob("*.yaml") if path.stem != "none")
RULES = [(name, {}) for name in LOSSES if name != "fgan"] + [("fgan", {"divergence": d}) for d in DIVERGENCES]
RULE_OF = {name: OmegaConf.load(CONF / f"loss/{name}.yaml")["rule"] for name in LOSSES}
VARIANTS = [(name, dict(changes)) for name in MODELS for changes in models.get(name).build.variants]
BY_TIER = [pytest.param(*row, marks=pytest.mark.recipe if row[1] else ()) for row in VARIANTS]  # the unit tier: one a model


def later(values: Iterable[Any], first: int = 1) -> list[Any]:
    """Return parameters of a test of which the unit tier tries the first and the recipe tier the others; tuples are rows."""
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*row, marks=() if number < first else pytest.mark.recipe) for number, row in enumerate(rows)]


def system(name: str) -> Any:
    """Return a model's class."""
    return models.get(name).build


def rules_of(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the losses that a model takes, with changes: the one called none where it brings its own."""
    known = system(name).losses
    if known == ():
        return [("none", {})]
    return [(loss, changes) for loss, changes in RULES if known is None or RULE_OF[loss] in known]


def loss_for(name: str, wanted: str = "nonsaturating") -> str:
    """Return the wanted loss, or the one called none where the model brings its own."""
    return wanted if any(loss == wanted for loss, _ in rules_of(name)) else rules_of(name)[0][0]


def small(name: str, changes: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Return overrides for the least networks of a model that still have every part."""
    return tuple(f"model.{key}={value}" for key, value in {**system(name).small, **(changes or {})}.items())


def covering(each: int) -> list[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    """Return part of the table: network number i meets `each` losses, spread evenly and shifted from one to the next."""
    chosen = []
    for number, (name, changes) in enumerate(VARIANTS):
        rules = rules_of(name)
        places = {(number + step * len(rules) // each) % len(rules) for step in range(each)}
        chosen += [(name, changes, *rules[place]) for place in sorted(places)]
    return chosen


def name_of(value: Any) -> str:
    """Return a word for a test's identifier."""
    if isinstance(value, dict):
        return "-".join(str(v) for v in value.values()) or "default"
    return str(value)
