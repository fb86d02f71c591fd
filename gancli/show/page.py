"""The page of one run: settings, curves, grids over time, alarms with advice, figures with protocols, the command again."""

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from gancli import __version__
from gancli.compare.curves import choose_tags, draw
from gancli.compare.page import chart_data, curves_script, curves_section, section
from gancli.compare.samples import open_grid, png
from gancli.monitor.offline import image
from gancli.monitor.page import Page, build
from gancli.runs.protocols import protocol_words
from gancli.runs.status import now
from gancli.show.facts import Facts

FRAMES, SIDE = 24, 768  # grids of a kind, evenly spread over the run, and pixels of their longer side
FEW_FRAMES = 8  # of every kind but the first
MOST_KINDS = 6
LONG = 200  # characters of a setting that are shown


def make_page(facts: Facts) -> str:
    """Return the page; strangers' text is escaped, pictures are drawn anew, and no script runs but the page's own."""
    run = facts.run
    tags = choose_tags(None, [run])
    charts = {tag: draw(tag, [run], [run.id]) for tag in tags}
    films = _films(run.grids)
    sections = [("overview", "Overview", _overview(facts)), ("grids", "What it draws", films),
                ("alarms", "Alarms", _alarms(facts)), ("evaluation", "Figures", _figures(facts)),
                ("settings", "Settings", _settings(facts)), ("again", "Again", _again(facts))]
    there = [(anchor, title, body) for anchor, title, body in sections if body]
    bodies = [section(anchor, title, body) for anchor, title, body in there]
    place = next((number for number, (anchor, _, _) in enumerate(there) if anchor in ("evaluation", "settings")), len(there))
    curves = curves_section([run], [run.id], charts)
    parts = [(anchor, title) for anchor, title, _ in there]
    if curves:
        bodies.insert(place, curves)
        parts.insert(place, ("curves", "Curves"))
    return build(Page(
        title=f"{facts.title}: run {run.id}", heading=facts.title, lead=_standing(facts), parts=parts,
        note=f"Run {run.id}. Written {now()} by gan show, gancli {__version__}.", style=_file("page.css"),
        body="\n".join(bodies), scripts=[curves_script(), _file("page.js")],
        data={"runs": [run.id], "smoothing": 0.0, "charts": chart_data([run], tags)}))


def _standing(facts: Facts) -> str:
    status = facts.run.status
    why = f" ({status.why})" if status.why else ""
    alarms = f", {len(status.alarms)} alarm{'s' if len(status.alarms) > 1 else ''}" if status.alarms else ""
    return f"{status.status.capitalize()}{why} after {facts.kimg:g} thousand real images{alarms}."


def _overview(facts: Facts) -> str:
    run, status = facts.run, facts.run.status
    checkpoint = facts.checkpoint()
    best = status.best or {}
    known = {
        "Model": run.config.get("model.name"), "Loss": run.config.get("loss.name"), "Data": run.config.get("dataset.name"),
        "Seed": run.config.get("seed"), "Training time": None if run.seconds is None else f"{run.seconds:,.0f} s",
        "Speed": None if run.images_per_s is None else f"{run.images_per_s:,.0f} real images/s",
        "Best": best and f"{best.get('metric')} {_number(best.get('value'))} at {_kimg(best.get('images'))}",
        "Checkpoint": None if checkpoint is None else f"{checkpoint[1].name} ({checkpoint[0]})",
        "Started": status.started, "Ended": status.ended, "Folder": str(run.path)}
    traced = {key: value for key, value in run.provenance.items() if value is not None and key not in (
        "continues", "seed", "argv")}  # the last part of the page has the command whole
    return _listed({**known, **{key.replace("_", " ").capitalize(): _plain(value) for key, value in traced.items()}})


