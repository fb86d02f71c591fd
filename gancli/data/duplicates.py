"""Which images are the same, to the byte or to the eye.

The eye's are found by difference hashes: whether each of 8x8 pixels is brighter than its left neighbor (N. Krawetz, "Kind of
like that", 2013), and looked at again as thumbnails.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

BITS = 64
DIFFERENT = 4  # bits at most of two images that are near
BANDS = 5  # parts of a hash, one more than DIFFERENT: images as near as that agree in one of them
MOST_PAIRS = 2000  # that are looked at
CROWD = 64  # images of one band, beyond which each is compared with its next neighbors alone
THUMBNAIL = 16  # pixels, the side of what is compared
ALIKE = 4.0  # of 255, the mean difference of thumbnails that look the same


@dataclass
class Duplicates:
    """Groups of equal images and pairs of alike ones, as rows."""

    exact: list[list[int]] = field(default_factory=list)
    near: list[tuple[int, int]] = field(default_factory=list)
    complete: bool = True  # whether every pair that may be near was looked at


def difference_hash(pixels: np.ndarray) -> int:
    """Return the hash of a gray image [8, 9] or [8, 9, 1] as a number of 64 bits."""
    pixels = pixels.reshape(8, 9)
    return int.from_bytes(np.packbits(pixels[:, 1:] > pixels[:, :-1]).tobytes(), "big")


def find_duplicates(digests: Sequence[bytes | None], hashes: Sequence[int | None],
                    thumbnails: Callable[[Sequence[int]], dict[int, np.ndarray]]) -> Duplicates:
    """Return which images are equal and which are alike.

    Args:
        digests: a checksum of each file's bytes; None of one that could not be read.
        hashes: a difference hash of each image; None of one that is not to be compared.
        thumbnails: returns gray images [THUMBNAIL, THUMBNAIL] of some rows.
    """
    found, by_digest = Duplicates(), defaultdict(list)
    for row, digest in enumerate(digests):
        if digest is not None:
            by_digest[digest].append(row)
    found.exact = [rows for rows in by_digest.values() if len(rows) > 1]
    repeated = {row for rows in found.exact for row in rows[1:]}
    pairs: list[tuple[int, int]] = []
    seen: set[tuple[int, int]] = set()
    for pair in _candidates([None if row in repeated else value for row, value in enumerate(hashes)], found):
        if pair not in seen:
            seen.add(pair)
            pairs.append(pair)
        if len(pairs) >= MOST_PAIRS:
            found.complete = False
            break
    small = thumbnails(sorted({row for pair in pairs for row in pair}))
    found.near = sorted((a, b) for a, b in pairs if a in small and b in small
                        and np.abs(small[a].astype(np.float32) - small[b]).mean() <= ALIKE)
    return found


def _candidates(hashes: Sequence[int | None], found: Duplicates) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows whose hashes differ in DIFFERENT bits at most, some of them more than once."""
    edges = [round(band * BITS / BANDS) for band in range(BANDS + 1)]
    for low, high in zip(edges, edges[1:]):
        bands = defaultdict(list)
        for row, value in enumerate(hashes):
            if value is not None:
                bands[value >> low & (1 << high - low) - 1].append(row)
        for rows in bands.values():
            if len(rows) > CROWD:
                found.complete = False
                pairs = ((rows[at], rows[next_]) for at in range(len(rows)) for next_ in range(at + 1, min(at + 8, len(rows))))
            else:
                pairs = combinations(rows, 2)
            for a, b in pairs:
                if (hashes[a] ^ hashes[b]).bit_count() <= DIFFERENT:
                    yield a, b
