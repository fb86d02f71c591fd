"""Downloads through torchvision: told with their size before they begin, and one sentence for whatever goes wrong."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from gancli.errors import UserError
from gancli.monitor.terminal import tell


def download(name: str, fetch: Callable[[], object], folder: Path, layout: str, page: str, size: int) -> None:
    """Tell what comes, then call `fetch`, which downloads into `folder`; a failure leaves no empty folders behind.

    Args:
        layout: the files that were looked for under `folder`.
        page: where a person finds them.
        size: bytes that are published there, about.

    Raises:
        UserError: no room, no network, a server's refusal, a wrong checksum, or a folder that cannot be written.
    """
    free = shutil.disk_usage(_existing(folder)).free
    if free < size:
        raise UserError(f"dataset={name} is not in {folder} and is a download of about {megabytes(size)}, and "
                        f"{megabytes(free)} are free there: give data_dir=FOLDER on another disk.")
    tell(f"Downloading dataset={name}, about {megabytes(size)}, to {folder}")
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


def download_note(name: str, folder: Path, size: int) -> str:
    """Return the sentence of a check that finds nothing; a UserError if the folder could not be written either."""
    parent = _existing(folder)
    if not os.access(parent, os.W_OK):
        raise UserError(f"dataset={name} is not in {folder}, and {parent} cannot be written to download it: "
                        "give data_dir=FOLDER or set GAN_DATA.")
    return (f"dataset={name} is not in {folder}: training first downloads about {megabytes(size)} there, before it creates "
            "anything else. Where it lies already: data_dir=FOLDER")


def megabytes(size: int) -> str:
    """Return bytes as a person reads them: 182 MB, 2.6 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6)):,} MB"


def _existing(folder: Path) -> Path:
    """Return the folder or the nearest above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder
