"""The one builder of pages: shared head and style, a policy of hashes, and strangers' text that stays text."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

import gancli
from gancli.monitor.page import Page, build

ATTACK = '</title></script><script>alert(1)</script><img src=x onerror=alert(2)>"\' onclick="alert(3)'
BUILDERS = ("compare/page.py", "lab/frame/page.py", "explore/editor.py", "explore/playground.py", "show/page.py")


def test_text_is_escaped_wherever_it_stands():
    page = build(Page(title=ATTACK, note=ATTACK, heading=ATTACK, lead=ATTACK, parts=[(ATTACK, ATTACK)], main=ATTACK,
                      body="<b>", data={ATTACK: ATTACK}, scripts=["let a = 1;"]))
    assert page.count("<script") == 2 and "<img" not in page and 'onclick="' not in page and page.count("<b>") == 1


def test_only_scripts_whose_hash_stands_in_the_policy_may_run():
    first, second = "let a = 1;", "let b = 2;"
    page = build(Page(title="t", note="n", body="", scripts=[first, second], sources="blob:"))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'") and policy.count("sha256-") == 2 and "blob:" in policy
    for script in (first, second):
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert "prefers-color-scheme: dark" in page and "width=device-width" in page and 'name="color-scheme"' in page


@pytest.mark.parametrize("wrong", [{"scripts": ["x('</SCRIPT>')"]}, {"blocks": {"model": "<b>"}}])
def test_what_could_break_out_of_its_element_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        build(Page(title="t", note="n", body="", **wrong))


def test_every_page_is_made_by_the_one_builder():
    package = Path(gancli.__file__).parent
    making = {str(path.relative_to(package)) for path in package.rglob("*.py") if "build(Page(" in path.read_text()}
    assert making == set(BUILDERS) and len(BUILDERS) == 5
    heads = [path for path in package.rglob("*.html") if "<!DOCTYPE" in path.read_text()]
    assert [str(path.relative_to(package)) for path in heads] == ["monitor/page.html"]
