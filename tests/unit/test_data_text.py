"""Text as data: characters and words, splits, long lines, names, the oracle's sequences, and what is no text."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from planning import SMALL_NETWORKS, plan

from gancli.config.compose import compose
from gancli.data.dataset import load_data, open_source
from gancli.data.oracle import Oracle
from gancli.data.spec import DataSpec
from gancli.errors import UserError

LINES = "a red bird\n\n  A  red cat \r\nthe cat\na red bird\n"


def values(name="text", **changes):
    cfg = compose("train", [f"dataset={name}"])
    return {**OmegaConf.to_container(cfg.dataset, resolve=True), **changes}


def load(folder, text=None, name="text", **changes):
    if text is not None:
        (folder / "text.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        changes = {"path": str(folder / "text.txt"), "holdout": 0.0} | changes
    return load_data(values(name, **changes), folder, "cpu", 0)


def texts(data):
    return data.spec.texts(data.examples(torch.arange(data.counts[0])))


def test_lines_are_examples(tmp_path):
    data = load(tmp_path, LINES)
    assert texts(data) == ["a red bird", "A red cat", "the cat", "a red bird"]
    assert data.spec.shape == (10,) and data.spec.vocabulary[0] == "" and data.spec.end == 0 and data.spec.separator == ""
    assert data.spec.vocabulary[1:4] == (" ", "d", "r")  # the commonest first: 7, 5 and 5 times
    assert data.examples(torch.tensor([2]))[0, 7:].tolist() == [0, 0, 0]


def test_words(tmp_path):
    data = load(tmp_path, LINES, tokens="words", lowercase=True)
    assert texts(data)[1] == "a red cat" and data.spec.shape == (3,) and data.spec.separator == " "
    assert data.spec.vocabulary == ("", "a", "red", "bird", "cat", "the")
    few = load(tmp_path, LINES, tokens="words", lowercase=True, vocabulary=3)
    assert few.spec.vocabulary == ("", "a", "red", "bird", "<unk>") and texts(few)[2] == "<unk> <unk>"
    marked = load(tmp_path, "a <unk> a\nb <unk>\nc a", tokens="words", vocabulary=2)  # as others' corpora have it
    assert marked.spec.vocabulary == ("", "a", "<unk>") and texts(marked) == ["a <unk> a", "<unk> <unk>", "<unk> a"]
    assert DataSpec.from_dict(few.spec.as_dict()) == few.spec
    assert few.fingerprint != data.fingerprint


@pytest.mark.parametrize("store", ["memory", "mmap"])
def test_long_lines_are_cut_or_left_out_and_counted(tmp_path, store):
    cut = load(tmp_path, LINES, length=8, store=store)
    assert texts(cut) == ["a red bi", "A red ca", "the cat", "a red bi"]
    assert any("3 of 4 lines" in note and "are cut" in note for note in cut.notes)
    skipped = load(tmp_path, LINES, length=9, longer="skip")
    assert texts(skipped) == ["A red cat", "the cat"] and any("2 of 4 lines" in note for note in skipped.notes)


@pytest.mark.recipe
def test_a_held_out_part_shares_vocabulary_and_length_and_no_line(tmp_path):
    lines = [f"{a}{b}" for a, b in product("abcdefghij", repeat=2)] * 2
    parts = {split: load(tmp_path, "\n".join(lines), holdout=0.3, split=split) for split in ("train", "test", "all")}
    found = {split: texts(data) for split, data in parts.items()}
    assert sorted(found["train"] + found["test"]) == sorted(found["all"]) == sorted(lines)
    assert not set(found["train"]) & set(found["test"]) and 30 < len(found["test"]) < 90
    assert len({(data.spec.vocabulary, data.spec.shape) for data in parts.values()}) == 1
    assert len(texts(load(tmp_path, "\n".join(lines), limit=7))) == 7


def test_a_folder_of_files(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    for name, text in (("a/b/two.txt", "two"), ("a/one.TXT", "one"), ("a/.hidden.txt", "no"), ("a/picture.png", "no")):
        (tmp_path / name).write_text(text)
    data = load(tmp_path, path=str(tmp_path / "a"), holdout=0.0)
    assert sorted(texts(data)) == ["one", "two"]
    assert len(open_source(values(path=str(tmp_path / "a")), tmp_path).stamps()) == 2


def test_names_are_embedded():
    data = load(None, name="names", split="all")
    found = texts(data)
    assert len(found) == len(set(found)) == 5163 and {"aaron", "zulma"} <= set(found)
    assert data.spec.shape == (11,) and len(data.spec.vocabulary) == 27
    assert load(None, name="names").counts == (4660,)


BAD = {
    "empty": (b"", {}, "holds no text"), "blank": (b"\n \n\t\n", {}, "holds no text"),
    "binary": (b"abc\0def\n", {}, r"no text in UTF-8 \(byte 3\)"),
    "another encoding": ("ä".encode("latin-1"), {}, "save it as UTF-8"),
    "one symbol": (b"aaa\naa\n", {}, "one symbol only, 'a'"),
    "one word": (b"yes\nyes\n", {"tokens": "words"}, "dataset.tokens=characters"),
    "long lines": (LINES.encode(), {"length": 8, "longer": "fail"}, "3 of 4 lines .* the longest 10: give dataset.length=10"),
    "only long lines": (LINES.encode(), {"length": 3, "longer": "skip"}, "leaves none"),
    "nothing held out": (b"ab\n", {"holdout": 0.01, "split": "test"}, "leaves none of the 1 lines"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_text_is_refused_and_nothing_is_created(case, tmp_path):
    text, changes, words = BAD[case]
    (tmp_path / "text.txt").write_bytes(text)
    overrides = [f"dataset.{key}={value}" for key, value in {"holdout": 0.0, **changes}.items()]
    with pytest.raises(UserError, match=words) as found:
        plan(tmp_path / "run", "model=seqgan", *SMALL_NETWORKS["seqgan"], "dataset=text", *overrides, "trainer.batch_size=1",
             f"dataset.path={tmp_path / 'text.txt'}")
    assert "\n" not in str(found.value) and [path.name for path in tmp_path.iterdir()] == ["text.txt"]


@pytest.mark.parametrize(("model", "data", "words"), [
    ("seqgan", "dataset=text", "give dataset.path=FILE_OR_FOLDER"),
    ("seqgan", "dataset.path=nowhere", "nowhere does not exist"),
    ("seqgan", "dataset.path=.", "holds no text files"),
    ("seqgan", "dataset=digits", "needs tokens and this data set holds images"),
    ("dcgan", "dataset=names", "needs images and this data set holds tokens"),
    ("gan", "dataset=oracle", "this data set holds tokens")])
def test_data_that_are_not_there_or_of_another_kind(model, data, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        plan(tmp_path / "run", f"model={model}", *(["dataset=text"] if "path" in data else []), data)
    assert not list(tmp_path.iterdir())


def test_an_oracle_knows_its_sequences(tmp_path):
    small = {"vocabulary": 3, "length": 3, "units": 2, "embedding_size": 2, "count": 2000, "store": "memory"}
    data = load(tmp_path, name="oracle", **small)
    every = torch.tensor(list(product(range(3), repeat=3)))
    likely = (-3 * data.oracle.nats(every)).exp()
    assert likely.sum().item() == pytest.approx(1, abs=1e-12)
    found = data.examples(torch.arange(2000))
    counts = torch.bincount((found * torch.tensor([9, 3, 1])).sum(1), minlength=27) / 2000
    assert (counts - likely).abs().max() < 4 * math.sqrt(0.25 / 2000)
    assert data.spec.texts(found[:1]) == [" ".join(map(str, found[0].tolist()))] and data.spec.end is None
    again, other = (load(tmp_path, name="oracle", **small, data_seed=seed) for seed in (0, 1))
    assert again.fingerprint == data.fingerprint != other.fingerprint
    assert torch.equal(other.oracle.nats(every), data.oracle.nats(every))


def test_an_oracles_parameters_are_standard_normal_and_those_of_its_seed():
    oracle = Oracle(5000, 32, 32, seed=0)
    assert all(0.9 < tensor.std() < 1.1 for tensor in oracle.parameters.values())
    assert oracle.parameters["embedding"][0, 0].item() == pytest.approx(np.random.RandomState(0).standard_normal())
    assert not torch.equal(Oracle(50, 4, 4, 1).parameters["output"], Oracle(50, 4, 4, 2).parameters["output"])
