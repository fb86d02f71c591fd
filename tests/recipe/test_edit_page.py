"""The page that strokes are painted on, in a real browser: it draws strokes, and what it is told stays text."""

import json
import re
from html import unescape
from urllib.parse import quote

import numpy as np
import pytest
import torch
from test_page import ATTACK, BROWSER, Elements, dom

from gancli.explore.editor import make_editor
from gancli.explore.strokes import paint, parse_strokes

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
STROKES = [{"tool": "color", "points": [[2, 2], [9, 4.5]], "radius": 1.5, "color": "#ff0000"},
           {"tool": "sketch", "points": [[1, 9], [12, 9]], "radius": 0.5}, {"tool": "nonsense", "points": [[1, 1]]}]


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "edit.html"
    path.write_text(make_editor(np.full((16, 12, 3), 90, np.uint8), ATTACK, ["ckpt=RUN", f"input={ATTACK}"]))
    return path


def test_strokes_are_drawn_and_told(page, tmp_path):
    text = dom(page, tmp_path / "profile", f"theme=dark&strokes={quote(json.dumps(STROKES))}")
    told = json.loads(unescape(re.search(r'<code id="text">(.*?)</code>', text, re.DOTALL)[1]))
    assert told == {"width": 12, "height": 16, "strokes": STROKES[:2]}
    painted = paint(parse_strokes(told, 16, 12), torch.zeros(3, 16, 12))
    assert painted.color_mask.sum() > 10 and painted.sketch_mask.sum() > 10
    assert 'data-theme="dark"' in text and re.search(r'<button[^>]*data-tool="color"[^>]*aria-pressed="true"', text)
    assert "strokes=strokes.json" in text and 'width="768"' in text, "the canvas has 64 dots for each pixel"


def test_what_the_page_is_told_stays_text(page, tmp_path):
    text = dom(page, tmp_path / "profile", "strokes=%5B")
    seen = Elements()
    seen.feed(text)
    assert "taken" in text and seen.tags.count("script") == 2 and seen.tags.count("img") == 1
    assert "onerror" not in seen.attributes and "are no JSON" in text
