"""Random command lines: each ends with 0, or 1 to 3 and at most two sentences; no traceback, hang, bomb or stray file."""

import json
import os
import re
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command_lines import lines
from forked import forked
from hypothesis import HealthCheck, Phase, given, seed, settings
from sandbox import STAGES, copy, furnish, tried, warm

BOUNDED = 6  # command lines in the unit tier
MANY = int(os.environ.get("GANCLI_FUZZ", 1500))  # behind -m fuzz
SEED = int(os.environ.get("GANCLI_FUZZ_SEED", 0))
MINUTES = float(os.environ.get("GANCLI_FUZZ_MINUTES", 60))  # at most so long
LOG = os.environ.get("GANCLI_FUZZ_LOG", os.devnull)  # a line of JSON a case
HYDRAS = ("train", "validate", "sample", "interpolate", "evaluate", "lab")
CACHES = ("home/.cache", "home/.config", "work/data")  # of libraries, and of data sets
FAILS = (0, 1, 2, 3)


def wrong(words: list[str], seen: dict[str, Any]) -> str:
    """Return what a command line did that none may, or nothing."""
    if "died" in seen:
        return seen["died"]
    if seen["trace"] or "Traceback" in seen["said"]:
        return seen["trace"] or seen["said"]
    if seen["code"] not in FAILS:
        return f"exit code {seen['code']}"
    if seen["canary"] != "untouched":
        return "the canary is touched"
    said = seen["said"].rpartition("Error: ")[2] if seen["code"] else ""
    if seen["code"] in (1, 2) and (not said or len(_sentences(said, words)) > 2):
        return f"{len(_sentences(said, words))} sentences: {seen['said']!r}"
    if "\x1b" in seen["said"]:
        return f"an escape sequence reaches the terminal: {seen['said']!r}"
    stray = [path for path in seen["new"] if not path.startswith(CACHES) and not _named(path, words, seen["code"])]
    return f"created {stray}" if stray else ""


def _sentences(said: str, words: list[str]) -> list[str]:
    """Return a message's sentences; what it repeats of the command line may itself look like several."""
    parts = {part for word in words for part in (word, word.partition("=")[2]) if part}
    for part in sorted(parts, key=len, reverse=True):
        said = said.replace(part, "x")
    return re.split(r"(?<=[a-z0-9)][.!?]) (?=[A-Z])", said.strip())


def _named(path: str, words: list[str], code: int) -> bool:
    """Whether a path that is new lies where the command line, or the default of a command that did something, says."""
    top = os.path.join(os.sep, "root")
    here = os.path.normpath(os.path.join(top, path))
    if code != 2 and here.startswith(os.path.join(top, "work", "outputs")):
        return words[0] not in ("validate", "list", "diagnose")
    for word in words:
        for value in (word, word.partition("=")[2]):
            value = value.strip("'\"")
            if value:
                value = value.replace("~", f"{top}/home", 1) if value.startswith("~") else value
                target = os.path.normpath(os.path.join(top, "work", value))
                if here == target or here.startswith(target + os.sep) or target.startswith(here + os.sep):
                    return code != 2
    return False


def outcomes(folder: Path, cases: int) -> tuple[dict[str, int], list[str]]:
    """Try so many command lines; return counts of `command, stage: exit code` and what went wrong."""
    template, counts, broken = furnish(folder / "template"), Counter(), []
    if cases > BOUNDED:
        warm(template)
    number, until = iter(range(10**9)), time.monotonic() + 60 * MINUTES

    @seed(SEED)
    @settings(max_examples=cases, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(lines())
    def look(words):
        if time.monotonic() > until:
            return
        root = copy(template, folder / str(next(number)))
        try:
            seen = forked(lambda: tried(root, words))
        finally:
            shutil.rmtree(root)
        command = words[0] if words and words[0] in HYDRAS else "others"
        counts[command, seen.get("stage", "died"), seen.get("code", -1)] += 1
        if why := wrong(words, seen):
            broken.append(f"gan {words}\n{why}")
        with open(LOG, "a") as log:
            log.write(json.dumps([command, seen.get("stage", "died"), seen.get("code", -1), words, why]) + "\n")

    look()
    return counts, broken


@pytest.mark.parametrize("cases", [pytest.param(BOUNDED, marks=pytest.mark.recipe),
                                   pytest.param(MANY, marks=[pytest.mark.fuzz, pytest.mark.timeout(0)])],
                         ids=["bounded", "many"])
def test_a_command_line_does_what_it_says_or_says_why_not(cases, tmp_path, capsys):
    counts, broken = outcomes(tmp_path, cases)
    total = sum(counts.values())
    by_stage = {stage: {code: sum(count for (_, at, ended), count in counts.items() if (at, ended) == (stage, code))
                        for code in sorted({code for _, at, code in counts if at == stage})} for stage in STAGES}
    hydras = sum(count for (command, _, _), count in counts.items() if command in HYDRAS)
    composed = sum(count for (command, stage, _), count in counts.items() if command in HYDRAS and stage in STAGES[2:])
    if cases == MANY:
        with capsys.disabled():
            print(f"\ncommand lines: {total}; exit codes by the stage reached: {by_stage}; {composed} of {hydras} compose")
            for (command, stage, code), count in sorted(counts.items(), key=str):
                print(f"  {command:12} {stage:10} exit {code}: {count}")
    assert not broken, f"{len(broken)} of {total}:\n" + "\n\n".join(broken[:20])
    assert cases == BOUNDED or composed >= hydras / 4
