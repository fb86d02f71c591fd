"""The decoded file is used again, notices every change and every damage, and a failure leaves nothing behind."""

import json
import os
from hashlib import blake2b

import numpy as np
import pytest
import torch
from data_composing import dataset_values, load, save_images

from gancli.data import store
from gancli.data.dataset import load_data, open_source
from gancli.errors import UserError


@pytest.fixture
def folder(tmp_path):
    save_images(tmp_path / "images", [f"{i:02}.png" for i in range(20)])
    return tmp_path / "images"


def stores(data_dir):
    return sorted(path for path in (data_dir / ".gancli-store").glob("*") if path.suffix != ".checked")


def decodes(monkeypatch):
    """Return the list that grows by one with every decoding into a file."""
    calls = []
    original = store.written
    monkeypatch.setattr(store, "written", lambda *a: calls.append(1) or original(*a))
    return calls


def test_the_file_is_used_again(folder, tmp_path, monkeypatch):
    calls = decodes(monkeypatch)
    first = load("folder", tmp_path / "data", path=str(folder), size=16)
    again = load("folder", tmp_path / "data", path=str(folder), size=16, flip=True)
    assert len(calls) == 1 and first.fingerprint == again.fingerprint
    assert first.store_path == again.store_path and len(stores(tmp_path / "data")) == 1
    np.testing.assert_array_equal(first.first(20).real, again.first(20).real)


def test_memory_and_file_agree(folder, tmp_path):
    mapped = load("folder", tmp_path / "data", path=str(folder), size=16, store="mmap")
    memory = load("folder", tmp_path / "other", path=str(folder), size=16, store="memory")
    assert mapped.fingerprint == memory.fingerprint and memory.store_path is None
    assert not stores(tmp_path / "other")
    np.testing.assert_array_equal(mapped.batch(5, 20).real, memory.batch(5, 20).real)


def test_labels_are_kept(tmp_path):
    save_images(tmp_path / "images", [f"{c}/{i}.png" for c in "xyz" for i in range(4)])
    labels = [load("folder", tmp_path, path=str(tmp_path / "images"), size=16).batch(0, 12).labels.tolist()
              for _ in range(2)]
    assert labels[0] == labels[1] and sorted(labels[0]) == sorted([0, 1, 2] * 4)


def test_attributes_are_kept_and_checked(tmp_path, monkeypatch):
    calls, values = decodes(monkeypatch), np.arange(18).reshape(6, 3) % 2
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((6, 8, 8), np.uint8), attributes=values, labels=np.arange(6))
    first = load("npz", tmp_path, path=str(tmp_path / "a.npz"), store="mmap")
    again = load("npz", tmp_path, path=str(tmp_path / "a.npz"), store="mmap")
    memory = load("npz", tmp_path, path=str(tmp_path / "a.npz"), store="memory")
    assert len(calls) == 1 and first.fingerprint == again.fingerprint == memory.fingerprint
    for data in (first, again, memory):
        assert data.attributes(torch.arange(6)).tolist() == values.tolist()
        assert data.labels(torch.arange(6)).tolist() == list(range(6))
    content = bytearray(first.store_path.read_bytes())
    content[6 * 64 + 6 * 8 + 1] ^= 1  # the second attribute, after the images and the labels
    first.store_path.write_bytes(content)
    mended = load("npz", tmp_path, path=str(tmp_path / "a.npz"), store="mmap")
    assert any("checksum" in note for note in mended.notes) and mended.fingerprint == memory.fingerprint


@pytest.mark.parametrize("changes", [{}, {"flip": True}, {"labeled": 10}])
def test_files_of_before_are_used_again(changes, tmp_path):
    """The key is what it was when specs had neither kinds nor attributes and data sets none of the parts left out here."""
    values = dataset_values("digits", size=8, **changes)
    source = open_source(values, tmp_path)
    later = ("flip", "store", "labeled", "second", "crops", "verify")
    before = {key: value for key, value in vars(source.options).items() if key not in later}
    spec = {"shape": [1, 8, 8], "count": 1797, "classes": list("0123456789"), "domains": ["real"], "paired": False}
    key = json.dumps([1, before, spec], sort_keys=True, default=str).encode()
    assert store.store_key(source, source.inspect()) == blake2b(key, digest_size=16).hexdigest()
    celeba = open_source(dataset_values("celeba"), tmp_path)
    assert "attributes" not in store.stored(celeba.options) and "attribute" in store.stored(celeba.options)


def test_a_file_without_the_footer_of_attributes_is_read(folder, tmp_path, monkeypatch):
    before = load("folder", tmp_path, path=str(folder), size=16)
    original = store.read_footer

    def without(path):
        footer = original(path)
        del footer["attributes"]
        return footer

    monkeypatch.setattr(store, "read_footer", without)
    after = load("folder", tmp_path, path=str(folder), size=16)
    assert after.notes == () and after.fingerprint == before.fingerprint and after.batch(0, 4).attributes is None


