"""The page on which a person paints strokes for `gan edit`: one HTML file that opens without a server or a network."""

import shlex
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from gancli import __version__
from gancli.monitor.grids import Picture, quick_png
from gancli.monitor.offline import image
from gancli.monitor.page import Page, build
from gancli.runs.status import now


def make_editor(picture: Picture, title: str, words: Sequence[str]) -> str:
    """Return the page.

    Args:
        picture: [H, W, 1 or 3], at the model's own size: strokes are in its pixels.
        title: what made it.
        words: of the command line that edits it, but for the strokes.
    """
    height, width, channels = picture.shape
    told = f"The picture to be edited, {width} x {height} pixels"
    shown = image(quick_png(picture), told, ' id="picture" draggable="false"')
    return build(Page(
        title=f"Strokes: {title}", heading="Strokes for an edit", main="editor", style=_file("editor.css"),
        note=f"{title}. Written {now()} by gan edit, gancli {__version__}.", scripts=[_file("editor.js")],
        body=Template(_file("editor.html")).substitute(picture=shown),
        data={"width": width, "height": height, "gray": channels == 1, "command": shlex.join(["gan", "edit", *words])}))


def _file(name: str) -> str:
    return files("gancli.explore").joinpath(name).read_text(encoding="utf-8")
