"""Sizes are checked against the file and the machine before anything of that size is made."""

import gzip
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from planning import SMALL_NETWORKS, TINY, plan
from small_runs import save_run
from systems import later

from gancli.config.compose import compose
from gancli.data.listing import list_images
from gancli.data.sizes import check_arrays
from gancli.data.sources.idx import read_idx
from gancli.errors import UserError
from gancli.explore.interpolate import interpolate
from gancli.explore.sample import sample


@pytest.fixture(autouse=True)
def frugal():
    """Fail a test that takes much memory, which it would take before any check."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


def npy(path: Path, shape, dtype="|u1", data=b"abc") -> Path:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data)
    return path


@pytest.mark.parametrize("shape", [pytest.param(shape, marks=() if number < 2 else pytest.mark.recipe) for number, shape in
                                   enumerate([(10**8, 28, 28), (2**62, 8, 8), (2**40, 2**40, 8), (10**30, 8, 8), (-1, 8, 8)])])
@pytest.mark.parametrize("packed", later([True, False]))
def test_an_array_is_no_longer_than_its_file(shape, packed, tmp_path):
    path = npy(tmp_path / "images.npy", shape)
    if packed:
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.write(path, "images.npy")
        path = tmp_path / "a.npz"
    with pytest.raises(UserError, match=r"its header says .* follow"):
        check_arrays(path)
    with pytest.raises(UserError):
        plan(tmp_path / "run", "model=gan", "dataset=npz", f"dataset.path={path}", *TINY[1:])


def test_what_would_not_fit_into_memory_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("gancli.data.sizes.free_bytes", lambda: 1000)
    np.savez(tmp_path / "a.npz", images=np.zeros((20, 8, 8), np.uint8))
    with pytest.raises(UserError, match="would need .* of memory"):
        check_arrays(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 8, 8), np.uint8))
    check_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x05\x00{[(a", b"\x93NUMPY\x09\x00"])
def test_odd_archives_are_refused(content, tmp_path):
    for name in ("a.npz", "a.npy"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as"):
            check_arrays(tmp_path / name)


def test_an_encrypted_archive_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[6] |= 1  # the flag in the entry and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match="encrypted"):
        check_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("sides", [(10**8, 28, 28), (2**31, 2**31, 4), (2**32 - 1,) * 3, (0, 28, 28), (2, 2, 3)])
@pytest.mark.parametrize("packed", [True, False])
def test_an_idx_file_holds_what_it_says(sides, packed, tmp_path):
    content = struct.pack(">4I", 0x803, *sides) + b"abcd"
    path = tmp_path / ("a-idx3-ubyte.gz" if packed else "a-idx3-ubyte")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(UserError, match="is damaged"):
        read_idx(path, 3)


def test_a_packed_idx_file_that_goes_on_is_not_unpacked(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(struct.pack(">2I", 0x801, 4) + bytes(100 << 20)))
    tracemalloc.reset_peak()
    with pytest.raises(UserError, match="does not hold 4 values"):
        read_idx(path, 1)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    path.write_bytes(gzip.compress(struct.pack(">2I", 0x801, 4) + b"abcd")[:-9])
    with pytest.raises(UserError, match="is damaged"):
        read_idx(path, 1)


def test_a_pipe_among_images_is_passed_over(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    listing = list_images(tmp_path)
    assert listing.images == [] and listing.ignored == 1


@pytest.mark.recipe  # seconds
def test_networks_that_no_machine_holds_are_refused(tmp_path):
    for width in (1_000_000, 10**9, 10**15):
        with pytest.raises(UserError, match="needs about|too large to be counted|at most"):
            plan(tmp_path / "run", "model=dcgan", f"model.width={width}", "device=cpu", "evaluation.kimg=null")
    large = plan(tmp_path / "run", "model=dcgan", "model.width=1000000", "device=cpu", "evaluation.kimg=null",
                 "trainer.memory_check=false")
    assert large.model.width == 1_000_000 and not (tmp_path / "run").exists()


@pytest.mark.recipe
def test_a_batch_that_does_not_fit_is_refused(tmp_path, monkeypatch):
    settings = ("model=gan", *SMALL_NETWORKS["gan"], *TINY)
    monkeypatch.setattr("gancli.plan.fitting.free_bytes", lambda: 10_000)
    with pytest.raises(UserError, match="trainer.memory_check=false tries all the same"):
        plan(tmp_path / "run", *settings)
    monkeypatch.setattr("gancli.plan.fitting.free_bytes", lambda: None)
    plan(tmp_path / "run", *settings)


@pytest.mark.parametrize("given", [["n=1000000000", "out=o.png"], ["n=1000000000000", "out=o.npz"], ["n=100000000000000",
                                                                                                  "out=o"]])
def test_a_sample_has_room(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = save_run(tmp_path / "run", "gan")
    with pytest.raises(UserError, match="give a smaller n|million pixels"):
        sample(compose("sample", [f"ckpt={run}", "device=cpu", *given]))
    assert not list(tmp_path.glob("o*"))


@pytest.mark.recipe  # seconds
@pytest.mark.parametrize("out", ["o.png", "o.gif", "o.mp4", "o"])
def test_a_path_has_room(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = save_run(tmp_path / "run", "gan")
    with pytest.raises(UserError, match="smaller steps|fewer steps|million pixels"):
        interpolate(compose("interpolate", [f"ckpt={run}", "device=cpu", "steps=1000000000", f"out={out}"]))
    assert not list(tmp_path.glob("o*"))
