"""The real command line in processes of its own."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import warm

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> list[str]:
    """Return the argument vector of `gan ARGUMENTS` with this interpreter."""
    return [sys.executable, "-m", "gancli", *arguments]


def environment(**more: str) -> dict[str, str]:
    """Return this environment, with the package importable from any folder."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def gan(*arguments: str, cwd: Path, check: int | None = 0, timeout: float = 300, **more: str) -> subprocess.CompletedProcess:
    """Run `gan ARGUMENTS` in `cwd` and return what it printed; fail unless it exits with `check`."""
    done = subprocess.run(command(*arguments), cwd=cwd, env=environment(**more), capture_output=True, text=True,
                          timeout=timeout)
    assert check is None or done.returncode == check, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def warm_gan(*arguments: str, cwd: Path, timeout: float = 300, **more: str) -> subprocess.CompletedProcess:
    """Run `gan ARGUMENTS` as `gan` does, in a process that finds torch imported; fail unless it exits with 0."""
    done = warm.run(list(arguments), cwd, environment(**more), timeout)
    assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def commands_in(text: str) -> list[list[str]]:
    """Return the `gan ...` commands in a text's fenced blocks without a language, as argument vectors."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for language, block in blocks if not language for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("gan ")]
