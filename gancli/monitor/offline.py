"""Parts of pages that open without a server or a network and let no script run but their own; free of torch."""

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from typing import Any


def policy(*scripts: str, more: str = "") -> str:
    """Return the content security policy of a page whose only scripts these are.

    Args:
        more: sources that scripts may come from besides, as such a policy names them.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join([*(f"'sha256-{digest}'" for digest in digests), *more.split()])
    return (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
            "base-uri 'none'; form-action 'none'")


def json_text(value: Any) -> str:
    """Return JSON that cannot end the script element that holds it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII only
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def image(picture: bytes, alt: str, more: str = "") -> str:
    """Return a PNG as an element that carries it."""
    return f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}" alt="{escape(alt)}"{more}>'


def style() -> str:
    """Return what all pages look like, as CSS."""
    return files("gancli.monitor").joinpath("page.css").read_text(encoding="utf-8")
