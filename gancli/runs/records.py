"""A run's records read without trust: text of bounded length, JSON of bounded numbers and depth, fields of known kinds.

Any of them may be cut, edited or a stranger's; what does not hold is `Damaged`, whose text says what is wrong (torch-free).
"""

import json
import math
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST_BYTES = 8 << 20  # of a record that is read whole
LARGEST_NUMBER = 2**63 - 1
LONGEST_TEXT = 100_000  # characters
MOST_ITEMS = 100_000
LONGEST_NAME = 255  # bytes of a file's name


class Damaged(ValueError):
    """A record that is no such record; the message is a clause without its file's name."""


@dataclass(frozen=True)
class Kind:
    """What a field may hold, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def read_text(path: Path, largest: int = LARGEST_BYTES, errors: str = "strict") -> str:
    """Return a plain file's text; OSError where it cannot be opened, Damaged where it is none or too long."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe of that name would wait for a writer
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Damaged("it is no plain file")
        if status.st_size > largest:
            raise Damaged(f"it has {status.st_size:,} bytes, and no such record has more than {largest:,}")
        content = file.read(largest + 1)
    try:
        return content[:largest].decode(errors=errors)
    except UnicodeDecodeError:
        raise Damaged("it is no text in UTF-8") from None


def parse_json(text: str | bytes, odd_numbers: bool = False) -> Any:
    """Return what a text of JSON says; Damaged where it is none, too deep, or holds numbers that nothing here counts to.

    Args:
        odd_numbers: such numbers are NaN instead.
    """
    try:
        if odd_numbers:
            return json.loads(text, parse_int=_whole_or_nan)
        return json.loads(text, parse_int=_whole, parse_constant=_no_number)
    except Damaged:
        raise
    except (ValueError, RecursionError):
        raise Damaged("it is no JSON, or cut short") from None


def read_json(path: Path, largest: int = LARGEST_BYTES) -> dict[str, Any]:
    """Return the JSON object in a file; OSError where it cannot be opened, Damaged where it holds none."""
    value = parse_json(read_text(path, largest))
    if not isinstance(value, dict):
        raise Damaged("it is no JSON object")
    return value


def checked(values: Mapping[str, Any], kinds: Mapping[str, Kind], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of `kinds` that `values` has, others left out; Damaged where one is of another kind or missing."""
    for name in required:
        if name not in values:
            raise Damaged(f"{name} is missing")
    found = {name: values[name] for name in kinds if name in values}
    for name, value in found.items():
        if not kinds[name].holds(value):
            raise Damaged(f"{name} is not {kinds[name].words}")
    return found


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number that a count may have (true and false are none)."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_NUMBER


def is_number(value: Any) -> bool:
    """Whether a value is a finite number (true and false are none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_text(value: Any) -> bool:
    """Whether a value is a text of bounded length that can be written again."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)  # halves of characters


def is_name(value: Any) -> bool:
    """Whether a value is the name of something in a folder, and leads nowhere else."""
    return (is_text(value) and value not in ("", ".", "..") and value.isprintable() and not {"/", "\\"} & set(value)
            and len(value.encode()) <= LONGEST_NAME)


def is_place(value: Any) -> bool:
    """Whether a value is a path of names below a folder: relative, without `..`."""
    return is_text(value) and all(is_name(part) for part in value.split("/"))


def list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return the test for a list of what `holds` holds."""
    return lambda value: isinstance(value, list) and len(value) <= MOST_ITEMS and all(map(holds, value))


def mapping_of(holds: Callable[[Any], bool], key: Callable[[Any], bool] = is_text) -> Callable[[Any], bool]:
    """Return the test for a mapping of texts to what `holds` holds."""
    return lambda value: (isinstance(value, dict) and len(value) <= MOST_ITEMS
                          and all(key(name) and holds(each) for name, each in value.items()))


def or_null(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return the test for what `holds` holds, or null."""
    return lambda value: value is None or holds(value)


WHOLE = Kind("a whole number from 0", is_whole)
NUMBER = Kind("a finite number or null", or_null(is_number))
TEXT = Kind("a text", is_text)
TEXTS = Kind("a list of texts", list_of(is_text))
NUMBERS = Kind("a mapping of names to numbers", mapping_of(or_null(is_number)))


def _whole(digits: str) -> int:
    if len(digits) > 20 or abs(value := int(digits)) > LARGEST_NUMBER:
        raise Damaged(f"the number {digits[:20]}... is too large")
    return value


def _whole_or_nan(digits: str) -> float:
    return int(digits) if len(digits) < 19 else math.nan


def _no_number(word: str) -> float:
    raise Damaged(f"{word} is no number of JSON")
