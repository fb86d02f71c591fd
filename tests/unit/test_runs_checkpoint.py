"""Checkpoint files: exact round trips, atomic writes, clean refusals of whatever is no checkpoint."""

import errno
import json
import logging
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile

import pytest
import safetensors.torch
import torch

from gancli.errors import UserError
from gancli.runs import atomic
from gancli.runs.checkpoint import CheckpointFolder, images_of, kimg_name, read, write
from gancli.runs.formats import FORMAT

HEADER = {"config": {"model": {"name": "dcgan"}, "lr": 2e-4}, "spec": {"shape": [1, 8, 8]},
          "progress": {"images": 12345}, "extra": {"note": "π", "score": 0.1 + 0.2}}


def some_tensors() -> dict[str, torch.Tensor]:
    base = torch.randn(6, 4)
    return {
        "model/weight": base.t(),
        "model/shared": base,
        "model/conv": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "model/steps": torch.tensor(7),
        "model/empty": torch.empty(0, 3),
        "ema/weight": torch.nn.Parameter(torch.randn(3)),
        "optimizer/generator/0/exp_avg": torch.randn(5, dtype=torch.float64),
        "half": torch.randn(3).half(),
        "brain": torch.randn(3).bfloat16(),
        "mask": torch.tensor([True, False]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "special": torch.tensor([float("nan"), float("inf"), -0.0]),
    }


def test_tensors_and_header_come_back_bit_for_bit(tmp_path):
    tensors = some_tensors()
    write(tmp_path / "a.safetensors", tensors, HEADER)
    checkpoint = read(tmp_path / "a.safetensors")
    assert checkpoint.tensors.keys() == tensors.keys() and len(tensors) == 12
    for name, tensor in tensors.items():
        back = checkpoint.tensors[name]
        assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
        raw = [x.detach().contiguous().reshape(-1).view(torch.uint8) for x in (back, tensor)]
        assert torch.equal(*raw), name
    for key, value in HEADER.items():
        assert getattr(checkpoint, key) == value
    assert checkpoint.kimg == 12.345
    assert safetensors.torch.load_file(tmp_path / "a.safetensors").keys() == tensors.keys()


def test_only_the_wanted_prefixes_are_read(tmp_path):
    write(tmp_path / "a.safetensors", some_tensors(), HEADER)
    checkpoint = read(tmp_path / "a.safetensors", prefixes=["ema/", "optimizer/generator/"])
    assert sorted(checkpoint.tensors) == ["ema/weight", "optimizer/generator/0/exp_avg"]
    assert list(checkpoint.under("ema/")) == ["weight"]


def test_header_with_an_unknown_field_is_a_programming_error(tmp_path):
    with pytest.raises(ValueError, match="wrong"):
        write(tmp_path / "a.safetensors", {}, {**HEADER, "wrong": 1})


@pytest.mark.parametrize(("images", "name"), [
    (0, "kimg-000000"), (200_000, "kimg-000200"), (12_345, "kimg-000012_345"), (12_000, "kimg-000012"),
    (1_234_567_000, "kimg-1234567"),
])
def test_names_tell_the_images(images, name, tmp_path):
    assert kimg_name(images) == name
    assert images_of(tmp_path / f"{name}.safetensors") == images


def test_names_sort_by_time():
    images = [0, 1, 64, 999, 1000, 1001, 12_000, 12_345, 13_000, 200_000]
    names = [kimg_name(count) + ".safetensors" for count in images]
    assert sorted(names) == names


def break_file(kind: str, path) -> None:
    good = path.read_bytes()
    length = struct.unpack("<Q", good[:8])[0]

    def with_table(change) -> bytes:
        table = json.loads(good[8:8 + length])
        fields = json.loads(table["__metadata__"]["gancli"])
        change(fields)
        table["__metadata__"]["gancli"] = json.dumps(fields)
        text = json.dumps(table).encode()
        return struct.pack("<Q", len(text)) + text + good[8 + length:]

    if kind == "pickle":
        path.write_bytes(pickle.dumps(Payload(path.with_name("mark"))))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.pkl", pickle.dumps(Payload(path.with_name("mark"))))
    elif kind == "torch.save":
        torch.save({"model": torch.zeros(3)}, path)
    elif kind == "foreign safetensors":
        safetensors.torch.save_file({"a": torch.zeros(3)}, path)
    elif kind == "missing":
        path.unlink()
    else:
        path.write_bytes({
            "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
            "empty": b"",
            "text": b"hello, I am no checkpoint at all, whatever my name says",
            "truncated data": good[:-5],
            "truncated header": good[:60],
            "truncated length": good[:3],
            "appended": good + b"x",
            "flipped bit": good[:-1] + bytes([good[-1] ^ 1]),
            "endless header": struct.pack("<Q", 1 << 40) + good[8:],
            "newer format": with_table(lambda fields: fields.update(format=FORMAT + 1, gancli="9.9")),
            "no version": with_table(lambda fields: fields.pop("gancli")),
            "no config": with_table(lambda fields: fields.pop("config")),
            "config is a list": with_table(lambda fields: fields.update(config=[])),
            "images are text": with_table(lambda fields: fields.update(progress={"images": "9"})),
            "interpolation": with_table(lambda fields: fields.update(config={"a": [{"b": "${oc.env:HOME}"}]})),
            "target": with_table(lambda fields: fields.update(config={"optimizer": {"_target_": "os.system"}})),
            "deep json": struct.pack("<Q", 200_000) + b"[" * 200_000,
            "bad table": good.replace(b'"F32"', b'"F99"'),
            "overlapping": good.replace(b'"data_offsets": [0,', b'"data_offsets": [8,'),
        }[kind])


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark) -> None:
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