def _films(grids: Mapping[str, Mapping[int, Path]]) -> str:
    """Return a figure of each kind of grid, with all its frames; without scripts the last one is seen."""
    kinds = sorted(grids, key=lambda kind: (kind != "samples", kind))[:MOST_KINDS]
    figures = []
    for number, kind in enumerate(kinds):
        there = sorted(grids[kind])
        chosen = _evenly(there, FRAMES if number == 0 else FEW_FRAMES)
        frames = [(images, open_grid(grids[kind][images], SIDE)) for images in chosen]
        shown = "\n".join(image(png(picture), f"{kind} after {images / 1000:g} kimg", f' data-kimg="{images / 1000:g}"')
                          for images, picture in frames if picture is not None)
        if shown:
            figures.append(f'<figure class="film"><figcaption>{escape(kind)} <span class="when muted"></span></figcaption>'
                           f"{shown}</figure>")
    return f'<div class="films">{"".join(figures)}</div>' if figures else ""


def _evenly(items: list[int], most: int) -> list[int]:
    """Return at most so many of the items, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _alarms(facts: Facts) -> str:
    alarms = facts.run.status.alarms
    if not alarms:
        return "<p>The diagnosis has raised none that lasts.</p>"
    return "".join(
        f'<div class="told"><h3 class="alarm">⚠ {escape(str(alarm.get("name", "?")))}</h3><p>Since '
        f'{escape(_kimg(alarm.get("images")))}. {escape(str(alarm.get("evidence", "")))}</p>'
        f'<p><strong>{escape(str(alarm.get("advice", "")))}</strong></p></div>' for alarm in alarms)


def _kimg(images: Any) -> str:
    return f"{images / 1000:g} kimg" if isinstance(images, (int, float)) else "an unknown time"


def _figures(facts: Facts) -> str:
    """Return a table of every figure: the last and the best value, and how it was measured."""
    if not facts.run.figures:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(figure.name)}</th><td class="number">{_number(figure.last)}</td>'
        f'<td class="number">{"" if figure.best is None else _number(figure.best)}</td>'
        f'<td class="number">{"" if figure.best_kimg is None else f"{figure.best_kimg:g}"}</td>'
        f'<td class="long">{escape(protocol_words(facts.protocols.get(figure.name)))}</td></tr>'
        for figure in facts.run.figures.values())
    head = "".join(f'<th scope="col"{kind}>{text}</th>' for text, kind in (
        ("figure", ""), ("last", ' class="number"'), ("best", ' class="number"'), ("at kimg", ' class="number"'),
        ("how it was measured", "")))
    return (f'<div class="scroll" tabindex="0" role="region" aria-labelledby="evaluation-title"><table><thead><tr>{head}</tr>'
            f'</thead><tbody>{rows}</tbody></table></div><p class="muted">Only figures of one name, measured in one '
            "way, may be compared.</p>")


def _settings(facts: Facts) -> str:
    """Return what the command line said, and below it every setting."""
    given = [word for word in facts.run.status.overrides]
    said = "".join(f"<li><code>{escape(word)}</code></li>" for word in given) or "<li>nothing: all defaults</li>"
    every = _listed({key: json.dumps(value) if not isinstance(value, str) else value for key, value in
                     facts.run.config.items()}, least=0)
    return f"<p>The command line said:</p><ul>{said}</ul><details><summary>Every setting</summary>{every}</details>"


def _again(facts: Facts) -> str:
    listed = "".join(f'<h3>{escape(what.capitalize())}</h3><pre class="command" tabindex="0"><code>{escape(command)}</code>'
                     "</pre>" for what, command in facts.commands())
    return f"{listed}<p class=\"muted\">Paths are those of the machine that the run lies on.</p>"


def _listed(values: Mapping[str, Any], least: int = 1) -> str:
    entries = "".join(f"<dt>{escape(str(key))}</dt><dd><code>{escape(str(value)[:LONG])}</code></dd>"
                      for key, value in values.items() if value not in (None, {}) and len(str(value)) >= least)
    return f"<dl>{entries}</dl>"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, (int, float)) else "not finite"


def _file(name: str) -> str:
    return files("gancli.show").joinpath(name).read_text(encoding="utf-8")
