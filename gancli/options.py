"""From plain mappings (composed YAML, a checkpoint's config) to typed option objects.

Defaults are stated once, in conf/*.yaml; the dataclasses beside their owners state types, meanings and
ranges.  Composition therefore needs neither torch nor the components, and this module is where the two meet.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from gancli.errors import UsageError, near

T = TypeVar("T")
LARGEST_NUMBER = 2**63 - 1


@dataclass
class Recipe:
    """What a paper trains with: used by `optimizer=paper` and `trainer=default` for all that the command leaves open."""

    loss: str | None = None  # of a model: with this one its recipe goes before the loss's
    optimizer: str | None = None  # adam, adamw, rmsprop or sgd
    lr: float | None = None
    discriminator_lr: float | None = None  # where it is not `lr` (two time scales)
    betas: list[float] | None = None  # Adam's beta1, beta2
    momentum: float | None = None  # SGD's
    alpha: float | None = None  # RMSprop's smoothing
    weight_decay: float | None = None
    eps: float | None = None  # what Adam, AdamW and RMSprop add to the root
    schedule: str | None = None  # constant, linear or cosine
    schedule_start: float | None = None  # the fraction of the run after which a linear or cosine schedule starts to fall
    batch_size: int | None = None
    discriminator_turns: int | None = None  # turns of the discriminator for each of the others'
    scheme: str | None = None  # how players' gradients become steps, where each has one turn a round
    ema_kimg: float | None = None  # half-life of the averaged weights
    clip_grad_norm: float | None = None  # largest norm of a player's gradient
    kimg: float | None = None  # length of a default run, in thousands of real images shown


def typed(schema: type[T], values: Mapping[str, Any], where: str) -> T:
    """Return `schema` filled from `values`, every field checked.

    Args:
        schema: a dataclass; its `__post_init__` raises ValueError for values out of range.
        values: plain or OmegaConf mapping, interpolations resolved.
        where: the dotted key under which the values stand, for messages ("model", "dataset"; "" at the top level).

    Raises:
        UsageError: an unknown key, a missing value, a wrong type or a value out of range.
    """
    assert is_dataclass(schema)
    prefix = f"{where}." if where else ""
    plain = OmegaConf.to_container(values, resolve=True) if OmegaConf.is_config(values) else dict(values)
    try:
        filled = OmegaConf.merge(OmegaConf.structured(schema), plain)
        _refuse_uncountable(filled, prefix)
        return cast(T, OmegaConf.to_object(filled))
    except ConfigKeyError as error:
        key = str(error.key)
        known = [field.name for field in fields(schema)]
        path = (error.full_key or key).rsplit(key, 1)[0]
        hint = near(key, known) if not path else ""
        raise UsageError(f"{prefix}{error.full_key or key} is not an option. {hint}".strip()) from None
    except MissingMandatoryValue as error:
        raise UsageError(f"{prefix}{error.full_key} has no value: give {prefix}{error.full_key}=...") from None
    except OmegaConfBaseException as error:
        sentence = str(error.msg or error).splitlines()[0].rstrip(".")
        raise UsageError(f"{prefix}{error.full_key}: {sentence}.") from None
    except ValueError as error:
        message = str(error)
        raise UsageError(message if message.startswith(prefix) else f"{where}: {message}") from None


def _refuse_uncountable(filled: DictConfig | ListConfig, prefix: str) -> None:
    """Raise a ValueError for the first number that is infinite or too large for a counter: no option has use for one.

    NaN fails every range by itself.
    """
    for key, value in _leaves(OmegaConf.to_container(filled, resolve=False), prefix):
        if isinstance(value, float) and math.isinf(value):
            raise ValueError(f"{key} must be a finite number, not {value}")
        if isinstance(value, (int, float)) and abs(value) > LARGEST_NUMBER:
            raise ValueError(f"{key} must be at most 2^63, not {str(value)[:20]}{'...' * (len(str(value)) > 20)}")


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, f"{prefix}{key}.")
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(child, prefix)
    else:
        yield prefix.rstrip("."), value
