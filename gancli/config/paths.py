"""Paths on the command line: any name works unquoted, relative to the folder in which the command was typed."""

import os.path
import re
from pathlib import Path

NAMES = ("ckpt", "resume", "init")  # these may also be the id of a run, with @kimg behind it
FILES = ("features", "evaluation.features",  # these may also be other words
         "features_weights", "evaluation.features_weights")
KINDS = ("mask",)  # this may also be a kind of hole: what exists is a path
GROUPS = ("plus", "minus", "to", *KINDS)  # these may also be seeds or numbers
WORDS = {"translate": ("to",)}  # by the command in which they are no paths at all
PATHS = ("out", "run_dir", "data_dir", "dataset.path", "input", "projector", "hydra.sweep.dir", "style", "originals", "source",
         "target", "strokes", "page", "latents", "model.content_weights")
LISTS = ("input", "style", "originals")  # these may be several, in brackets

_OVERRIDE = re.compile(r"(\+{0,2})([\w./@]+)=(.*)", re.DOTALL)
_QUOTED = re.compile(r"""(['"])(.*)\1""", re.DOTALL)
_SEEDS = re.compile(r"\[.*\]|\d+", re.DOTALL)
_SWEEP = re.compile(r"(choice|glob|shuffle|sort|range|interval|tag)\(.*\)")


def quote_paths(overrides: list[str], multirun: bool, command: str = "") -> list[str]:
    """Return the overrides with every path absolute and quoted for Hydra's grammar.

    Hydra itself takes `ckpt=runs/lr=1e-4/x` and `out=~/a b.png` for errors of grammar.  In a multirun the
    commas of a value that is no existing path separate the paths of a sweep.

    Args:
        command: the name of its configuration, where a word may have a meaning of its own.
    """
    return [_quote_override(override, multirun, WORDS.get(command, ())) for override in overrides]


def _quote_override(override: str, multirun: bool, words: tuple[str, ...]) -> str:
    match = _OVERRIDE.fullmatch(override)
    if match is None or match[2] not in NAMES + FILES + GROUPS + PATHS or match[2] in words:
        return override
    plus, key, value = match.groups()
    if key in GROUPS and _SEEDS.fullmatch(value):
        return override
    listed = key in LISTS and value.startswith("[") and not os.path.exists(value)
    if value in ("", "null", "???") or "${" in value or listed:
        return override
    if multirun and not _QUOTED.fullmatch(value) and not os.path.exists(os.path.expanduser(value)):
        if _SWEEP.fullmatch(value):
            return override
        values = value.split(",")
    else:
        values = [value]
    return f"{plus}{key}=" + ",".join(quote(absolute(part, key in NAMES + FILES + KINDS)) for part in values)


def absolute(value: str, may_be_name: bool) -> str:
    """Return a path without quotes and ~, absolute against the launch folder; a run's name stays as it is."""
    quoted = _QUOTED.fullmatch(value)
    value = quoted[2] if quoted else value
    path, at, kimg = Path(os.path.expanduser(value)), "", ""
    if may_be_name and not os.path.exists(path):
        head, at, kimg = value.rpartition("@")
        path = Path(os.path.expanduser(head))
        if not at or not os.path.exists(path):
            return value if not value.startswith("~") else os.path.expanduser(value)
    return str(Path.cwd() / path) + at + kimg


def quote(value: str) -> str:
    """Return `value` as a quoted string of Hydra's override grammar."""
    body = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + (r"\'" if match[2] else ""), value)
    return f"'{body}'"
