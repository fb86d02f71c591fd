"""The files that `gan show` writes, after what is there already has been looked at."""

from pathlib import Path

from gancli.compare.report import check_free, put
from gancli.errors import UsageError
from gancli.runs.card import as_text
from gancli.show.card import make_card
from gancli.show.facts import Facts
from gancli.show.page import make_page


def write(facts: Facts, html: Path | None, card: Path | None, license_name: str | None, overwrite: bool) -> list[Path]:
    """Write the page and the card where they are asked for, and return them.

    Raises:
        UsageError: a file is there and may not be replaced, or there is a license without a card; nothing was written.
    """
    if license_name is not None and card is None:
        raise UsageError("--license stands on a card: add --card README.md.")
    wanted = [path for path in (html, card) if path is not None]
    check_free(wanted, overwrite)
    made = {html: lambda: make_page(facts), card: lambda: as_text(make_card(facts, license_name))}
    contents = {path: made[path]() for path in wanted}
    for path, content in contents.items():
        put(path, content)
    return wanted
