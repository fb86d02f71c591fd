"""Sequences of tokens from a toy source: neither normalized nor mirrored, and kept in a file like other data."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from gancli.data.dataset import load_data, open_source
from gancli.data.options import DatasetOptions
from gancli.data.source import Block, Source
from gancli.data.spec import DataSpec
from gancli.data.store import store_key
from gancli.errors import UserError
from gancli.registry import datasets

ROWS = np.arange(60).reshape(12, 5) % 7  # [D, T]


@dataclass
class TokenOptions(DatasetOptions):
    """Options of the toy source: a flip that must do nothing, and where it is kept."""

    dtype: str = "int64"
    store: str = "memory"
    flip: bool = True
    symbols: int = 7
    labeled: int | None = None


class Letters(Source):
    """Twelve sequences of five letters, of three classes."""

    def look(self) -> DataSpec:
        return DataSpec(ROWS.shape[1:], len(ROWS), ("x", "y", "z"), kind="tokens",
                        vocabulary=tuple("abcdefg"[:self.options.symbols]))

    def blocks(self):
        for start in (0, 6):
            yield Block(0, ROWS[start:start + 6].astype(self.options.dtype), np.arange(start, start + 6) % 3)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(datasets, "_components", dict(datasets._components))
    datasets.register("letters", options=TokenOptions)(Letters)


def letters(folder, **changes):
    return load_data({"name": "letters"} | changes, folder, "cpu", 0)


@pytest.mark.parametrize("dtype", ["int64", "uint16"])
@pytest.mark.parametrize("store", ["memory", "mmap"])
def test_tokens_come_as_they_are(tmp_path, store, dtype):
    for _ in range(2):  # the second time from the file, if there is one
        data = letters(tmp_path, store=store, dtype=dtype)
        batch = data.batch(6, 12)
        assert batch.real.dtype == torch.int64 and batch.real.shape == (12, 5)
        assert sorted(batch.real[:6].tolist() + data.batch(0, 6).real.tolist()) == sorted(ROWS.tolist())
        assert torch.equal(data.examples(torch.arange(12)), torch.from_numpy(ROWS)) and len(data.first(5)) == 5
        assert (data.spec.kind, data.spec.is_image, data.spec.vocabulary) == ("tokens", False, tuple("abcdefg"))
    assert (data.store_path is not None) == (store == "mmap")
    assert data.fingerprint == letters(tmp_path).fingerprint


def test_a_few_sequences_can_be_labeled(tmp_path):
    batch = letters(tmp_path, labeled=3).batch(0, 6)
    assert batch.labels is None and batch.labeled.real.dtype == torch.int64
    assert sorted(batch.labeled.labels.tolist()) == [0, 0, 1, 1, 2, 2]


def test_an_id_that_the_vocabulary_has_not_is_refused(tmp_path):
    with pytest.raises(UserError, match="token ids from 0 to 6 and the vocabulary has 6 symbols, 0 to 5"):
        letters(tmp_path, symbols=6)


def test_another_vocabulary_is_other_data(tmp_path):
    source = open_source({"name": "letters"}, tmp_path)
    spec = source.inspect()
    assert store_key(source, spec) != store_key(source, replace(spec, vocabulary=tuple("gfedcba")))
