"""Downloads through torchvision: told with their size before they begin, and one sentence for whatever goes wrong."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from gancli.data.once import FOLDER, made_once, wait_for
from gancli.errors import UserError
from gancli.monitor.terminal import tell
from gancli.runs.owner import LOCK


def download(name: str, fetch: Callable[[], object], folder: Path, layout: str, page: str, size: int,
             there: Callable[[], bool]) -> None:
    """Tell what comes and call `fetch`, which downloads into `folder`, or wait while another process does.

    A failure leaves no empty folders behind.

    Args:
        layout: the files that were looked for under `folder`.
        page: where a person finds them.
        size: bytes that are published there, about.
        there: whether all of it is there.

    Raises:
        UserError: no room, no network, a server's refusal, a wrong checksum, or a folder that cannot be written.
    """
    claims = claims_of(name, folder)
    made = {above for path in (folder / layout, claims / LOCK) for above in path.parents if not above.exists()}

    def look() -> bool | None:
        wait_for_download(name, folder)  # its files are seen before they are whole
        return there() or None

    def make() -> bool:
        tell(f"Downloading dataset={name}, about {megabytes(size)}, to {folder}")
        fetch()
        return True

    free = shutil.disk_usage(_existing(folder)).free
    if free < size:
        raise UserError(f"dataset={name} is not in {folder} and is a download of about {megabytes(size)}, and "
                        f"{megabytes(free)} are free there: give data_dir=FOLDER on another disk.")
    try:
        made_once(claims, look, make, "downloads it")
    except Exception as error:  # torchvision and its downloaders raise OSError, RuntimeError, their own kinds
        for path in sorted(made, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip("<>. ")
        raise UserError(f"dataset={name} is not in {folder} (looked for {layout}) and cannot be downloaded ({reason}). "
                        f"Fetch it by hand from {page}, or say where it lies with data_dir=FOLDER or "
                        "GAN_DATA.") from None


def claims_of(name: str, folder: Path) -> Path:
    """Return where a process says that it downloads a data set."""
    return folder / FOLDER / f"{name}.download"


def wait_for_download(name: str, folder: Path) -> None:
    """Wait while another process downloads a data set, whose files are seen before they are whole."""
    wait_for(claims_of(name, folder), "downloads it")


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
