"""The card of a run, from its records: what gancli.runs.card writes down."""

from typing import Any

from gancli import __version__
from gancli.compare.reading import Figure
from gancli.runs.next_steps import words_of
from gancli.show.facts import Facts

USES = {"sample": ["images = generator.sample(16, seed=0)  # [16, C, H, W] in [-1, 1]"]}
SETTINGS = {"Optimizer": "optimizer.name", "Learning rate": "optimizer.lr", "Batch": "trainer.batch_size", "Seed": "seed",
            "Size": "dataset.size"}


def make_card(facts: Facts, license_name: str | None) -> dict[str, Any]:
    """Return the card in JSON types.

    Args:
        license_name: of the weights, as the user gave it; nothing is assumed.
    """
    run, status = facts.run, facts.run.status
    next_command = status.next.partition(" ")[0] if words_of(status.next, "RUN") else ""
    versions = run.provenance.get("versions")
    made = versions if isinstance(versions, dict) else {}
    return {
        "model": str(run.config.get("model.name", "?")), "loss": run.config.get("loss.name"), "license": license_name,
        "data": run.config.get("dataset.name"), "run": run.id, "kimg": facts.kimg, "next": next_command,
        "kind": "tokens" if next_command == "sample" and not run.grids and facts.last_picture() is not None else "images",
        "settings": {name: run.config[key] for name, key in SETTINGS.items() if run.config.get(key) is not None},
        "figures": {figure.name: {"value": _told(figure), "protocol": facts.protocols.get(figure.name)}
                    for figure in run.figures.values()},
        "use": USES.get(next_command, [f"# gan {next_command} ckpt=PATH shows what it makes"] if next_command else []),
        "command": facts.repeated(elsewhere=True),
        "alarms": [" ".join(str(alarm[key]) for key in ("name", "evidence") if alarm.get(key)) for alarm in status.alarms],
        "made_by": {"gancli": made.get("gancli", __version__)},
    }


def _told(figure: Figure) -> float | None:
    """Return the best value, which the best checkpoint has, else the last."""
    return figure.last if figure.best is None else figure.best