@pytest.mark.parametrize("change", ["content", "added", "removed", "touched"])
def test_changed_files_are_decoded_again_in_place(folder, tmp_path, monkeypatch, change):
    calls = decodes(monkeypatch)
    before = load("folder", tmp_path, path=str(folder), size=16)
    if change == "content":
        (folder / "00.png").write_bytes((folder / "01.png").read_bytes())
    elif change == "added":
        save_images(folder, ["new.png"])
    elif change == "removed":
        (folder / "00.png").unlink()
    else:
        os.utime(folder / "00.png", (1, 1))
    after = load("folder", tmp_path, path=str(folder), size=16)
    assert len(calls) == 2 and len(stores(tmp_path)) == 1
    assert (before.fingerprint == after.fingerprint) == (change == "touched")
    assert any("other files" in note for note in after.notes)


def test_other_options_have_a_file_of_their_own(folder, tmp_path):
    for size in (8, 16):
        assert load("folder", tmp_path, path=str(folder), size=size).spec.shape == (3, size, size)
    assert len(stores(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["bit", "footer", "cut", "empty", "text"])
def test_damage_is_noticed_and_mended(folder, tmp_path, damage):
    before = load("folder", tmp_path, path=str(folder), size=16)
    path = before.store_path
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[1000] ^= 1
    elif damage == "footer":
        content[-30] ^= 255
    path.write_bytes({"cut": content[:-100], "empty": b"", "text": b"x" * 500}.get(damage, bytes(content)))
    after = load("folder", tmp_path, path=str(folder), size=16)
    assert after.fingerprint == before.fingerprint
    assert any("damaged" in note for note in after.notes)
    assert load("folder", tmp_path, path=str(folder), size=16).notes == ()


def test_a_failure_leaves_nothing_behind(folder, tmp_path, monkeypatch):
    (folder / "05.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="05.png cannot be decoded"):
        load("folder", tmp_path, path=str(folder), size=16, broken="fail")
    assert stores(tmp_path) == []

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device.*data_dir="):
        load("folder", tmp_path, path=str(folder), size=16, store="mmap")
    assert stores(tmp_path) == []
    data = load("folder", tmp_path, path=str(folder), size=16, store="auto")
    assert data.spec.count == 19 and any("stay in memory" in note for note in data.notes)


def test_what_killed_runs_left_is_removed_and_what_runs_write_is_not(folder, tmp_path):
    place = tmp_path / ".gancli-store"
    place.mkdir()
    for name, age in (("a.store.tmp-1", 10 * store.STALE_S), ("b.store.tmp-2", 0)):
        (place / name).touch()
        status = (place / name).stat()
        os.utime(place / name, (status.st_atime - age, status.st_mtime - age))
    load("folder", tmp_path, path=str(folder), size=16)
    assert not (place / "a.store.tmp-1").exists() and (place / "b.store.tmp-2").exists()


def test_progress_counts_to_the_end(folder, tmp_path):
    seen = []
    load_data(dataset_values("folder", path=str(folder), size=16), tmp_path, "cpu", 0,
              lambda done, total: seen.append((done, total)))
    assert seen[-1] == (20, 20)


def test_broken_files_are_named_also_by_a_file_used_again(folder, tmp_path):
    (folder / "05.png").write_bytes(b"broken")
    for _ in range(2):
        data = load("folder", tmp_path, path=str(folder), size=16)
        assert data.spec.count == 19 and data.skipped == ("05.png (not an image)",)
        assert any("05.png" in note for note in data.notes)


@pytest.fixture
def counted(monkeypatch):
    """The bytes that checksums of examples were computed over; small ones, of headers, aside."""
    sums = []

    def hashed(data=b"", **options):
        sums.append(getattr(data, "nbytes", 0))
        return blake2b(data, **options)

    monkeypatch.setattr(store, "blake2b", hashed)
    return sums


def test_every_byte_is_looked_at_once(folder, tmp_path, counted):
    def read(**options):
        counted.clear()
        return load("folder", tmp_path / "data", path=str(folder), size=16, **options).fingerprint, sum(counted)

    size = 20 * 16 * 16 * 3
    written, _ = read()
    assert read() == (written, size)
    assert read() == (written, 0)
    assert read(verify=True) == (written, size)
    os.utime(stores(tmp_path / "data")[0])  # another file, as far as anybody can tell
    assert read() == (written, size)
    (stores(tmp_path / "data")[0].with_suffix(".store.checked")).write_text("{}")
    assert read() == (written, size)


def test_damage_after_the_first_look_is_seen_by_the_files_times(folder, tmp_path, monkeypatch):
    for _ in range(3):
        first = load("folder", tmp_path / "data", path=str(folder), size=16)
    path = stores(tmp_path / "data")[0]
    before = path.stat()
    with open(path, "r+b") as file:
        file.write(b"\xff" if file.read(1) != b"\xff" else b"\x00")
        file.seek(0)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # what a copy with its times kept would show
    calls = decodes(monkeypatch)
    assert load("folder", tmp_path / "data", path=str(folder), size=16).fingerprint == first.fingerprint and len(calls) == 1
