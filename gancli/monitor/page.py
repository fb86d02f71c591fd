"""The one builder of pages: HTML in one file that opens without a server or a network and lets no script run but its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from gancli.monitor.offline import json_text, policy, style


@dataclass(frozen=True, kw_only=True)
class Page:
    """What differs between pages.

    Everything but `body`, `blocks`, `style` and `scripts` is text, which the builder escapes: it may be a stranger's.  `body`
    is HTML, in which its maker has escaped every such text (`html.escape`).
    """

    title: str
    note: str  # under the heading, small: what the page is and what wrote it
    body: str
    heading: str = ""  # empty: the title
    lead: str = ""  # a sentence under the heading
    parts: Sequence[tuple[str, str]] = ()  # (anchor, text) of the links to the page's parts; none: no such links
    main: str = ""  # a class of the main element
    style: str = ""  # CSS beside what all pages share
    data: Any = None  # what the scripts read, as JSON types, in the element `data`
    blocks: Mapping[str, str] = field(default_factory=dict)  # more of it by element: base64, nothing else
    scripts: Sequence[str] = ()  # the page's own, each known by its hash
    sources: str = ""  # where scripts may come from besides, as a content-security policy names it


def build(page: Page) -> str:
    """Return the page.

    Raises:
        ValueError: a script could end its element, or a block is not base64.
    """
    if any("</script" in script.lower() for script in page.scripts):
        raise ValueError("a script of a page must not hold </script")
    if any(set("<>&") & set(block) for block in page.blocks.values()):
        raise ValueError("a block of a page must be base64")
    return Template(_file("page.html")).substitute(
        policy=policy(*page.scripts, more=page.sources), title=escape(page.title),
        heading=escape(page.heading or page.title), note=escape(page.note), style=style() + page.style,
        lead=f'<p class="claim">{escape(page.lead)}</p>\n' if page.lead else "", nav=_nav(page.parts),
        main=f' class="{escape(page.main)}"' if page.main else "", body=page.body, data=json_text(page.data),
        blocks="".join(f'<script type="text/plain" id="{escape(name)}">{text}</script>\n'
                       for name, text in page.blocks.items()),
        scripts="".join(f"<script>{script}</script>\n" for script in page.scripts))


def _nav(parts: Sequence[tuple[str, str]]) -> str:
    if not parts:
        return ""
    links = "".join(f'<a href="#{escape(anchor)}">{escape(text)}</a>' for anchor, text in parts)
    return f'<nav aria-label="Parts of this page">{links}</nav>\n'


def _file(name: str) -> str:
    return files("gancli.monitor").joinpath(name).read_text(encoding="utf-8")
