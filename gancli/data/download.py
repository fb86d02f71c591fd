"""Downloads through torchvision, with one sentence for whatever goes wrong."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from gancli.errors import UserError


def download(name: str, fetch: Callable[[], object], folder: Path, layout: str, page: str) -> None:
    """Call `fetch`, which downloads into `folder`; a failure leaves no empty folders behind.

    Args:
        layout: the files that were looked for under `folder`.
        page: where a person finds them.

    Raises:
        UserError: no network, a server's refusal, a wrong checksum, or a folder that cannot be written.
    """
    made = [path for path in (folder / layout).parents if not path.exists()]  # deepest first
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fetch()
    except Exception as error:  # torchvision and its downloaders raise OSError, RuntimeError, their own kinds
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip("<>. ")
        raise UserError(f"dataset={name} is not in {folder} (looked for {layout}) and cannot be downloaded ({reason}). "
                        f"Fetch it by hand from {page}, or say where it lies with data_dir=FOLDER or "
                        "GAN_DATA.") from None


def download_note(name: str, folder: Path) -> str:
    """Return the sentence of a check that finds nothing; a UserError if the folder could not be written either."""
    parent = folder
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK):
        raise UserError(f"dataset={name} is not in {folder}, and {parent} cannot be written to download it: "
                        "give data_dir=FOLDER or set GAN_DATA.")
    return f"dataset={name} is not in {folder} and will be downloaded there at the start of training."
