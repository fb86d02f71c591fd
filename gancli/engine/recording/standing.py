"""status.json from the beginning of a run to its end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from gancli.engine.recording.diagnosis import Diagnosis
from gancli.ranks.shards import LostRank
from gancli.runs.status import Status, read_status, write_status


class Standing:
    """Where a run stands; a continued run keeps what its earlier sittings have reached."""

    def __init__(self, run_dir: Path, overrides: list[str]) -> None:
        self.dir = run_dir
        self.status = Status.begin(overrides)

    def open(self) -> None:
        """Take over what an earlier sitting has left, and write that the run runs."""
        earlier = read_status(self.dir)
        if earlier is not None:
            self.status = replace(self.status, started=earlier.started, images=earlier.images, figures=earlier.figures,
                                  best=earlier.best, alarms=earlier.alarms)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.write()

    def tick(self, images: int, figures: dict[str, float], alarms: list[dict[str, Any]]) -> None:
        """Note the latest figures."""
        self.status = replace(self.status, images=images, figures=figures, alarms=alarms)

    def able(self, next_command: str, measurable: bool) -> None:
        """Note what can be done with the model, for those who read the record without building it."""
        self.status = replace(self.status, next=next_command, measurable=measurable)

    def best(self, best: dict[str, Any]) -> None:
        """Note the best figure of the run."""
        self.status = replace(self.status, best=best)

    def end(self, status: str, why: str) -> None:
        """Note that the run ended as `finished` or `stopped`."""
        self.status = self.status.end(status, why)

    def break_off(self, error: BaseException, diagnosis: Diagnosis | None) -> bool:
        """Note which exception ended the run; returns whether it is this rank's own failure."""
        if isinstance(error, KeyboardInterrupt):
            self.end("stopped", "interrupted at once; what came after the last checkpoint is lost")
            return False
        if isinstance(error, LostRank) and (said := read_status(self.dir)) is not None and said.status == "failed":
            self.status = said  # the rank that failed has written why
            return False
        if diagnosis is not None:
            diagnosis.ended(error)
            self.status = replace(self.status, alarms=diagnosis.alarms)
        self.end("failed", str(error).splitlines()[0] if str(error) else type(error).__name__)
        return True

    def write(self) -> None:
        """Write status.json as things stand now."""
        write_status(self.dir, self.status)
