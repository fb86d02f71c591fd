"""Which data set (group `dataset`) a path of the user's is; free of torch."""

import os
from pathlib import Path

from gancli.data.contents import is_archive, shards_in
from gancli.data.listing import SUFFIXES, TEXT_SUFFIXES, list_images, visible
from gancli.data.splits import find_splits
from gancli.errors import UserError

ARRAYS = (".npz", ".npy")
LOOKED_AT = 10_000  # files of a folder, in which an image is looked for


def kind_of(path: Path) -> str:
    """Return the name of the data set that a file or folder is: npz, text, paired, unpaired or folder.

    Raises:
        UserError: a single image.
    """
    if not path.is_dir():
        ending = path.suffix.lower()
        if ending in SUFFIXES:
            raise UserError(f"{path} is one image: give the folder that it lies in.")
        return "npz" if ending in ARRAYS else "text" if ending in TEXT_SUFFIXES and not is_archive(path) else "folder"
    folders = [name for name in visible(path) if (path / name).is_dir()]
    splits = find_splits(folders)
    if splits is not None and splits.domains:
        keys = [{entry.key for entry in list_images(path / folder).images} for folder in splits.folders["train"].values()]
        return "paired" if len(keys) == 2 and keys[0] and keys[0] == keys[1] else "unpaired"
    return "text" if _holds_only_text(path) else "folder"


def _holds_only_text(folder: Path) -> bool:
    """Whether there are text files below a folder and, among the first LOOKED_AT files, no image or archive."""
    texts = seen = 0
    for _, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            ending = os.path.splitext(name)[1].lower()
            if ending in SUFFIXES or is_archive(Path(name)):
                return False
            texts += ending in TEXT_SUFFIXES
            seen += 1
            if seen >= LOOKED_AT:
                return texts > 0
    return texts > 0 and not shards_in(folder)
