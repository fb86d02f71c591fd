"""Arrays that are used where they lie: mapped and not read, with the checksum of a store, which is computed once."""

import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from data_composing import dataset_values, load

from gancli.data import in_place, mapped
from gancli.data.dataset import open_source
from gancli.data.mapped import lying
from gancli.data.sources import npz
from gancli.errors import UserError

COLOR = np.random.default_rng(0).integers(0, 256, (40, 10, 12, 3), dtype=np.uint8)
LAYOUTS = {"nhwc": COLOR, "nchw": np.ascontiguousarray(COLOR.transpose(0, 3, 1, 2)),
           "gray": np.ascontiguousarray(COLOR[..., 0])}
LABELS = np.arange(40) % 3


def file_of(tmp_path, ending, images):
    path = tmp_path / f"data.{ending}"
    np.save(path, images) if ending == "npy" else np.savez(path, images=images, labels=LABELS)
    return path


@pytest.fixture
def read(monkeypatch):
    """Counts the bytes that are read for checksums."""
    counted, pieces = [], mapped.Lying.pieces

    def counting(self):
        for piece in pieces(self):
            counted.append(piece.nbytes)
            yield piece

    monkeypatch.setattr(mapped.Lying, "pieces", counting)
    return counted


@pytest.mark.parametrize("ending", ["npy", "npz"])
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_a_mapped_array_is_the_same_data(layout, ending, tmp_path, read, monkeypatch):
    monkeypatch.setattr(mapped, "PIECE", 5000)  # several pieces
    path = file_of(tmp_path, ending, LAYOUTS[layout])
    memory = load("npz", tmp_path, path=str(path), store="memory")
    assert memory.store_path is None and not read
    there = load("npz", tmp_path, path=str(path), store="mmap")
    assert there.store_path == path and not list(tmp_path.rglob("*.store")), "nothing is copied"
    assert there.fingerprint == memory.fingerprint and sum(read) == LAYOUTS[layout].nbytes
    assert all(torch.equal(there.batch(n, 16).real, memory.batch(n, 16).real) for n in (0, 16, 32))
    assert (there.batch(0, 9).labels is None) == (ending == "npy")


def test_number_of_layouts():
    assert len(LAYOUTS) == 3


def test_the_checksum_is_computed_once_a_file(tmp_path, read):
    path = file_of(tmp_path, "npy", COLOR)

    def bytes_read(**options):
        read.clear()
        return load("npz", tmp_path, path=str(path), store="mmap", **options).fingerprint, sum(read)

    first, size = bytes_read()[0], COLOR.nbytes
    assert bytes_read() == (first, 0) and bytes_read(verify=True) == (first, size) and bytes_read() == (first, 0)
    os.utime(path, ns=(1, 1))  # another file, as far as anybody can tell
    assert bytes_read() == (first, size)
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(1, 1))
    os.replace(copy, path)
    assert bytes_read() == (first, size), "another inode"
    next(tmp_path.rglob("*.checked")).write_text("{}")
    assert bytes_read() == (first, size)
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([255 - COLOR.flat[-1]]))
    other, count = bytes_read()
    assert other != first and count == size


def test_a_folder_that_cannot_be_written_is_read_at_every_start(tmp_path, read, monkeypatch):
    def denied(path, values):
        raise PermissionError("no")

    monkeypatch.setattr(in_place, "write_json", denied)
    path = file_of(tmp_path, "npy", COLOR)
    prints = {load("npz", tmp_path, path=str(path), store="mmap").fingerprint for _ in range(2)}
    assert len(prints) == 1 and sum(read) == 2 * COLOR.nbytes


@pytest.mark.parametrize("options", [{"size": 16}, {"channels": 1}, {"limit": 7}, {"holdout": 0.3}])
def test_what_is_to_be_changed_is_decoded_from_the_map(options, tmp_path, monkeypatch):
    arrays, array = [], mapped.Lying.array
    monkeypatch.setattr(mapped.Lying, "array", lambda self: arrays.append(self) or array(self))
    monkeypatch.setattr(np, "load", None)  # nothing is read whole
    path = file_of(tmp_path, "npy", COLOR)
    stored = load("npz", tmp_path, path=str(path), store="mmap", **options)
    assert stored.store_path.suffix == ".store" and len(arrays) == 1
    assert stored.fingerprint == load("npz", tmp_path, path=str(path), store="memory", **options).fingerprint


