"""`gan diagnose`: what went wrong in a run, from the figures it recorded and, where these lack samples, its checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli.data.dataset import data_folder, load_data
from gancli.diagnosis.detectors import LATE_LOOKS, SIGNAL, diagnose, looked_for, not_finite, too_short
from gancli.diagnosis.finding import Finding
from gancli.diagnosis.history import Figures, History
from gancli.diagnosis.setting import Setting
from gancli.errors import UserError
from gancli.explore.loaded import load
from gancli.game.abilities import measurable
from gancli.game.examination import Examination
from gancli.game.model import Model, Progress
from gancli.registry import load_plugins, models
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.config import load_config
from gancli.runs.files import CONFIG, STATS
from gancli.runs.find import OUTPUTS, find_run
from gancli.runs.stats import read_history
from gancli.runs.status import read_status


@dataclass
class Report:
    """What `gan diagnose` prints."""

    run: Path
    findings: list[Finding]
    looked_for: list[str]  # failures by name
    seen: list[str]  # what was looked at, and what could not be
    too_short: str  # what the run has of what a verdict takes, where that is too little, in words; else ""


def diagnose_run(text: str, data_dir: str | Path | None = None, device: str = "auto", root: Path | str = OUTPUTS) -> Report:
    """Diagnose the run that `text` names (see `find_run`).

    Args:
        data_dir: where the data sets lie; null: where the run had them.  Data are read only for a run whose figures hold
            no signals of samples.

    Raises:
        UserError: no such run, or one without a readable configuration.
    """
    load_plugins()
    run = find_run(text, root)
    config = load_config(run)
    try:
        ticks = read_history(run / STATS)
        setting = Setting.of(config, _discriminators(config, ticks))
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{run / CONFIG} is not that of a training run: give a run of gan train.") from None
    seen = [f"{len(ticks)} ticks of figures" if ticks else "no figures: the run recorded none"]
    looks = sum(SIGNAL + "diversity" in figures for _, figures in ticks)
    if looks:
        seen.append(f"samples at {looks} of them")
    elif not measurable(_system(config)):
        seen.append(f"no samples: model={config['model']['name']} makes none")
    else:
        more, text = _examined(run, config, data_dir, device)
        ticks = sorted([*ticks, *more], key=lambda tick: tick[0])
        seen.append(text)
    if setting.discriminators and setting.reading is None:
        seen.append(f"not how strong the discriminator is: the outputs of loss={setting.rule} are on no known scale")
    history = History(ticks)
    looks = sum(SIGNAL + "diversity" in figures for _, figures in ticks)
    return Report(run, _with_the_end(diagnose(history, setting), run, history, setting), looked_for(history, setting), seen,
                  too_short(len(ticks), looks, setting))


def _system(config: dict[str, Any]) -> type[Model]:
    """Return the class of the run's model; what all models share where it is not known here."""
    name = config["model"]["name"]
    return models.get(name).build if name in models.names() else Model


def _discriminators(config: dict[str, Any], ticks: Sequence[tuple[int, Figures]]) -> tuple[str, ...]:
    """Return the players that discriminate: those with figures of their own, or as the run's model names them."""
    several = {tag.removeprefix("D(x)/") for _, figures in ticks for tag in figures if tag.startswith("D(x)/")}
    return tuple(sorted(several)) or _system(config).discriminators


def _examined(run: Path, config: dict[str, Any], data_dir: str | Path | None,
              device: str) -> tuple[list[tuple[int, Figures]], str]:
    """Return one look at the latest checkpoint, counted as if it had lasted, and what to say of it."""
    path = CheckpointFolder(run).latest()
    if path is None:
        return [], "no samples: there is no checkpoint"
    try:
        shown, trained = (load(path, device, weights) for weights in ("ema", "raw"))
        folder = data_folder(data_dir if data_dir is not None else config["data_dir"])
        data = load_data(config["dataset"], folder, shown.device, config["seed"])
    except (UserError, KeyError) as error:
        return [], f"no samples: {error}"
    examination = Examination(shown.model, data, config["seed"])
    signals = examination.look(shown.model, trained.model, Progress(total=max(shown.images, 1), images=shown.images))
    look = {SIGNAL + name: value for name, value in signals.items()}
    return [(shown.images, look)] * LATE_LOOKS, f"samples of the checkpoint at {shown.kimg:g} kimg"


def _with_the_end(findings: list[Finding], run: Path, history: History, setting: Setting) -> list[Finding]:
    """Return the findings with the alarm of a run that a number ended: such a number reaches no figure."""
    status = read_status(run)
    if status is None or status.status != "failed" or any(finding.name == "divergence" for finding in findings):
        return findings
    noted = [Finding.from_dict(alarm) for alarm in status.alarms if alarm.get("name") == "divergence"]
    if not noted and "not finite" in status.why:
        noted = [not_finite(status.images or history.images, status.why, setting)]
    return [*noted, *findings]
