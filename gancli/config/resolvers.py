"""The interpolation ${paper:KEY} or ${paper:KEY,DEFAULT}: what the papers of the chosen loss and model train with."""

from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gancli.errors import UsageError
from gancli.options import Recipe

_KEYS = tuple(field.name for field in fields(Recipe))
_OPTIMIZER_KEYS = ("lr", "discriminator_lr", "betas", "momentum", "alpha", "weight_decay", "eps")


def register() -> None:
    """Make the resolvers known to OmegaConf; may be called again."""
    OmegaConf.register_new_resolver("paper", _paper, replace=True)


def _paper(key: str, default: Any = None, *, _root_: DictConfig) -> Any:
    """Return `key` of the loss's recipe, else of the model's, else `default`; the model's first with the loss it names.

    Rates and moments belong to one optimizer: once the loss prescribes one, nothing of the model's is mixed
    into it, and nothing of either goes with an optimizer that the user has written out instead.
    """
    if key not in _KEYS:
        raise UsageError(f"${{paper:{key}}}: a recipe has no such entry, only {', '.join(_KEYS)}.")
    if key == "scheme" and OmegaConf.select(_root_, "trainer.discriminator_turns") != 1:
        return default  # players that move at once have no turns to count
    explicit = _written_out(_root_, "name")
    if key == "discriminator_lr" and _written_out(_root_, "lr") is not None:
        return default  # optimizer.lr=... means every player's
    for group in _order(_root_):
        recipe = f"{group}.recipe"
        own = OmegaConf.select(_root_, f"{recipe}.optimizer")
        value = OmegaConf.select(_root_, f"{recipe}.{key}")
        fits = key not in _OPTIMIZER_KEYS or explicit is None or own in (None, explicit)
        if value is not None and fits:
            return value
        if key in _OPTIMIZER_KEYS and own is not None:
            break
    return OmegaConf.create(default) if isinstance(default, list) else default  # OmegaConf.resolve takes no plain list


def _order(root: DictConfig) -> tuple[str, str]:
    """Return whose recipe goes first: the loss's, unless the model's paper states its own for this very loss."""
    own = OmegaConf.select(root, "model.recipe.loss")
    return ("model", "loss") if own is not None and own == OmegaConf.select(root, "loss.name") else ("loss", "model")


def _written_out(root: DictConfig, key: str) -> Any:
    """Return optimizer.<key> where it was written out, None where it is left to the papers."""
    chosen = OmegaConf.select(root, "optimizer")
    if chosen is None or OmegaConf.is_interpolation(chosen, key):
        return None
    return OmegaConf.select(chosen, key)
