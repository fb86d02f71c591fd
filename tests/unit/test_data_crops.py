"""Crops of larger images: numbers and places, one image as a data set, equal draws on every rank, labels, and refusals."""

from math import gcd

import numpy as np
import pytest
import torch
from data_composing import dataset_values, load, save_images
from PIL import Image

from gancli.data.crops import MOST, Crops
from gancli.data.dataset import check_batch, open_source
from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.ranks import shards
from gancli.ranks.shards import Place


def graded(folder, name="one.png", sides=(40, 30)):
    """Save an image (height, width) whose red tells the row and whose green the column; return the folder."""
    pixels = np.zeros((*sides, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(sides[0])[:, None], np.arange(sides[1])
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name)
    return str(folder)


def corners(x):
    """Return the (row, column) of each crop's first pixel, after a look at all of its pixels."""
    pixels = torch.round((x + 1) * 127.5).long()
    rows, columns = pixels[:, 0], pixels[:, 1]
    assert (rows == rows[:, :1, :1] + torch.arange(x.shape[2])[:, None]).all()
    assert (columns == columns[:, :1, :1] + torch.arange(x.shape[3])).all()
    return list(zip(rows[:, 0, 0].tolist(), columns[:, 0, 0].tolist(), strict=True))


def test_every_crop_has_one_number():
    crops = Crops(3, (6, 5), (4, 3))
    assert crops.places == 9 and crops.total == crops.count == 27 and gcd(crops._step, 9) == 1
    numbers = torch.arange(27)
    top, left = crops.corners(numbers)
    seen = set(zip(crops.image_of(numbers).tolist(), top.tolist(), left.tolist(), strict=True))
    assert seen == {(image, row, column) for image in range(3) for row in range(3) for column in range(3)}
    images = torch.randint(256, (3, 6, 5, 2), dtype=torch.uint8)
    cut = crops.cut(images, numbers)
    assert cut.shape == (27, 4, 3, 2)
    for number in (0, 11, 26):
        image, row, column = number % 3, int(top[number]), int(left[number])
        assert torch.equal(cut[number], images[image, row:row + 4, column:column + 3])


def test_the_first_few_are_spread_over_the_image():
    crops = Crops(1, (600, 600), (88, 88))
    assert crops.total == 513**2 and crops.count == MOST
    top, left = crops.corners(torch.arange(64))
    assert min(torch.histc(part.float(), 4, 0, 512).min() for part in (top, left)) >= 8


def test_one_image_is_a_data_set(tmp_path):
    path = graded(tmp_path / "in")
    data = load("folder", tmp_path, path=path, crops=[16, 12])
    assert data.spec.shape == (3, 16, 12) and data.spec.count == 25 * 19 == data.counts[0]
    assert data.spec.stored_bytes == 3 * 40 * 30 and any("crops of [16,12] pixels of one image" in n for n in data.notes)
    check_batch(data.spec, 64)
    x = data.batch(0, 400).real
    assert x.shape == (400, 3, 16, 12)
    seen = corners(x)
    assert len(set(seen)) > 200 and {row for row, _ in seen} == set(range(25)) and {c for _, c in seen} == set(range(19))
    assert torch.equal(load("folder", tmp_path, path=path, crops=[16, 12]).batch(0, 400).real, x)
    assert not torch.equal(load("folder", tmp_path, seed=1, path=path, crops=[16, 12]).batch(0, 400).real, x)
    assert torch.equal(data.batch(130, 40).real, x[130:170])  # a function of the position alone
    assert len(set(corners(data.first(16).real))) > 12 and torch.equal(data.first(16).real[:4], data.first(4).real)
    assert len(set(corners(data.examples(torch.arange(475))))) == 475


def test_ranks_have_their_slices_of_the_same_crops(tmp_path):
    path = graded(tmp_path / "in")
    data = load("folder", tmp_path, path=path, crops=16, flip=True)
    whole, parts = data.batch(0, 8).real, []
    for rank in range(2):
        with shards.taking(Place(rank, 2)):
            parts.append(data.batch(0, 8).real)
    assert torch.equal(torch.cat(parts), whole)


def test_crops_have_the_labels_of_their_images(tmp_path):
    for label, sides in (("bricks", (20, 20)), ("moss", (20, 20))):
        save_images(tmp_path / "in" / label, ["1.png", "2.png"], sides)
    data = load("folder", tmp_path, path=str(tmp_path / "in"), crops=9)
    assert data.spec.classes == ("bricks", "moss") and data.spec.count == 4 * 144
    batch, first = data.batch(0, 64), data.first(6)
    assert batch.labels.bincount().min() > 16 and first.labels.tolist() == [0, 1] * 3
    numbers = torch.arange(64)
    assert torch.equal(data.labels(numbers), torch.tensor([0, 0, 1, 1] * 16))


def test_paired_images_are_cut_alike(tmp_path):
    for domain in "ab":
        save_images(tmp_path / "in" / domain, ["1.png", "2.png", "3.png"], (24, 24))
    data = load("paired", tmp_path, path=str(tmp_path / "in"), crops=8)
    for batch in (data.batch(5, 20), data.first(9)):
        assert torch.equal(*batch.domains)


def test_stored_images_serve_crops_of_any_size(tmp_path):
    path = graded(tmp_path / "in")
    one, two = (load("folder", tmp_path, path=path, crops=crops, store="mmap") for crops in (8, 12))
    assert one.store_path == two.store_path and one.fingerprint == two.fingerprint
    assert not any("made again" in note for note in two.notes)


def test_what_cannot_be_cut_is_refused(tmp_path):
    path = graded(tmp_path / "in")
    for changes, said in (({"crops": 31}, "crops=31 is larger than the images of 40x30: give dataset.crops=30 or less, or "
                                          r"dataset.size=\[40,31\]"),
                          ({"crops": [16, 48], "size": 32}, r"crops=\[16,48\] is larger than the images of 32x32"),
                          ({"crops": 7}, "dataset.crops must be at least 8"),
                          ({"crops": "all"}, "dataset.crops must be a number of pixels or"),
                          ({"crops": 8, "labeled": 2}, "give one of the two")):
        with pytest.raises((UserError, UsageError), match=said):
            open_source(dataset_values("folder", path=path, **changes), tmp_path).inspect()
    graded(tmp_path / "in", "two.png", (50, 50))
    with pytest.raises(UsageError, match="differ in size"):
        open_source(dataset_values("folder", path=path, crops=8), tmp_path).inspect()
    whole = open_source(dataset_values("folder", path=path, crops=30, size=30), tmp_path).inspect()
    with pytest.raises(UserError, match="larger than the data set of 2"):
        check_batch(whole, 4)


def test_specs_of_before_there_were_crops_are_read():
    values = DataSpec((3, 8, 8), 5).as_dict()
    del values["stored"]
    assert DataSpec.from_dict(values) == DataSpec((3, 8, 8), 5) and DataSpec((3, 8, 8), 5).stored_bytes == 960
