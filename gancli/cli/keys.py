"""The part of a command's help that tells its keys, read from its configuration when help is asked for."""

from typing import Any

from typer.core import TyperCommand

from gancli.config import groups

CONFIG_OF = {"validate": "train"}  # commands that take another one's keys; else a command's name is its configuration's


class KeyedCommand(TyperCommand):
    """A command whose help lists the keys of its configuration with their defaults and comments."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the flags, and the keys below them."""
        super().format_options(ctx, formatter)
        config_name = CONFIG_OF.get(self.name or "", self.name or "")
        chosen = [name for name in groups.groups(config_name) if "/" not in name]
        rows = [(f"{name}=NAME", ", ".join(groups.options(name))) for name in chosen]
        rows += [(f"{key.name}={key.default}", key.comment) for key in groups.own_keys(config_name)]
        if rows:
            with formatter.section("Keys"):
                formatter.write_dl(rows, col_max=24)
