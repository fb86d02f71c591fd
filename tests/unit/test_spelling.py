"""One spelling, American, in names, messages, comments and documents."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = {".py", ".md", ".yaml", ".toml", ".txt", ".html", ".css", ".js", ""}
STEMS = """binar categor character critic custom discret emphas equal factor final general initial local material maxim memor
minim normal optim organ orthogonal parametr penal priorit quant random rational real recogn regular serial special stabil
standard summar symmetr synchron token util vector visual""".split()  # -ize, and not -ise
WORDS = {
    rf"({'|'.join(STEMS)})is(?=e|ing\b|ation|able)": r"\1iz", r"analys(?=e[drs]?\b|ing)": "analyz",
    "(behavi|col|fav|hon|neighb)our": r"\1or", "centred": "centered", "centring": "centering", "centre": "center",
    "(cancel|label|level|model|signal|travel)l(?=ed(?!by)|er|ing)": r"\1",  # ARIA's attribute is labelledby
    "artefact": "artifact", "catalogue": "catalog", "defence": "defense", "grey": "gray", "judgement": "judgment",
    "licence": "license", r"programme\b": "program", r"fulfil\b": "fulfill", "amongst": "among", "whilst": "while",
    "learnt": "learned", "spelt": "spelled",
}


def american(text: str) -> str:
    """Return a text in American spelling, with capitals where it had them."""
    for british, ours in WORDS.items():
        def replaced(match: re.Match[str], ours: str = ours) -> str:
            word, new = match[0], match.expand(ours)
            return new.upper() if word.isupper() else word[0] + new[1:]

        text = re.sub(british, replaced, text, flags=re.IGNORECASE)
    return text


def texts() -> Iterator[Path]:
    """Yield the files that people write."""
    folders = [ROOT / name for name in ("gancli", "conf", "docs", "scripts", "tests", ".ci")]
    for path in [*ROOT.glob("*.*"), *(path for folder in folders for path in folder.rglob("*"))]:
        if path.is_file() and path.suffix in TEXTS and "__pycache__" not in path.parts and path != Path(__file__):
            yield path


@pytest.mark.parametrize(("text", "expected"), [
    ("grey COLOURS, Neighbours", "gray COLORS, Neighbors"), ("zero_centred at the centre", "zero_centered at the center"),
    ("_LabelledDCGAN, unlabelled", "_LabeledDCGAN, unlabeled"), ("normalises, re-initialised", "normalizes, re-initialized"),
    ("Memorisation, minimisers", "Memorization, minimizers"),
    ("optimistic realists raise a precise analysis", "optimistic realists raise a precise analysis"),
    ('aria-labelledby="levels of noise"', 'aria-labelledby="levels of noise"')])
def test_british_forms_are_known(text, expected):
    assert american(text) == expected


@pytest.mark.recipe  # seconds
def test_one_spelling():
    seen, wrong = 0, []
    for path in texts():
        seen += 1
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if american(line) != line:
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert seen > 350 and not wrong, "\n".join(wrong)
