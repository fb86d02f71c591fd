"""Sequences of a random LSTM, the synthetic data of SeqGAN (Yu 2017, section 5.1); how likely others are is then known."""

from collections.abc import Iterator
from dataclasses import dataclass

from gancli.data.options import STORES, PointOptions
from gancli.data.oracle import Oracle
from gancli.data.source import Block, Source
from gancli.data.spec import DataSpec
from gancli.errors import check_choice, check_range
from gancli.registry import datasets


@dataclass
class OracleOptions(PointOptions):
    """The oracle and what is drawn from it."""

    oracle_seed: int  # of its parameters; data_seed is that of the sequences
    vocabulary: int  # tokens there are
    length: int  # tokens of a sequence
    embedding_size: int
    units: int  # of the LSTM
    store: str  # one of STORES

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("dataset.oracle_seed", self.oracle_seed, 0, 2**32 - 1)
        check_range("dataset.data_seed", self.data_seed, 0, 2**32 - 2)
        check_range("dataset.vocabulary", self.vocabulary, 2, 100_000)
        check_range("dataset.length", self.length, 2, 1000)
        check_range("dataset.embedding_size", self.embedding_size, 1)
        check_range("dataset.units", self.units, 1)
        check_choice("dataset.store", self.store, STORES)


@datasets.register("oracle", options=OracleOptions)
class OracleSequences(Source):
    """Sequences of equal length whose tokens are numbers."""

    options: OracleOptions
    slow = True  # seconds for 10,000 sequences of a vocabulary of 5,000

    def oracle(self) -> Oracle:
        """Return what draws the sequences."""
        options = self.options
        return Oracle(options.vocabulary, options.embedding_size, options.units, options.oracle_seed)

    def look(self) -> DataSpec:
        options = self.options
        return DataSpec((options.length,), options.count, kind="tokens", separator=" ",
                        vocabulary=tuple(map(str, range(options.vocabulary))))

    def draw(self) -> Iterator[Block]:
        """Yield the sequences; another data_seed gives others of the same oracle."""
        for tokens in self.oracle().draw(self.options.count, self.options.length, self.options.data_seed):
            yield Block(0, tokens.numpy())

    def blocks(self) -> Iterator[Block]:
        return self.draw()
