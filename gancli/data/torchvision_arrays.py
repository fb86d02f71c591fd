"""What usps, svhn, cifar10, cifar100 and stl10 share: torchvision reads, checks and downloads them as arrays."""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from gancli.data.download import download, download_note, wait_for_download
from gancli.data.source import ArraySource, Native, Stamp
from gancli.errors import UserError


class TorchvisionArrays(ArraySource):
    """A data set that torchvision holds in memory as one array; the files lie in data_dir as it puts them."""

    page: ClassVar[str]  # where a person fetches the files by hand
    published: ClassVar[dict[str, int]]  # examples in each split
    sides: ClassVar[tuple[int, int, int]]  # height, width, channels
    sizes: ClassVar[dict[str, int]]  # bytes to download for a split, "" for one that is not named
    classes: tuple[str, ...] = ()

    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Return the files of the split, relative to data_dir."""

    @abstractmethod
    def build(self, fetch: bool) -> Any:
        """Return torchvision's data set, downloaded where `fetch`."""

    @property
    def paths(self) -> list[Path]:
        """The files of the split."""
        return [self.data_dir / name for name in self.files()]

    def present(self) -> bool:
        """Whether all files are there."""
        return all(path.is_file() for path in self.paths)

    @property
    def download_bytes(self) -> int:
        """What is to be downloaded for the split, in bytes."""
        return self.sizes.get(self.options.split, self.sizes.get("", 0))

    def native(self) -> Native:
        wait_for_download(self.options.name, self.data_dir)
        if not self.present():
            self.absent = download_note(self.options.name, self.data_dir, self.download_bytes)
        return Native(self.published[self.options.split], *self.sides, self.classes)

    def prepare(self) -> None:
        if not self.present():
            download(self.options.name, lambda: self.build(True), self.data_dir, self.files()[0], self.page,
                     self.download_bytes, self.present)
            self.absent = ""

    def counts(self) -> tuple[int, ...]:
        return (len(self.kept(len(self.content.data))),)

    @cached_property
    def content(self) -> Any:
        """Torchvision's data set; a UserError where its files are damaged."""
        try:
            return self.build(False)
        except Exception as error:  # wrong checksums are RuntimeError, cut files whatever their reader raises
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{self.paths[0]} or a file beside it is damaged or incomplete ({reason}): delete it and "
                            "run again to download it.") from None

    def stamps(self) -> list[Stamp]:
        return [Stamp.of(path) for path in self.paths]

    def place(self) -> str:
        return str(self.data_dir)
