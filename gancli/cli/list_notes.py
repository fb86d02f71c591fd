"""What stands below a list of runs: which of them are damaged, and what could not be read."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.monitor.terminal import printable
from gancli.runs.status import DAMAGED

if TYPE_CHECKING:
    from gancli.runs.find import RunInfo

SHOWN = 5


def print_notes(runs: Sequence["RunInfo"], passed: Sequence[Path]) -> None:
    """Say on stderr which records are damaged, and how many folders were passed over since they cannot be read."""
    damaged = [f"{run.id}: {run.why}" for run in runs if run.status == DAMAGED]
    for line in damaged[:SHOWN]:
        print(printable(line), file=sys.stderr)
    if len(damaged) > SHOWN:
        print(f"{len(damaged) - SHOWN} more records are damaged.", file=sys.stderr)
    if passed:
        count = f"{len(passed)} folder{'s' if len(passed) > 1 else ''}"
        print(printable(f"Passed over {count} that cannot be read: {', '.join(map(str, passed[:SHOWN]))}"
                        f"{' ...' if len(passed) > SHOWN else ''}"), file=sys.stderr)
