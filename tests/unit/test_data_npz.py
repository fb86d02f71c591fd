"""Arrays of one's own: every layout and type that makes sense, and a sentence for those that do not."""

import numpy as np
import pytest
import torch
from data_composing import dataset_values, load

from gancli.data.dataset import open_source
from gancli.errors import UserError

RANDOM = np.random.default_rng(0)
GRAY = RANDOM.integers(0, 256, (6, 10, 12), dtype=np.uint8)
COLOR = RANDOM.integers(0, 256, (6, 10, 12, 3), dtype=np.uint8)

ARRAYS = {
    "gray": (GRAY, GRAY[..., None]),
    "nhwc": (COLOR, COLOR),
    "nchw": (COLOR.transpose(0, 3, 1, 2), COLOR),
    "unit_float": (COLOR / 255, COLOR),
    "signed_float": ((COLOR / 127.5 - 1).astype(np.float32), COLOR),
    "int64": (COLOR.astype(np.int64), COLOR),
    "uint16": (COLOR.astype(np.uint16) * 257, COLOR),
    "bool": (GRAY > 127, ((GRAY > 127) * 255)[..., None]),
}


@pytest.mark.parametrize("ending", ["npz", "npy"])
@pytest.mark.parametrize("name", list(ARRAYS))
def test_array(name, ending, tmp_path):
    images, expected = ARRAYS[name]
    path = tmp_path / f"data.{ending}"
    np.save(path, images) if ending == "npy" else np.savez(path, images=images)
    data = load("npz", tmp_path, path=str(path))
    assert data.spec.shape == (expected.shape[3], 10, 12) and data.spec.classes == ()
    pixels = torch.round((data.batch(0, 6).real + 1) * 127.5).byte().permute(0, 2, 3, 1).numpy()
    assert sorted(p.tobytes() for p in pixels) == sorted(e.astype(np.uint8).tobytes() for e in expected)


def test_number_of_arrays():
    assert len(ARRAYS) == 8


def test_labels(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=GRAY, labels=np.array([0, 2, 2, 0, 0, 2]))
    assert load("npz", tmp_path, path=str(path)).spec.classes == ("0", "1", "2")
    np.savez(path, images=GRAY, labels=np.array([0, 1, 1, 0, 0, 1]), classes=np.array(["no", "yes"]))
    assert load("npz", tmp_path, path=str(path)).spec.classes == ("no", "yes")
    np.savez(path, images=GRAY, labels=np.array(["b", "a", "a", "a", "a", "a"]))
    data = load("npz", tmp_path, path=str(path))
    assert data.spec.classes == ("a", "b") and data.batch(0, 6).labels.sum() == 1