REFUSALS = {
    "missing": "There is no checkpoint", "pickle": "Python pickle", "zip": "zip archive", "torch.save": "zip archive",
    "png": "PNG picture", "foreign safetensors": "not a checkpoint of gancli", "empty": "0 bytes",
    "text": "no safetensors file", "truncated data": "truncated", "truncated header": "truncated",
    "truncated length": "truncated", "appended": "damaged", "flipped bit": "checksum",
    "endless header": "no safetensors file", "newer format": "install the newer gancli", "no version": "no version",
    "no config": "lacks fields", "config is a list": "lacks fields", "images are text": "images is not a whole number",
    "interpolation": "interpolation", "target": "holds _target_",
    "deep json": "no JSON", "bad table": "table of tensors",
    "overlapping": "table of tensors",
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_is_no_checkpoint_is_refused_with_the_reason(kind, tmp_path):
    assert len(REFUSALS) == 24
    path = tmp_path / "kimg-000012_345.safetensors"
    write(path, {"model/a": torch.arange(9.0)}, HEADER)
    break_file(kind, path)
    with pytest.raises(UserError, match=REFUSALS[kind]) as caught:
        read(path)
    assert str(path) in str(caught.value) and not (tmp_path / "mark").exists()


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match="it is a folder"):
        read(tmp_path)


def test_a_full_disk_leaves_the_previous_checkpoint_good(tmp_path):
    folder = CheckpointFolder(tmp_path / "20260101T000000Z-abcdef-gan-digits")
    first = folder.save(1000, {"model/a": torch.zeros(10)}, HEADER)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"Saving .*kimg-000002.* failed: .* MiB are free .*resume=.*/20260101"):
            folder.save(2000, {"model/a": torch.zeros(100_000)}, HEADER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert folder.list() == [first] and folder.latest() == first
    assert sorted(path.name for path in folder.path.iterdir()) == [first.name]


def test_a_disk_that_fills_on_fsync_leaves_the_file_of_that_name_good(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    write(path, {"model/a": torch.zeros(3)}, HEADER)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        write(path, {"model/a": torch.ones(3)}, HEADER)
    assert torch.equal(read(path).tensors["model/a"], torch.zeros(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


KILLED = """
import os, sys, torch
from gancli.runs import checkpoint
real, left = checkpoint._write_tensor, [int(sys.argv[2])]
def dying(file, tensor):
    left[0] -= 1
    if left[0] < 0:
        file.flush()
        os.kill(os.getpid(), 9)
    return real(file, tensor)
checkpoint._write_tensor = dying
tensors = {f"model/{i}": torch.full((1000,), 2.0) for i in range(4)}
checkpoint.CheckpointFolder(sys.argv[1]).save(2000, tensors, {"config": {}, "spec": {}, "progress": {"images": 2000}})
"""


@pytest.mark.recipe  # seconds
def test_a_kill_during_a_save_leaves_the_previous_checkpoint_and_its_leftovers_go(tmp_path):
    folder = CheckpointFolder(tmp_path)
    first = folder.save(1000, {"model/a": torch.ones(3)}, HEADER)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "2"])
    assert done.returncode == -9
    assert len(list(folder.path.iterdir())) == 2  # the first checkpoint and a leftover
    assert folder.list() == [first] and folder.latest() == first
    second = folder.save(3000, {"model/a": torch.ones(3)}, HEADER)
    assert sorted(folder.path.iterdir()) == [first, second]


def test_latest_skips_a_damaged_checkpoint_and_says_so(tmp_path, caplog):
    folder = CheckpointFolder(tmp_path)
    paths = [folder.save(images, {"model/a": torch.ones(3)}, HEADER) for images in (1000, 2000)]
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert folder.latest() == paths[0]
    assert "truncated" in caplog.text
    paths[0].write_bytes(b"")
    with pytest.raises(UserError, match="kimg-000002"):
        folder.latest()


def test_prune_keeps_the_newest_and_the_best(tmp_path):
    folder = CheckpointFolder(tmp_path)
    assert folder.list() == [] and folder.latest() is None and folder.best() is None
    paths = [folder.save(images, {"model/a": torch.ones(3)}, HEADER) for images in (500, 1000, 12_345, 13_000, 200_000)]
    folder.mark_best(paths[1])
    removed = folder.prune(2)
    assert removed == [paths[0], paths[2]]
    assert folder.list() == [paths[1], paths[3], paths[4]]
    assert folder.best() == paths[1] and folder.latest() == paths[4]
    with pytest.raises(ValueError, match="at least one"):
        folder.prune(0)


def test_best_never_leaves_its_folder(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(1000, {"model/a": torch.ones(3)}, HEADER)
    (tmp_path / "secret").write_text("x")
    (folder.path / "best").write_text("../secret")
    assert folder.best() is None
