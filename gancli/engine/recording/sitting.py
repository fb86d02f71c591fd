"""What is written while a run trains, from the beginning of training in this process to its end: ticks and phases."""

from dataclasses import dataclass

from gancli.engine.recording.checkpointing import Checkpointing
from gancli.engine.recording.cost import Cost
from gancli.engine.recording.diagnosis import Diagnosis
from gancli.engine.recording.gallery import Gallery
from gancli.engine.recording.neighbors import Neighbors
from gancli.engine.recording.phases import Phases
from gancli.engine.recording.pricing import Pricing
from gancli.engine.recording.standing import Standing
from gancli.engine.recording.telling import Telling
from gancli.game.model import Progress
from gancli.monitor.board import Board, tag_of
from gancli.monitor.screen import Screen, summary


@dataclass(frozen=True)
class Sitting:
    """The parts that need the model or the data, and what each is told at a tick."""

    board: Board
    gallery: Gallery
    diagnosis: Diagnosis
    checkpointing: Checkpointing
    cost: Cost
    neighbors: Neighbors
    phases: Phases
    telling: Telling
    standing: Standing
    screen: Screen
    discriminators: tuple[str, ...]  # of the players, those that discriminate
    pricing: Pricing
    last_phase: str  # the one that the run ends in

    def played(self, progress: Progress, shown: int) -> None:
        """Say so if the round just played is of another phase than the one before it; tell the price once it is known."""
        entered = self.phases.entered(progress, shown)
        if entered is not None:
            self.telling.say(f"Phase: {entered}")
            self.board.text("phase", progress.images, entered)
            self.screen.rename(self.phases.label)
        price = self.pricing.played(progress, shown, progress.phase != self.last_phase)
        if price is not None:
            self.telling.say(price)

    def pictures(self, progress: Progress) -> None:
        """Record what the model makes of the fixed latents and data, as pictures or as text."""
        for name, picture in self.gallery.hang(progress.images).items():
            self.board.picture(name, progress.images, picture)
        for name, lines in self.gallery.write(progress.images).items():
            self.board.lines(name, progress.images, lines)
        if progress.images:  # an untrained generator has no failure to show
            self.diagnosis.look(progress)

    def figures(self, figures: dict[str, float], progress: Progress) -> None:
        """Record the means since the last tick."""
        tags = {tag_of(name, self.discriminators): value for name, value in figures.items()}
        tags = self.diagnosis.judge(progress.images, tags | self.cost.figures(progress.images))
        self.board.figures(progress.images, tags)
        for finding in self.diagnosis.new:
            self.telling.say(finding.sentence)
            self.board.text(finding.tag, progress.images, f"{finding.evidence} {finding.advice}")
        for name in self.diagnosis.over:
            self.telling.say(f"Diagnosis: {name} is over.")
        if (notice := self.neighbors.notice()) is not None:
            self.telling.say(notice)
        self.screen.update(progress.images, summary(tags, self.diagnosis.names))
        self.standing.tick(progress.images, self.board.last, self.diagnosis.alarms)
