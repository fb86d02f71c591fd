"""A folder of runs, data and traps in which one command line is tried, and what became of it."""

import os
import shutil
import socket
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from planning import SMALL_NETWORKS, TINY, run
from typer.testing import CliRunner

from gancli.cli.main import app
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.sweeps import SweepRecord, write_sweep

STAGES = ("lexer", "composing", "checking", "reading", "running")
SECRET = "a secret that is told to nobody"


def furnish(root: Path) -> Path:
    """Make the folder that every command line gets a copy of; the command is typed in its folder `work`."""
    work = root / "work"
    good = work / "outputs/train/good"
    run(good, "model=gan", *SMALL_NETWORKS["gan"], *TINY, "trainer.kimg=0.008")
    for name in ("bad", "odd"):
        shutil.copytree(good, work / "outputs/train" / name)
    (work / "outputs/train/bad/status.json").write_text('{"status": 1e400')
    (work / "outputs/train/bad/config.yaml").write_text("a: &a [*a]")
    figures = '{"images": 4, "loss/generator": NaN}\n{"images": 1' + "0" * 400 + "}\n["
    (work / "outputs/train/odd/stats.jsonl").write_text(figures)
    (work / "outputs/sweep/two").mkdir(parents=True)
    write_sweep(work / "outputs/sweep/two", SweepRecord("train", ["seed=0,1"], jobs={"0": ["seed=0"]}))
    latest = CheckpointFolder(good).latest()
    (work / "truncated.safetensors").write_bytes(latest.read_bytes()[:-9])
    (work / "file.txt").write_text("text")
    (work / "canary").write_text("untouched")
    (work / "mine/model").mkdir(parents=True)
    (work / "mine/model/mine.yaml").write_text("a: [")
    (work / "pictures").mkdir()
    for i in range(4):
        Image.new("L", (8, 8), i).save(work / f"pictures/{i}.png")
    np.savez(work / "arrays.npz", images=np.zeros((8, 8, 8, 1), np.uint8))
    os.mkfifo(work / "pipe")
    os.symlink("loop", work / "loop")
    (root / "home").mkdir()
    return root


def warm(template: Path) -> None:
    """Run commands in this process once, so that those forked from it find everything imported and cached."""
    here = os.getcwd()
    os.chdir(template / "work")
    try:
        for words in (["validate"], ["validate", "x=1"], ["validate", "a b"], ["list", "runs"], ["diagnose", "good"],
                      ["sample", "ckpt=good", "out=warm.npz"], ["interpolate", "ckpt=good", "out=warm.png"],
                      ["compare", "good", "--csv", "warm.csv"], ["lab", "--list"], ["lab", "equilibrium", "--cfg", "job"]):
            CliRunner().invoke(app, words, prog_name="gan")
    finally:
        os.chdir(here)
        for path in (template / "work").glob("warm.*"):
            path.unlink()


def copy(template: Path, target: Path) -> Path:
    """Copy the furnished folder, pipes and links as they are."""
    def each(source: str, copied: str) -> str:
        return shutil.copy2(source, copied) if os.path.isfile(source) else os.mkfifo(copied) or copied

    return shutil.copytree(template, target, symlinks=True, copy_function=each)


def tried(root: Path, words: list[str]) -> dict[str, Any]:
    """Type a command in a copy of the folder, in a process that is only for it; return what became of it."""
    stage = ["lexer"]
    _watch(stage)
    os.chdir(root / "work")
    os.environ.update(HOME=str(root / "home"), CANARY=SECRET, GAN_DATA=str(root / "work/data"), TERM="dumb")
    socket.socket.connect = _offline
    before = _there(root)
    result = CliRunner().invoke(app, words, prog_name="gan")
    odd = result.exception if not isinstance(result.exception, (SystemExit, type(None))) else None
    return {"stage": stage[-1], "code": result.exit_code, "said": result.stderr[-3000:],
            "trace": "".join(traceback.format_exception(odd))[-4000:] if odd else "",
            "new": sorted(_there(root) - before), "canary": (root / "work/canary").read_text()}


def _offline(*_: Any) -> None:
    raise OSError(101, "Network is unreachable")


def _there(root: Path) -> set[str]:
    found = set(os.listdir("/"))
    for folder, folders, files in os.walk(root):
        found |= {os.path.relpath(os.path.join(folder, name), root) for name in (*folders, *files)}
    return found


def _watch(stage: list[str]) -> None:
    """Note the stages that the command reaches."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    import gancli.cli.table
    import gancli.compare.report
    import gancli.data.dataset
    import gancli.engine.training
    import gancli.explore.loaded
    import gancli.explore.room
    import gancli.plan.run
    import gancli.plan.validate
    import gancli.runs.find
    import gancli.sweeps.jobs

    def mark(owner: Any, name: str, reached: str, after: bool = False) -> None:
        call = getattr(owner, name)

        def marked(*arguments: Any, **named: Any) -> Any:
            if not after:
                _reach(stage, reached)
            value = call(*arguments, **named)
            if after:
                _reach(stage, reached)
            return value

        setattr(owner, name, marked)

    mark(OverridesParser, "parse_overrides", "composing", after=True)
    mark(gancli.sweeps.jobs, "_check_values", "checking")
    mark(gancli.plan.run, "open_source", "reading")
    mark(gancli.plan.run, "continued_values", "reading")
    mark(gancli.explore.loaded, "find_checkpoint", "reading")
    mark(gancli.runs.find, "list_runs", "reading")
    mark(gancli.runs.find, "find_run", "reading")
    mark(gancli.runs.find, "find_runs", "reading")
    mark(gancli.explore.loaded, "_rebuild", "running", after=True)
    mark(gancli.plan.validate, "estimate", "running")
    mark(gancli.cli.table, "print_table", "running")
    mark(gancli.engine.training, "train", "running")


def _reach(stage: list[str], reached: str) -> None:
    if STAGES.index(reached) > STAGES.index(stage[-1]):
        stage.append(reached)
