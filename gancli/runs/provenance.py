"""provenance.json: where a run came from, sitting by sitting (torch-free)."""

from pathlib import Path
from typing import Any

from gancli.runs.atomic import write_json
from gancli.runs.files import PROVENANCE
from gancli.runs.records import Damaged, read_json

MOST_SITTINGS = 100  # each stands inside the one that continued it


def read_provenance(run_dir: Path) -> dict[str, Any]:
    """Return what provenance.json holds; {} where it is absent or damaged."""
    try:
        return read_json(run_dir / PROVENANCE)
    except (OSError, Damaged):
        return {}


def write_provenance(run_dir: Path, now: dict[str, Any]) -> None:
    """Write where this sitting comes from, with the earlier ones that are still known."""
    earlier = read_provenance(run_dir)
    sitting, depth = earlier, 1
    while isinstance(inner := sitting.get("continues"), dict) and depth < MOST_SITTINGS - 1:
        sitting, depth = inner, depth + 1
    sitting.pop("continues", None)
    write_json(run_dir / PROVENANCE, {**now, "continues": earlier} if earlier else now)
