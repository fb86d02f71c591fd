"""A model's card as Markdown with front matter in the form of the Hugging Face hub: of an exported model, and of a run.

The card itself is a mapping of JSON types.  Every one has `model`, `kind` (images, points or tokens), `next` (the command that
shows more of it), `data`, `license`, `run`, `kimg`, `figures` (name -> value, protocol) and `made_by`; that of an exported
model has `spec`, `file` and what belongs to it, that of a run `loss`, `settings`, `alarms` and `command`.

The form of front matter: https://huggingface.co/docs/hub/model-cards, of model-index: github.com/huggingface/hub-docs
(modelcard.md).
"""

import math
from collections.abc import Mapping
from typing import Any

import yaml

from gancli.runs.protocols import protocol_words

HUB_DATASETS = {  # ids on the hub of the data sets that have one
    "mnist": "ylecun/mnist", "fashion_mnist": "zalando-datasets/fashion_mnist", "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100", "svhn": "ufldl-stanford/svhn",
}
LONGEST = 200  # characters of a name from a run's folder


def front_matter(card: Mapping[str, Any]) -> str:
    """Return the card's YAML between lines of `---`; what the hub does not know is left out, never guessed."""
    task = _task(card)
    name = card.get("data")
    found: dict[str, Any] = {"license": str(card["license"]).lower()} if card.get("license") else {}
    found |= {"library_name": "gancli", "tags": _tags(card)}
    if task is not None:
        found["pipeline_tag"] = task
    if name in HUB_DATASETS:
        found["datasets"] = [HUB_DATASETS[name]]
    results = _results(card, task)
    if results:
        found["metrics"] = sorted({metric["type"] for metric in results[0]["metrics"]})
        found["model-index"] = [{"name": _short(card.get("run") or card["model"]), "results": results}]
    return f"---\n{yaml.safe_dump(found, sort_keys=False, allow_unicode=True)}---\n"


def _task(card: Mapping[str, Any]) -> str | None:
    """Return the hub's name for what the model does; None where it has none (points)."""
    if card.get("kind") == "points":
        return None
    if card.get("next") == "sample":
        return "text-generation" if card.get("kind") == "tokens" else "unconditional-image-generation"
    return "image-to-image" if card.get("next") else None


def _tags(card: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(["gan", "generative-adversarial-network", _short(card["model"])]))


def _results(card: Mapping[str, Any], task: str | None) -> list[dict[str, Any]]:
    """Return the figures as the hub's model-index has them: one result, of one task on one data set."""
    figures = [{"type": name.partition("(")[0], "value": one["value"], "name": _short(name)}
               for name, one in card["figures"].items()
               if isinstance(one.get("value"), (int, float)) and math.isfinite(one["value"])]
    if not figures or not card.get("data"):
        return []
    data = _short(card["data"])
    return [{"task": {"type": task or "other"}, "dataset": {"name": data, "type": HUB_DATASETS.get(data, data)},
             "metrics": figures}]


def as_text(card: Mapping[str, Any]) -> str:
    """Return a card as Markdown with its front matter."""
    exported = "file" in card
    body = _of_file(card) if exported else _of_run(card)
    figures = [f"| {_cell(name)} | {'not finite' if one['value'] is None else format(one['value'], '.5g')} | "
               f"{_cell(protocol_words(one['protocol']))} |" for name, one in card["figures"].items()]
    if figures:
        body += ["## Figures of the run", "", "| figure | value | measured |", "|---|---|---|", *figures, ""]
    title = f"# {_line(card['model'])} on {_line(card['data'] or 'data of its own')}"
    return front_matter(card) + "\n".join(["", title, "", *body])


def _of_file(card: Mapping[str, Any]) -> list[str]:
    """Return what is said of an exported model."""
    check = card["check"]
    lines = [
        f"`{card['file']}` ({card['format']}, {card['bytes']:,} bytes) makes images from latents. It was written by gancli "
        f"{card['made_by']['gancli']}{' from run ' + card['run'] if card['run'] else ''} after {card['kimg']:g} kimg, weights "
        f"{card['weights']}.",
        "", f"- License: {card['license'] or 'not stated'}",
        f"- Trained on: {card['data'] or 'not stated'} ({spec_words(card)})",
        f"- SHA-256: `{card['sha256']}`",
        f"- Checked: at most {check['largest_difference']:.2g} away from the model on values from -1 to 1 ({check['by']}; "
        f"seeds {', '.join(map(str, check['seeds']))}; {' and '.join(map(str, check['images']))} images)", "",
        "## Inputs and outputs", "", *(f"- `{name}`: {_kind(kind)}" for name, kind in card["inputs"].items()),
        *(f"- returns `{name}`: {_kind(kind)}" for name, kind in card["outputs"].items()),
        f"- latents are {', '.join(_words(key, value) for key, value in card['latents'].items())}", "",
    ]
    return lines + (["## Sampling", "", "```python", *card["sampling"], "```", ""] if card["sampling"] else [])


def _of_run(card: Mapping[str, Any]) -> list[str]:
    """Return what is said of a run."""
    spec = f" ({spec_words(card)})" if card.get("spec") else ""
    lines = [f"Trained with gancli {_line(card['made_by'].get('gancli', ''))} for {card['kimg']:g} thousand real images; run "
             f"`{_line(card['run'])}`.", "", f"- License: {_line(card['license'] or 'not stated')}",
             f"- Loss: {_line(card['loss'] or 'the model’s own')}",
             f"- Trained on: {_line(card['data'] or 'not stated')}{spec}"]
    lines += [f"- {_line(key)}: {_line(value)}" for key, value in card["settings"].items()]
    used = ["```python", "import gancli", "", 'generator = gancli.load("PATH OF THE RUN")', *card["use"], "```"]
    lines += ["", "## Use", "", *used, "", "## Training it again", "", "```", _line(card["command"]), "```", ""]
    if card["alarms"]:
        lines += ["## Known failures", "", *(f"- {_line(alarm)}" for alarm in card["alarms"]), ""]
    return lines


def spec_words(card: Mapping[str, Any]) -> str:
    """Return the data's shape and classes in words."""
    spec = card["spec"]
    classes = f", classes {', '.join(spec['classes'])}" if spec["classes"] else ""
    return f"{spec['count']:,} examples of {' x '.join(map(str, spec['shape']))}{classes}"


def _kind(kind: Mapping[str, Any]) -> str:
    shape = f"[{', '.join(map(str, kind['shape']))}]"
    more = [_words(key, value) for key, value in kind.items() if key not in ("shape", "type")]
    return ", ".join([f"{shape} {kind['type']}", *more])


def _words(key: str, value: Any) -> str:
    """Return an entry of the card as a part of a sentence; what says itself what it is goes without its key."""
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if key == "range":
        return f"from {value[0]} to {value[1]}"
    return shown if key in ("law", "meaning", "seeds") else f"{key} {shown}"


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: Any) -> str:
    """Return text that stays in its line and begins no markup: it may be a stranger's."""
    return " ".join(str(text).split()).replace("`", "'").replace("<", "&lt;")[:2000]


def _short(text: Any) -> str:
    return " ".join(str(text).split())[:LONGEST]