def test_attributes(tmp_path):
    path, values = tmp_path / "a.npz", np.array([[0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [1, 1]])
    numbered = np.arange(6, dtype=np.uint8)[:, None, None] + np.zeros((1, 8, 8), np.uint8)
    for given in (values, values.astype(bool), values.astype(np.float32)):
        np.savez(path, images=numbered, attributes=given, attribute_names=np.array(["hat", "smile"]))
        data = load("npz", tmp_path, path=str(path))
        assert data.spec.attributes == ("hat", "smile") and data.spec.classes == ()
        batch = data.batch(2, 6)
        assert torch.equal(batch.attributes, torch.from_numpy(values)[numbers(batch.real)].float())
        assert torch.equal(data.first(3).attributes, torch.from_numpy(values)[numbers(data.first(3).real)].float())
    np.savez(path, images=numbered, attributes=values)
    assert load("npz", tmp_path, path=str(path), limit=3).spec.attributes == ("0", "1")
    assert load("npz", tmp_path, path=str(path), limit=3).attributes(torch.arange(3)).tolist() == [[0, 1], [0, 0], [0, 1]]


def numbers(images):
    return torch.round((images[:, 0, 0, 0] + 1) * 127.5).long()


def bad(path, **arrays):
    np.savez(path, **arrays)


BAD = {
    "no images": (lambda p: bad(p, pictures=np.zeros(6)), "no array called images; there is pictures"),
    "several images": (lambda p: bad(p, a=GRAY, b=COLOR), "several arrays that could be images .a, b.: give dataset.images="),
    "no such array": (lambda p: bad(p, x_tests=GRAY, x_val=GRAY), "several arrays that could be images"),
    "not an archive": (lambda p: p.write_bytes(b"hello"), "cannot be read"),
    "empty": (lambda p: p.write_bytes(b""), "cannot be read"),
    "pickle": (lambda p: bad(p, images=np.array([{}] * 4, dtype=object)), "type object"),
    "two dimensions": (lambda p: bad(p, images=np.zeros((4, 784))), "shape .4, 784."),
    "too small": (lambda p: bad(p, images=np.zeros((4, 6, 6))), "at least 8"),
    "none": (lambda p: bad(p, images=np.zeros((0, 16, 16))), "shape"),
    "complex": (lambda p: bad(p, images=np.zeros((4, 16, 16), complex)), "type complex"),
    "labels short": (lambda p: bad(p, images=GRAY, labels=np.zeros(5, int)), "6 images but labels of shape .5."),
    "labels negative": (lambda p: bad(p, images=GRAY, labels=np.full(6, -1)), "whole numbers from 0"),
    "labels pickled": (lambda p: bad(p, images=GRAY, labels=np.array([{}] * 6)), "labels in .* cannot be read"),
    "attributes short": (lambda p: bad(p, images=GRAY, attributes=np.zeros((5, 2))), "attributes of shape .5, 2."),
    "attributes flat": (lambda p: bad(p, images=GRAY, attributes=np.zeros(6)), "attributes of shape .6."),
    "attributes signed": (lambda p: bad(p, images=GRAY, attributes=np.full((6, 2), -1)), "not all 0 or 1"),
    "attributes pickled": (lambda p: bad(p, images=GRAY, attributes=np.array([[{}]] * 6)), "attributes in .* cannot be"),
    "names short": (lambda p: bad(p, images=GRAY, attributes=np.zeros((6, 2)), attribute_names=np.array(["a"])),
                    "2 attributes and the names a: name each"),
    "classes short": (lambda p: bad(p, images=GRAY, labels=np.full(6, 3), classes=np.array(["a"])), "names 1 classes"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_file_is_refused_by_the_check(name, tmp_path):
    make, said = BAD[name]
    make(tmp_path / "a.npz")
    with pytest.raises(UserError, match=said):
        open_source(dataset_values("npz", path=str(tmp_path / "a.npz")), tmp_path).inspect()


def test_number_of_bad_files():
    assert len(BAD) == 19


@pytest.mark.parametrize("values", [GRAY.astype(np.float32), np.full((2, 16, 16), np.nan), GRAY.astype(np.int32) - 300])
def test_values_out_of_range(values, tmp_path):
    np.savez(tmp_path / "a.npz", images=values)
    with pytest.raises(UserError, match="convert the images to uint8"):
        load("npz", tmp_path, path=str(tmp_path / "a.npz"))


def test_a_damaged_archive(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.concatenate([COLOR] * 60))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[60000] ^= 255
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        load("npz", tmp_path, path=str(tmp_path / "a.npz"))


def test_missing_and_wrong_path(tmp_path):
    np.savez(tmp_path / "faces.npz", images=COLOR)
    cases = ((tmp_path / "face.npz", "did you mean faces.npz"), (tmp_path, "is a folder"), (None, "no value"))
    for path, said in cases:
        with pytest.raises(UserError, match=said):
            open_source(dataset_values("npz", path=path and str(path)), tmp_path)


def test_arrays_of_other_names_and_parts(tmp_path):
    path, numbers = tmp_path / "a.npz", np.arange(6)[:, None] % 3  # labels as Keras has them, [N, 1]
    np.savez(path, x_train=COLOR, y_train=numbers, x_test=COLOR[:2], y_test=numbers[:2])
    data = {split: load("npz", tmp_path, path=str(path), split=split) for split in ("train", "test", "all")}
    assert {split: some.spec.count for split, some in data.items()} == {"train": 6, "test": 2, "all": 8}
    assert {some.spec.classes for some in data.values()} == {("0", "1", "2")}
    assert data["train"].notes == ("Arrays of a.npz: train 6 in 3 classes; test 2 kept for evaluation.",)
    with pytest.raises(UserError, match="no arrays for dataset.split=val, but for train, test"):
        load("npz", tmp_path, path=str(path), split="val")
    named = load("npz", tmp_path, path=str(path), images="x_test", labels="none")
    assert named.spec.count == 2 and named.spec.classes == ()
    with pytest.raises(UserError, match="dataset.images=x_trian is no array.*did you mean x_train"):
        load("npz", tmp_path, path=str(path), images="x_trian")
    np.savez(path, train_images=COLOR, train_labels=numbers, val_images=COLOR[:1], val_labels=numbers[:1],
             test_images=COLOR[:2], test_labels=numbers[:2])
    assert load("npz", tmp_path, path=str(path), split="val").spec.count == 1
    np.savez(path, photos=COLOR, ages=np.arange(6))
    data = load("npz", tmp_path, path=str(path), labels="ages")
    assert len(data.spec.classes) == 6 and "the array photos of a.npz" in data.notes[0]