@pytest.mark.parametrize("change", [lambda images: images.astype(np.float32) / 255, np.asfortranarray])
def test_other_types_and_orders_are_converted_piece_by_piece(change, tmp_path, monkeypatch):
    path = file_of(tmp_path, "npy", change(COLOR))
    stored = load("npz", tmp_path, path=str(path), store="mmap")
    assert stored.store_path.suffix == ".store"
    np.save(path, COLOR)
    assert stored.fingerprint == load("npz", tmp_path, path=str(path), store="memory").fingerprint


def test_parts_of_an_archive_follow_each_other(tmp_path):
    path = tmp_path / "parts.npz"
    np.savez(path, x_train=COLOR[:25] / 255, x_test=COLOR[25:])
    whole = load("npz", tmp_path, path=str(path), split="all", store="memory")
    np.save(tmp_path / "one.npy", COLOR)
    assert whole.fingerprint == load("npz", tmp_path, path=str(tmp_path / "one.npy"), store="memory").fingerprint
    part = load("npz", tmp_path, path=str(path), split="test", store="mmap")
    assert part.store_path == path and part.spec.count == 15


def test_more_than_memory_holds_is_mapped_and_its_names_are_not_made(tmp_path, monkeypatch):
    """A sparse file of a million images, 3 GB, where 1 GB is free."""
    path, shape = tmp_path / "large.npy", (1_000_000, 3, 32, 32)
    np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    for place in ("gancli.data.sizes.free_bytes", "gancli.data.store.free_bytes"):
        monkeypatch.setattr(place, lambda: 1 << 30)
    monkeypatch.setattr(npz, "checksum", lambda where, axes, told: "0" * 32)
    monkeypatch.setattr(type(open_source(dataset_values("npz", path=str(path)), tmp_path)), "select", None)
    data = load("npz", tmp_path, path=str(path))
    assert data.spec.count == 10**6 and data.store_path == path and data.batch(0, 8).real.eq(-1).all()
    with pytest.raises(UserError, match=r"would need 2\.9 GiB of memory"):
        load("npz", tmp_path, path=str(path), store="memory")
    assert path.stat().st_blocks * 512 < 1 << 20


def test_damage_is_a_sentence(tmp_path):
    path = file_of(tmp_path, "npz", COLOR)
    where = lying(path, "images")
    with open(path, "r+b") as file:
        file.seek(where.start)
        file.write(bytes([255 - COLOR.flat[0]]))
    for store in ("memory", "mmap"):
        with pytest.raises(UserError, match="damaged .*CRC"):
            load("npz", tmp_path, path=str(path), store=store)
    assert list(replace(where, shape=(40, 10, 12, 3)).pieces())
    with pytest.raises(ValueError, match="cut short"):
        list(replace(where, shape=(80, 10, 12, 3)).pieces())


def test_what_does_not_lie_there(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=COLOR)
    assert lying(path, "images") is None
    assert load("npz", tmp_path, path=str(path), store="mmap").store_path.suffix == ".store"
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="its header says"):
        lying(tmp_path / "a.npy", "")
    np.savez(path, images=COLOR)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("images.npy").header_offset
    content = bytearray(path.read_bytes())
    content[start + 26:start + 30] = b"\xff\xff\xff\xff"  # a name and more that would lead on
    path.write_bytes(content)
    with pytest.raises((ValueError, OSError)):
        lying(path, "images")


def test_a_file_larger_than_any_memory_is_mapped_writable(tmp_path):
    """A sparse terabyte: nothing is set aside for what torch might write and never does."""
    path, size = tmp_path / "sparse", 1 << 40
    with open(path, "wb") as file:
        file.truncate(size)
    array = mapped.mapping(path, np.dtype(np.uint8), 128, (size - 128,))
    assert array.flags.writeable and array[-1] == 0 and path.stat().st_blocks == 0
    with pytest.raises(ValueError):
        mapped.mapping(path, np.dtype(np.uint8), 128, (size,))


@pytest.mark.skipif(sys.platform != "linux", reason="the flags of a mapping are Linux's")
@pytest.mark.parametrize("free, alone", [(1, True), (10**12, False), (None, False)])
def test_of_more_than_memory_holds_rows_are_read_alone(free, alone, tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "free_bytes", lambda: free)
    path = file_of(tmp_path, "npy", COLOR)
    array = lying(path, "images").array()
    assert np.array_equal(array, COLOR)
    of_file = Path("/proc/self/smaps").read_text().partition(str(path))[2].partition("VmFlags:")[2].split("\n")[0].split()
    assert "mr" in of_file and ("rr" in of_file) == alone  # "random read advise provided"
