"""Images in two resolutions as their owners name and measure them: which belong together, and how many times smaller one is.

DIV2K has 0001.png in DIV2K_train_HR and 0001x4.png in DIV2K_train_LR_bicubic/X4; Set5 and Set14 are given as
img_001_SRF_4_HR.png beside img_001_SRF_4_LR.png, or as baby.png in folders of both.
"""

import re
from collections.abc import Iterable

from gancli.data.decode import BrokenImage
from gancli.data.listing import Entry
from gancli.errors import UserError

KINDS = "bic(?:ubic)?|bi|bd|dn|mild|difficult|wild|unknown"  # of reductions
ENDING = re.compile(rf"[ _-]?(?:x\d|(?<![A-Za-z0-9])(?:[HL]R|LR[ _-]?(?:{KINDS})|SRF[ _-]?\d))$", re.IGNORECASE)
HIGH = re.compile(r"(?<![A-Za-z0-9])HR$", re.IGNORECASE)
LOW = re.compile(r"(?<![A-Za-z0-9])LR$", re.IGNORECASE)
FACTORS = range(2, 9)  # that data may have


def scene(key: str) -> str:
    """Return a file's name, without its ending, without what says of which resolution it is; never an empty name."""
    while True:
        shorter = ENDING.sub("", key)
        if shorter in (key, "") or shorter.endswith("/"):
            return key
        key = shorter


def partners(low: Iterable[Entry], high: Iterable[Entry]) -> dict[Entry, Entry]:
    """Return the original of each image of low resolution that has one: of the same name, else of the same scene.

    Raises:
        UserError: two originals are of one scene, so that it is not certain which one is meant.
    """
    low, high = list(low), list(high)
    same = {entry.key: entry for entry in high}
    if any(entry.key in same for entry in low):
        return {entry: same[entry.key] for entry in low if entry.key in same}
    known: dict[str, list[Entry]] = {}
    for entry in high:
        known.setdefault(_scene_of(entry), []).append(entry)
    found: dict[Entry, Entry] = {}
    for entry in low:
        originals = known.get(_scene_of(entry), [])
        if len(originals) > 1:
            raise UserError(f"{originals[0].name} and {originals[1].name} may both be the original of {entry.name}: keep one "
                            "of them, or give a folder of originals alone.")
        if originals:
            found[entry] = originals[0]
    return found


def factor_of(high: tuple[int, int], low: tuple[int, int]) -> int | None:
    """Return how many times larger one size (H, W) is than the other, a few rows or columns beside; None where it is not."""
    for factor in FACTORS:
        if fits(high, low, factor):
            return factor
    return None


def fits(high: tuple[int, int], low: tuple[int, int], factor: int) -> bool:
    """Whether a size is that many times another, up to the rows and columns that make no whole pixel of the reduction."""
    return all(0 <= have - factor * want < factor for have, want in zip(high, low, strict=True))


def refuse_unlike(high: tuple[int, int], low: tuple[int, int], factor: int) -> None:
    """Raise BrokenImage for an image that is not so many times as large as its low resolution."""
    if not fits(high, low, factor):
        raise BrokenImage(f"it is {high[1]}x{high[0]}, and its low resolution of {low[1]}x{low[0]} would be that of "
                          f"{factor * low[1]}x{factor * low[0]}")


def _scene_of(entry: Entry) -> str:
    return scene(entry.key.rsplit("/", 1)[-1])
