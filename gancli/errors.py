"""Errors that end a command with one or two sentences and an exit code, never with a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can mend; the message says what is wrong, what exists, what to type next (exit code 1)."""

    exit_code = 1
    silent = False  # whether the user has been told already


class UsageError(UserError):
    """The command line or the configuration is wrong (exit code 2)."""

    exit_code = 2


def near(word: str, known: Iterable[str]) -> str:
    """Return a clause with the near matches of `word`, or with everything known when nothing is near."""
    known = sorted(known)
    matches = get_close_matches(word, known, n=3, cutoff=0.5)
    if matches:
        return f"did you mean {' or '.join(matches)}?"
    return f"there is {', '.join(known)}." if known else "there is none."


def check_choice(key: str, value: str, known: Iterable[str]) -> None:
    """Raise a ValueError naming `key` unless `value` is one of `known`."""
    known = list(known)
    if value not in known:
        raise ValueError(f"{key}={value} does not exist; {near(str(value), known)}")


def check_range(key: str, value: float | None, low: float, high: float = float("inf"), open_low: bool = False) -> None:
    """Raise a ValueError naming `key` unless low <= value <= high (low < value where `open_low`); None passes."""
    if value is None:
        return
    if not (low <= value <= high) or (open_low and value == low):
        bounds = f"greater than {low:g}" if open_low else f"at least {low:g}"
        if high != float("inf"):
            bounds += f" and at most {high:g}"
        raise ValueError(f"{key} must be {bounds}, not {value}")
