"""The diagnosis of a run while it trains: it looks at samples at their tick and judges at every tick of figures."""

from pathlib import Path
from typing import Any

from torch import Tensor

from gancli.diagnosis.detectors import diagnose, not_finite
from gancli.diagnosis.finding import Finding
from gancli.diagnosis.history import History
from gancli.diagnosis.setting import Setting
from gancli.engine.averages import Average
from gancli.engine.players import NonFinite
from gancli.game.examination import Examination
from gancli.game.looking import evaluating
from gancli.game.model import Model, Progress
from gancli.runs.files import STATS
from gancli.runs.stats import read_history

PREFIX = "diagnosis/"
SEEN = "diagnosis/seen/"  # of a checkpoint's tensors: what the last look saw
JUDGE_EVERY = 5  # ticks of figures, and whenever samples were looked at: a tick may last milliseconds
UNSEEN = 3  # judgments in a row after which a failure is over: figures on a threshold would come and go


class Diagnosis:
    """Holds the history of the run's figures; a continued run reads what it had written."""

    def __init__(self, run_dir: Path, config: dict[str, Any], model: Model, average: Average | None, data: Any,
                 seed: int) -> None:
        self.setting = Setting.of(config, model.discriminators)
        self.history = History(read_history(run_dir / STATS))
        self.model, self.shown = model, average.model if average is not None else model
        self.examination = Examination(model, data, seed)
        self.signals: dict[str, float] = {}
        self.findings: list[Finding] = []  # failures that last
        self.unseen: dict[str, int] = {}  # judgments in a row that did not see them
        self.new: list[Finding] = []  # of these, what the last tick named first
        self.over: list[str] = []  # what it no longer saw

    def seen(self) -> dict[str, Tensor]:
        """Return what a continued run's first look is compared with, as tensors of a checkpoint."""
        return {SEEN + name: tensor for name, tensor in self.examination.before.items()}

    def remember(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `seen` returned; nothing from checkpoints of before there was that."""
        device = self.examination.device
        self.examination.before = {name.removeprefix(SEEN): tensor.to(device) for name, tensor in tensors.items()}

    def look(self, progress: Progress) -> None:
        """Examine samples; the next tick of figures records what is seen."""
        with evaluating(self.shown), evaluating(self.model):
            self.signals = self.examination.look(self.shown, self.model, progress)

    def judge(self, images: int, figures: dict[str, float]) -> dict[str, float]:
        """Run the detectors where they are due; return the figures with the signals of a look since the last tick."""
        figures = figures | {PREFIX + name: value for name, value in self.signals.items()}
        self.history.append(images, figures)
        self.new, self.over = [], []
        if self.signals or self.history.ticks % JUDGE_EVERY == 0:
            self._judge()
        self.signals = {}
        return figures

    def _judge(self) -> None:
        found = {finding.name: finding for finding in diagnose(self.history, self.setting)}
        known = {finding.name: finding for finding in self.findings}
        self.unseen = {name: 0 if name in found else self.unseen.get(name, 0) + 1 for name in known}
        self.over = [name for name, times in self.unseen.items() if times >= UNSEEN]
        lasting = {name: finding for name, finding in known.items() if name not in self.over}
        self.findings = list((found | lasting | found).values())
        self.new = [finding for finding in self.findings if finding.name not in known]

    def ended(self, error: BaseException) -> None:
        """Note that a number which was not finite ended the run."""
        if isinstance(error, NonFinite):
            others = [finding for finding in self.findings if finding.name != "divergence"]
            self.findings = [not_finite(self.history.images, str(error), self.setting), *others]

    @property
    def names(self) -> list[str]:
        """Names of the failures that last."""
        return [finding.name for finding in self.findings]

    @property
    def alarms(self) -> list[dict[str, Any]]:
        """What stands in status.json."""
        return [finding.as_dict() for finding in self.findings]
