"""TAB completion of overrides: groups, their options, keys and present values; free of torch."""

import os
from pathlib import Path

import typer

from gancli.cli.keys import CONFIG_OF
from gancli.config import groups
from gancli.config.paths import GROUPS, NAMES, PATHS
from gancli.features.weights import EXTRACTORS

PLUGINS = ("hydra/launcher", "hydra/sweeper")
SWEEPING = ("train", "lab")  # the configurations that -m takes


def complete(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the completions of the word under the cursor; none when anything goes wrong."""
    try:
        name = CONFIG_OF.get(ctx.info_name or "", ctx.info_name or "")
        chosen = [f"{name}={ctx.params['name']}"] if "name" in ctx.params else []  # gan lab NAME
        words = [*chosen, *(ctx.params.get("overrides") or [])]
        *before, word = _joined([*words, _typed(incomplete)])
        typed_apart = len(word) - len(incomplete) if word != incomplete else 0
        found = candidates(name, before, word, ctx.params.get("config_dir"))
        return [each[typed_apart:] for each in found if each != f"{name}="]
    except Exception:  # a shell that waits for completions must not see a traceback
        return []


def complete_run(incomplete: str) -> list[str]:
    """Return the runs and sweeps whose id begins so; folders are the shell's own to complete."""
    from gancli.runs.find import names

    try:
        return [name for name in names() if name.startswith(incomplete)]
    except Exception:  # as above
        return []


def candidates(config_name: str, before: list[str], word: str, config_dir: Path | None = None) -> list[str]:
    """Return what `word`, after the overrides `before`, may become: `model=`, `model=dcgan`, `optimizer.lr=`."""
    mark = word[: len(word) - len(word.lstrip("+~"))]
    key, equals, typed = word[len(mark):].partition("=")
    if equals:
        found = [f"{key}={value}" for value in _values(config_name, before, key, typed, config_dir)]
    else:
        names = groups.groups(config_name)
        found = [f"{name}=" for name in names if "/" not in name] + _next_keys(config_name, before, key, config_dir)
        found += [f"{name}=" for name in PLUGINS if config_name in SWEEPING]
    return sorted({mark + option for option in found if option.startswith(word[len(mark):])})


def _values(config_name: str, before: list[str], key: str, typed: str, config_dir: Path | None) -> list[str]:
    """Return what may stand behind `key=`: runs, the options of a group, true and false, or the present value.

    None for a path: the shell has files.
    """
    if key in NAMES:
        return _runs(typed)
    if key in groups.groups(config_name):
        return list(groups.options(key, config_dir))
    if key in PLUGINS:
        return _plugins(key)
    if key in GROUPS + PATHS:
        return []
    last = key.rpartition(".")[2]
    if last == "features":
        return list(EXTRACTORS)
    if last == "metrics":
        return _metrics(typed)
    return _present(config_name, before, key, config_dir)


def _present(config_name: str, before: list[str], key: str, config_dir: Path | None) -> list[str]:
    """Return true and false for a switch, else the value that a key has."""
    from omegaconf import OmegaConf

    from gancli.config.compose import keys

    cfg = _composed(config_name, before, config_dir)
    if key not in keys(cfg):
        return []
    value = OmegaConf.select(cfg, key)
    if isinstance(value, bool):
        return ["false", "true"]
    return [str(value).replace(" ", "")] if value is not None else ["null"]


def _runs(typed: str) -> list[str]:
    """Return the ids of runs and sweeps; behind RUN@ that run's checkpoints."""
    from gancli.runs.checkpoint import CheckpointFolder, images_of
    from gancli.runs.find import find_run, names

    run, at, _ = typed.rpartition("@")
    if not at:
        return names()
    kept = CheckpointFolder(find_run(run)).list()
    return [f"{run}@{which}" for which in ("best", "latest", *(f"{images_of(path) / 1000:g}" for path in kept)) if kept]


def _metrics(typed: str) -> list[str]:
    """Return a list of metrics with each that is not in it yet as its last."""
    from gancli.metrics.catalog import METRICS

    *given, _ = typed.lstrip("[").split(",")
    return ["[" + ",".join([*given, name]) for name in METRICS if name not in given]


def _plugins(group: str) -> list[str]:
    """Return the launchers or sweepers that are installed."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    Plugins.instance()  # each registers its own
    return [name.removesuffix(".yaml") for name in ConfigStore.instance().list(group) if name.endswith(".yaml")]


def _next_keys(config_name: str, before: list[str], stub: str, config_dir: Path | None) -> list[str]:
    """Return the keys one level below the dots of `stub`: `optimizer.` for a node, `seed=` for a value."""
    from omegaconf import DictConfig, OmegaConf

    parent, dot, _ = stub.rpartition(".")
    cfg = _composed(config_name, before, config_dir)
    node = OmegaConf.select(cfg, parent) if parent else cfg
    if not isinstance(node, DictConfig):
        return []
    inner = {key: isinstance(node._get_node(key), DictConfig) for key in map(str, node)}
    return [f"{parent}{dot}{key}{'.' if is_node else '='}" for key, is_node in inner.items()]


def _composed(config_name: str, before: list[str], config_dir: Path | None):
    """Compose with the words before the cursor, or without them where they are not whole."""
    from gancli.config.compose import compose
    from gancli.config.explain import TRANSLATED

    try:
        return compose(config_name, [word for word in before if "=" in word], config_dir)
    except TRANSLATED:
        return compose(config_name, [], config_dir)


def _typed(incomplete: str) -> str:
    """Return the word under the cursor as the shell has it: bash makes `=` a word, which Typer turns into nothing."""
    text, index = os.environ.get("COMP_WORDS", ""), os.environ.get("COMP_CWORD", "")
    words = text.split("\n") if "\n" in text else text.split(" ")
    return "=" if index.isdigit() and words[int(index):][:1] == ["="] else incomplete


def _joined(words: list[str]) -> list[str]:
    """Join what bash has split at `=`: model, =, dc -> model=dc."""
    joined: list[str] = []
    for i, word in enumerate(words):
        if joined and (word == "=" or (i and words[i - 1] == "=")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined
