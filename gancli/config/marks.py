"""+key and ~key on the command line: what they may mean here."""

import re
from pathlib import Path

from gancli.config.compose import compose
from gancli.config.explain import unknown_key
from gancli.config.groups import groups
from gancli.errors import UsageError


def settled(config_name: str, overrides: list[str], config_dir: Path | None = None) -> list[str]:
    """Return the overrides with +GROUP=NAME as GROUP=NAME, since every group is in the defaults list already.

    Raises:
        UsageError: ~key, since every key is needed, or +key outside of what is composed, which nothing would read.
    """
    overrides = [_plain(override, config_name) for override in overrides]
    marked = [override for override in overrides if override[:1] in ("~", "+")]
    top = set(compose(config_name, [], config_dir)) | {"hydra"} if marked else set()
    for override in marked:
        key = override.lstrip("+~").partition("=")[0]
        if re.split(r"[./@]", key)[0] not in top:
            raise unknown_key(key, config_name, [], config_dir)
        if override.startswith("~") and not key.startswith("hydra"):
            raise UsageError(f"{key} cannot be left out: give it a value ({key}=null where it may be empty).")
    return overrides


def _plain(override: str, config_name: str) -> str:
    plain = override.lstrip("+")
    return plain if plain != override and plain.partition("=")[0] in groups(config_name) else override
