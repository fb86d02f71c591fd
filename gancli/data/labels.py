"""From what a file of labels, a table or a name says of each image to numbers and names of classes.

Legend: N images.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gancli.data.listing import Listing, list_names
from gancli.errors import UserError, near

COLUMNS = ("label", "labels", "class", "class_name", "category", "target", "cls", "fine_label", "y")  # by what is most usual
KINDS = ("auto", "folders", "none")  # values of dataset.labels that are no name of a column
MOST_CLASSES = 10_000


def choose_column(columns: Sequence[str], wanted: str, where: str, listing: Listing) -> str | None:
    """Return the column of labels among those of a table or of a file of labels, and note in `listing` what was found.

    Args:
        wanted: a column's name; auto: the first of COLUMNS that there is; folders or none: none.
        where: what the table is called in messages.

    Raises:
        UserError: there is no column of the name that is wanted.
    """
    if wanted in ("folders", "none"):
        return None
    if wanted != "auto" and wanted not in columns:
        raise UserError(f"dataset.labels={wanted} is no column of {where}; {near(wanted, columns)}")
    lower = {column.lower(): column for column in reversed(columns)}
    found = wanted if wanted != "auto" else next((lower[name] for name in COLUMNS if name in lower), None)
    listing.columns = [column for column in columns if column != found]
    if found is not None:
        listing.label_source = f"the column {found}"
    return found


def numbered(values: Sequence[Any], names: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels [N] int64 and the classes' names; numbers that begin at 0 are kept, others are sorted.

    Args:
        values: numbers, text, or vectors of zeros with one 1.
        names: of the classes by number, where they are known.

    Raises:
        ValueError: they are no classes; the message says why.
    """
    values = [_plain(value) for value in values]
    missing = sum(value is None or names is not None and value == -1 for value in values)
    if missing:
        raise ValueError(f"{missing:,} of {len(values):,} images have none")
    if all(isinstance(value, int) for value in values) and values and (
            min(values) == 0 or names is not None and min(values) > 0) and max(values) < MOST_CLASSES:
        count = max(values) + 1
        if names is not None and len(names) < count:
            raise ValueError(f"there is the label {count - 1} and there are {len(names)} names")
        return np.array(values, dtype=np.int64), tuple(names or map(str, range(count)))
    texts = [str(value) for value in values]
    found = [str(value) for value in sorted(set(values), key=lambda value: (isinstance(value, str), value))]
    if len(found) > MOST_CLASSES or len(found) > 20 and len(found) > len(texts) / 2:
        raise ValueError(f"{len(found):,} different values for {len(texts):,} images are no classes")
    index = {name: number for number, name in enumerate(found)}
    return np.array([index[text] for text in texts], dtype=np.int64), tuple(found)


def _plain(value: Any) -> int | str | None:
    """Return a label as a number or text; a ValueError for one that is neither."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else text or None
    if isinstance(value, bytes):
        return _plain(value.decode("utf-8", "replace"))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, list) and value.count(1) == 1 and value.count(0) == len(value) - 1:
        return value.index(1)
    raise ValueError(f"{str(value)[:40]} is no class")


def told_columns(listing: Listing) -> str | None:
    """Return a sentence on columns that are no labels, or None where there are none."""
    if not listing.columns or listing.label_source:
        return None
    return (f"No labels: of the columns {list_names(listing.columns)} none is taken for classes "
            f"(dataset.labels={listing.columns[0]} would).")
