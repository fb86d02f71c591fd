"""The pages of experiments: one HTML file each that opens without a server or a network, and the contact sheet of all."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from gancli import __version__
from gancli.lab.frame.result import Result, Table
from gancli.monitor.offline import image
from gancli.monitor.page import Page, build
from gancli.runs.status import now


def make_page(name: str, claim: str, result: Result, light: bytes, dark: bytes) -> str:
    """Return an experiment's page.

    Args:
        light, dark: the figure as PNG.
    """
    scenes = [scene.as_json() for scene in result.scenes]
    parts = [("moving", "Replay")] * bool(scenes) + [("figure", "Figure"), ("tables", "Tables")]
    moving = "".join(f'<div class="scene"><h3>{escape(scene.title)}</h3></div>' for scene in result.scenes)
    body = (f'<section id="moving"><h2>Replay</h2>{moving}</section>' if scenes else "") + (
        f'<section id="figure"><h2>Figure</h2><figure>{_both(light, dark, result.told)}'
        f'<figcaption>{escape(result.told)}</figcaption></figure></section>'
        f'<section id="tables"><h2>Tables</h2><div class="tables">{_tables(result.tables)}</div></section>')
    return _page(name.replace("_", " ").capitalize(), claim, parts, body, scenes)


def make_sheet(entries: Sequence[tuple[str, str, str, Result, bytes, bytes, float]]) -> str:
    """Return the contact sheet.

    Args:
        entries: an experiment's name, claim, the link to its page, what it found, its figure on light and on dark, seconds.
    """
    body = []
    for name, claim, link, result, light, dark, seconds in entries:
        replay = "; its page replays what moves" if result.scenes else ""
        body.append(f'<section class="sheet" id="{escape(name)}"><h2><a href="{escape(link)}">{escape(name)}</a></h2>'
                    f"<p>{escape(claim)}</p><figure>{_both(light, dark, result.told)}"
                    f"<figcaption>{escape(result.told)}</figcaption></figure>"
                    f'<div class="tables">{_tables(result.tables)}</div>'
                    f'<p class="muted">{seconds:.1f} s{replay}</p></section>')
    whole = sum(entry[-1] for entry in entries)
    claim = f"{len(entries)} experiments in {whole:.0f} s; a heading leads to its page."
    return _page("Theory of GANs", claim, [(entry[0], entry[0]) for entry in entries], "\n".join(body), [])


def _page(title: str, claim: str, parts: Sequence[tuple[str, str]], body: str, scenes: list[Any]) -> str:
    return build(Page(title=title, lead=claim, note=f"Written {now()} by gan lab, gancli {__version__}.", parts=parts,
                      style=_file("page.css"), body=body, data=scenes, scripts=[_file("page.js")]))


def _file(name: str) -> str:
    return files("gancli.lab.frame").joinpath(name).read_text(encoding="utf-8")


def _both(light: bytes, dark: bytes, told: str) -> str:
    return image(light, told, ' class="light-only"') + image(dark, told, ' class="dark-only"')


def _tables(tables: Sequence[Table]) -> str:
    return "".join(f'<div><h3>{escape(table.title)}</h3><div class="scroll" tabindex="0" role="region" '
                   f'aria-label="{escape(table.title)}">{_table(table)}</div></div>' for table in tables)


def _table(table: Table) -> str:
    numeric = [all(row[i] is None or isinstance(row[i], (int, float)) and not isinstance(row[i], bool) for row in table.rows)
               for i in range(len(table.columns))]
    kinds = [' class="number"' if number else "" for number in numeric]
    head = "".join(f'<th scope="col"{kind}>{escape(column)}</th>' for column, kind in zip(table.columns, kinds, strict=True))
    rows = []
    for row in table.texts():
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row[1:], kinds[1:], strict=True))
        rows.append(f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
