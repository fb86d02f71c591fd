"""`gan lab all`: every experiment after the other, and a contact sheet of them as one page."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gancli.errors import UsageError
from gancli.lab.frame.page import make_sheet
from gancli.lab.frame.run import Done, checked, new_folder, run
from gancli.runs.atomic import write_atomic

SHEET = "index.html"


def run_all(composed: Mapping[str, dict[str, Any]], tell: Callable[[Done], None]) -> Path:
    """Run experiments and return the contact sheet.

    Args:
        composed: the values of each, by its name; what they share (out, overwrite) is alike in all.
        tell: called with each experiment that has run.
    """
    shared = next(iter(composed.values()))
    folder = Path(shared["out"]) if shared["out"] is not None else new_folder("all")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give out= a folder.")
    if (folder / SHEET).exists() and not shared["overwrite"]:
        raise UsageError(f"{folder} holds a contact sheet already: give another out=, or overwrite=true to replace it.")
    placed = {name: {**values, "out": str(folder / name)} for name, values in composed.items()}
    for values in placed.values():
        checked(values)
    entries = []
    for name, values in placed.items():
        started = time.perf_counter()
        done = run(values)
        tell(done)
        light, dark = ((folder / name / f"figure{kind}.png").read_bytes() for kind in ("", "-dark"))
        entries.append((name, done.claim, f"{name}/{done.files[0].name}", done.result, light, dark,
                        time.perf_counter() - started))
    page = make_sheet(entries)
    write_atomic(folder / SHEET, lambda file: file.write(page.encode()))
    return folder / SHEET
