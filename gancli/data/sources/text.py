"""Own text: the lines of a file, or of all text files in a folder, as sequences of characters or words.

Legend: N lines, T tokens.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gancli.data.listing import find_path, is_text_file, list_names, shown
from gancli.data.options import STORES, DatasetOptions, check_holdout, held_out
from gancli.data.source import BLOCK, Block, Source, Stamp
from gancli.data.spec import DataSpec
from gancli.errors import UserError, check_choice, check_range
from gancli.registry import datasets

TOKENS = ("characters", "words")
LONGER = ("cut", "skip", "fail")
SPLITS = ("train", "test", "all")
END, OTHER = "", "<unk>"  # symbols of the end of a text and of what the vocabulary leaves out
LARGEST = 1 << 30  # bytes of text that are read


@dataclass
class LineOptions(DatasetOptions):
    """How lines become sequences."""

    tokens: str  # one of TOKENS
    length: int | None  # most tokens of a line; null: those of the longest
    longer: str  # one of LONGER: what becomes of longer lines
    lowercase: bool
    vocabulary: int | None  # most symbols, the commonest; null: all there are
    split: str  # one of SPLITS
    holdout: float  # fraction of the lines in split=test, drawn by what they say: equal lines stay together
    limit: int | None  # take only so many lines, evenly spread
    store: str  # one of STORES

    def __post_init__(self) -> None:
        check_choice("dataset.tokens", self.tokens, TOKENS)
        check_choice("dataset.longer", self.longer, LONGER)
        check_choice("dataset.split", self.split, SPLITS)
        check_choice("dataset.store", self.store, STORES)
        check_range("dataset.length", self.length, 2, 10_000)
        check_range("dataset.vocabulary", self.vocabulary, 2)
        check_range("dataset.limit", self.limit, 1)
        check_holdout(self.split, self.holdout)


@dataclass
class TextOptions(LineOptions):
    """Options of dataset=text."""

    path: str | None  # a file or a folder; looked for from where the command was typed, then under data_dir


class Lines(Source):
    """One sequence a line; empty lines are passed over, and spaces around a line and between words say nothing.

    Vocabulary and length are those of all lines, so that the parts of a split have them in common.
    """

    options: LineOptions

    def __init__(self, options: LineOptions, data_dir: Path) -> None:
        super().__init__(options, data_dir)
        self.files = self.find()
        self._read: tuple[list[list[str]], tuple[str, ...], int] | None = None

    @abstractmethod
    def find(self) -> list[Path]:
        """Return the files; a UserError where there are none."""

    def place(self) -> str:
        return "\n".join(map(str, self.files))

    def stamps(self) -> list[Stamp]:
        return [Stamp.of(path) for path in self.files]

    def look(self) -> DataSpec:
        lines, vocabulary, length = self.read()
        return DataSpec((length,), len(self.kept(lines)), kind="tokens", vocabulary=vocabulary,
                        separator="" if self.options.tokens == "characters" else " ")

    def read(self) -> tuple[list[list[str]], tuple[str, ...], int]:
        """Return all lines as lists of symbols, the vocabulary, and the length of a sequence; files are read once."""
        if self._read is None:
            lines = [self.split(line) for path in self.files for line in lines_of(path)]
            lines = [line for line in lines if line]
            if not lines:
                raise UserError(f"{self.named()} holds no text: give a file with a text a line.")
            lines, length = self.shortened(lines)
            self._read = lines, self.vocabulary(lines), length
        return self._read

    def named(self) -> str:
        """Return what the files are called in messages."""
        return list_names((str(path) for path in self.files), 2)

    def split(self, line: str) -> list[str]:
        """Return the symbols of a line."""
        line = line.lower() if self.options.lowercase else line
        words = line.split()
        return list(" ".join(words)) if self.options.tokens == "characters" else words

    def shortened(self, lines: list[list[str]]) -> tuple[list[list[str]], int]:
        """Return lines of at most `length` symbols, and that length; a UserError for longer ones if `longer` says so."""
        longest = max(map(len, lines))
        length = max(2, longest if self.options.length is None else min(longest, self.options.length))
        count = sum(len(line) > length for line in lines)
        if not count:
            return lines, length
        what = f"{count:,} of {len(lines):,} lines of {self.named()} have more than {length} {self.options.tokens}"
        if self.options.longer == "fail":
            raise UserError(f"{what}, the longest {longest:,}: give dataset.length={longest}, or dataset.longer=cut or skip.")
        self.notes.append(f"{what} and are {'cut' if self.options.longer == 'cut' else 'left out'}.")
        if self.options.longer == "cut":
            return [line[:length] for line in lines], length
        if count == len(lines):
            raise UserError(f"{what}, and dataset.longer=skip leaves none: give dataset.length={longest}, or "
                            "dataset.longer=cut.")
        return [line for line in lines if len(line) <= length], length

    def vocabulary(self, lines: Sequence[Sequence[str]]) -> tuple[str, ...]:
        """Return the end, the symbols by how common they are, and one for those left out if there are any."""
        counts = Counter(symbol for line in lines for symbol in line)
        if len(counts) < 2:
            raise UserError(f"{self.named()} has one symbol only, {next(iter(counts))!r}: there is nothing to choose. Give "
                            f"another text{', or dataset.tokens=characters' if self.options.tokens == 'words' else ''}.")
        common = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        kept = common[:self.options.vocabulary]
        return (END, *kept, *([OTHER] if len(kept) < len(common) and OTHER not in kept else []))

    def kept(self, lines: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """Return the lines of the split, thinned to the limit."""
        options, rows = self.options, lines
        if options.split != "all" and options.holdout:
            rows = [line for line in lines if held_out("\n".join(line), options.holdout) == (options.split == "test")]
        if not rows:
            raise UserError(f"dataset.split={options.split} leaves none of the {len(lines):,} lines: give another "
                            "dataset.holdout=, or dataset.split=all.")
        return [rows[row] for row in self.evenly(len(rows))]

    def blocks(self) -> Iterator[Block]:
        lines, vocabulary, length = self.read()
        numbers = {symbol: number for number, symbol in enumerate(vocabulary)}
        other = numbers.get(OTHER, 0)
        kept = self.kept(lines)
        for start in range(0, len(kept), BLOCK):
            part = kept[start:start + BLOCK]
            tokens = np.zeros((len(part), length), dtype=np.int64)  # 0 is the end
            for row, line in zip(tokens, part):
                row[:len(line)] = [numbers.get(symbol, other) for symbol in line]
            yield Block(0, tokens)


@datasets.register("text", options=TextOptions)
class Text(Lines):
    """The lines of dataset.path."""

    options: TextOptions

    def find(self) -> list[Path]:
        path = find_path("dataset.path", self.options.path, self.data_dir, "file_or_folder")
        if not path.is_dir():
            return [path]
        found = sorted(each for each in path.rglob("*") if is_text_file(each))
        if not found:
            raise UserError(f"{shown(path)} holds no text files: give a folder with .txt files, or one file of any name.")
        return found


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file; a UserError where it cannot be read or holds no text."""
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{shown(path)} is larger than {LARGEST >> 30} GiB: give a part of it.")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text, place = "\0", error.start
    else:
        place = len(text.partition("\0")[0].encode())
    if "\0" in text:
        raise UserError(f"{shown(path)} is no text in UTF-8 (byte {place:,}): give a text file, or save it as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
