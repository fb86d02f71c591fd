"""What the documents name exists: files, folders and pages."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
ANYTHING = re.compile(r"NAME|FOLDER")


def missing(page: Path) -> list[str]:
    """Return the files and links of a page that are not there; a path may leave gancli/ out."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    named = {word for word in re.findall(r"`([\w./-]+)`", text)
             if re.search(r"\.(py|yaml|toml)$|/$", word) and "/" in word and not word.startswith("outputs/")}
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    gone = [word for word in named if not ANYTHING.search(word)
            and not any((top / word).exists() for top in (ROOT, ROOT / "gancli"))]
    return sorted(gone) + sorted(link for link in links if not (page.parent / link).exists())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page):
    assert not missing(page)


def test_every_page_is_linked():
    linked = [(ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")]
    pages = [page.name for page in (ROOT / "docs").glob("*.md")]
    assert len(pages) >= 3
    assert not [name for name in pages if not any(f"(docs/{name}" in text for text in linked)]


def test_what_is_missing_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("See `engine/training.py`, `engine/gone.py` and [this](gone.md); `gancli/models/NAME.py` is anybody's.\n")
    assert missing(page) == ["engine/gone.py", "gone.md"]


@pytest.mark.recipe
def test_pictures_of_models_are_there_and_their_commands_compose():
    """docs/gallery.md: the trainings take minutes and are not repeated here."""
    from gancli.config.compose import compose

    text = (ROOT / "docs/gallery.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| !\[[^]]+\]\((pictures/\w+\.png)\) \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == 30 == len(list((ROOT / "docs/pictures").glob("*.png")))
    for name, picture, made in rows:
        assert (ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG")
        trained, *then = (shlex.split(line)[1:] for line in re.findall(r"`(gan [^`]+)`", made))
        assert compose(trained[0], trained[1:]).model.name == name
        for command, *words in then:
            if command != "show":
                assert compose(command, words).ckpt == "RUN"
