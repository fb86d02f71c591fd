"""What several processes need and one makes: the decoded data of a shared folder, or a download.

The first claims it as a run claims its folder (gancli.runs.owner), on file systems of several machines, too; the others
wait, and one of them takes over where the first has died.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gancli.monitor.terminal import tell
from gancli.runs.owner import LOCK, Taken, claim, owner_of

FOLDER = ".gancli-store"
WAIT_S = 0.5
T = TypeVar("T")


def made_once(claims: Path, look: Callable[[], T | None], make: Callable[[], T], doing: str) -> T:
    """Return what `look` finds, else what `make` makes while no other process does.

    Args:
        claims: a folder for the claim.
        doing: what another process does meanwhile, for the sentence: "decodes these data".

    Raises:
        OSError: the claim cannot be written; nothing was made.
    """
    told = False
    while True:
        found = look()
        if found is not None:
            return found
        try:
            held = claim(claims)
        except FileNotFoundError:  # another process has tidied up meanwhile
            continue
        except Taken as other:
            told = told or _tell(str(other), doing)
            time.sleep(WAIT_S)
            continue
        except OSError:
            _tidy(claims)
            raise
        try:
            with held:
                found = look()  # it may have come meanwhile
                return make() if found is None else found
        finally:
            _tidy(claims)


def wait_for(claims: Path, doing: str) -> None:
    """Wait while another process makes something whose files are seen before they are whole."""
    told = False
    while (owner := owner_of(claims)) is not None:
        told = told or _tell(str(Taken(owner)), doing)
        time.sleep(WAIT_S)


def _tidy(claims: Path) -> None:
    """Remove the folder of a claim unless another process has claimed it; the record, not the lock, decides who has."""
    with contextlib.suppress(OSError):
        if owner_of(claims) is None:
            (claims / LOCK).unlink(missing_ok=True)
            claims.rmdir()


def _tell(who: str, doing: str) -> bool:
    tell(f"Waiting for {who}, which {doing}.")
    return True
