"""What is said to a person: a convenience, which may be closed, full or gone without ending what is being done."""

import os
import sys
from collections.abc import Callable
from typing import Any

GONE = (OSError, ValueError, SystemExit)  # a closed pipe or a full disk, a closed stream, and what rich makes of the first


def tell(text: str) -> None:
    """Print a line on stderr, as far as somebody listens."""
    attempt(lambda: print(printable(text), file=sys.stderr, flush=True))


def attempt(show: Callable[[], Any]) -> bool:
    """Call what writes to stderr; return whether it could, and be silent from then on where it could not."""
    try:
        show()
        return True
    except UnicodeError:  # this text does not go onto this terminal; another may
        return True
    except GONE:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
        return False


def printable(text: str) -> str:
    """Return text without the control characters by which what a file says could take over a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def open_streams() -> None:
    """Open what of stdin, stdout and stderr is closed on nothing: else the next file opened would be taken for it."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - lives as long as the process
