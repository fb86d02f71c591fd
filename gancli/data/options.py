"""Options that data sets share (group `dataset`; free of torch); each source adds its own beside its class."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, ClassVar

from PIL import ImageColor

from gancli.errors import check_choice, check_range

FITS = ("crop", "pad", "stretch")
STORES = ("auto", "memory", "mmap")
BROKEN = ("skip", "fail")
SECOND = ("edges", "negatives")
NO_PART = "dataset.split=test needs a part that training leaves out: give dataset.holdout=0.1 (for training too)"
MIN_SIDE = 8  # pixels; below it neither strided networks nor people see anything


@dataclass
class DatasetOptions:
    """What every data set has."""

    name: str  # of the registered source


@dataclass
class PointOptions(DatasetOptions):
    """A toy density: points drawn once, from a seed of their own."""

    count: int  # points drawn
    data_seed: int  # of the draw; the run's seed changes the order, never the data

    def __post_init__(self) -> None:
        check_range("dataset.count", self.count, 1)
        check_range("dataset.data_seed", self.data_seed, 0)


@dataclass
class ModeOptions(PointOptions):
    """A toy density of modes, which are its labels."""

    labeled: int | None = field(default=None, kw_only=True)  # as ImageOptions'

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("dataset.labeled", self.labeled, 1)


@dataclass
class ImageOptions(DatasetOptions):
    """Images of any source on their way to one size and number of channels."""

    size: Any  # null (as they are), a side, or [height, width]
    channels: int | None  # 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA; null: what the images have, alpha composited
    fit: str  # one of FITS
    background: str  # color below transparent pixels and around padded images (white, black, #rrggbb)
    flip: bool  # mirror every second example, drawn afresh each epoch
    split: str  # which part: one of SPLITS
    limit: int | None  # take only so many examples, evenly spread over the set
    store: str  # one of STORES: where the decoded images are kept on the host
    labeled: int | None = field(default=None, kw_only=True)  # labels that training knows; the default is that of old runs
    second: str | None = field(default=None, kw_only=True)  # one of SECOND: what half of the images become, as a second domain
    crops: Any = field(default=None, kw_only=True)  # null (whole images), a side, or [height, width]; as above
    verify: bool = field(default=False, kw_only=True)  # look at every byte of a stored file again; as above

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test")

    def __post_init__(self) -> None:
        self.size = checked_size("dataset.size", self.size)
        self.crops = checked_size("dataset.crops", self.crops)
        check_choice("dataset.fit", self.fit, FITS)
        check_choice("dataset.split", self.split, self.SPLITS)
        check_choice("dataset.store", self.store, STORES)
        check_range("dataset.channels", self.channels, 1, 4)
        check_range("dataset.limit", self.limit, 1)
        check_range("dataset.labeled", self.labeled, 1)
        if self.second is not None:
            check_choice("dataset.second", self.second, SECOND)
        if self.crops is not None and self.labeled is not None:
            raise ValueError(f"dataset.labeled={self.labeled} counts whole images and dataset.crops= shows parts of them: "
                             "give one of the two")
        try:
            ImageColor.getrgb(self.background)
        except ValueError:
            raise ValueError(f"dataset.background={self.background} is not a color: give a name (white) or "
                             "'#rrggbb'") from None

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The background as 8-bit red, green, blue."""
        return ImageColor.getrgb(self.background)[:3]

    @property
    def keeps_all(self) -> bool:
        """Whether the split holds every example, whatever it is called, so that millions need no names."""
        return True

    def holds(self, name: str) -> bool:
        """Whether the example called `name` belongs to this split; sets with fixed splits hold all they list."""
        return True


@dataclass
class HoldoutOptions(ImageOptions):
    """Images without a split of their own: a fraction of them is held out by the hash of their names."""

    holdout: float  # fraction of the examples in split=test, the rest is split=train

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test", "all")
    PARTS: ClassVar[bool] = False  # the data may come in parts of their own

    def __post_init__(self) -> None:
        super().__post_init__()
        check_holdout("train" if self.PARTS else self.split, self.holdout)

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is held out."""
        return self.split == "all" or self.holdout == 0

    def holds(self, name: str) -> bool:
        """Decide by the name alone, so that both domains agree and added files move no other file."""
        return self.keeps_all or held_out(name, self.holdout) == (self.split == "test")


@dataclass
class FileOptions(HoldoutOptions):
    """Image files in folders of the user's."""

    path: str | None  # the folder; looked for from where the command was typed, then under data_dir
    broken: str  # one of BROKEN: files that cannot be decoded
    splits: str = field(default="none", kw_only=True)  # auto: folders called train, val, test are parts; as old runs: none

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "test", "all")
    PARTS: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("dataset.broken", self.broken, BROKEN)
        check_choice("dataset.splits", self.splits, ("auto", "none"))


def check_holdout(split: str, holdout: float) -> None:
    """Raise a ValueError for a fraction out of range, or the rest of a set of which nothing is held out."""
    check_range("dataset.holdout", holdout, 0, 0.9)
    if split == "test" and holdout == 0:
        raise ValueError(NO_PART)


def held_out(name: str, holdout: float) -> bool:
    """Whether the example called `name` is in the fraction that is held out, by the hash of its name."""
    digest = blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < holdout


def checked_size(key: str, size: Any) -> tuple[int, int] | None:
    """Return (height, width), or None for null; a ValueError naming `key` for anything but null, a side or two sides."""
    if size is None:
        return None
    sides = [size, size] if isinstance(size, int) else list(size) if isinstance(size, list | tuple) else []
    if len(sides) != 2 or not all(isinstance(side, int) and not isinstance(side, bool) for side in sides):
        raise ValueError(f"{key} must be a number of pixels or [height,width], not {size}")
    for side in sides:
        check_range(key, side, MIN_SIDE, 4096)
    return sides[0], sides[1]
