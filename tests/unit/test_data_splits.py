"""Folders called train, val and test are the parts of a data set, in the layouts that are about."""

import pytest
from data_composing import dataset_values, load, save_images

from gancli.data.dataset import open_source
from gancli.data.holdout import held_out
from gancli.data.splits import find_splits
from gancli.errors import UserError

FILES = {"train": 5, "val": 3, "test": 2}


@pytest.mark.parametrize(("folders", "parts", "domains"), [
    (("train", "test"), ["train", "test"], []),
    (("training", "valid", "testing"), ["train", "val", "test"], []),
    (("Train", "VALIDATION"), ["train", "val"], []),
    (("train",), ["train"], []),
    (("trainA", "trainB", "testA", "testB"), ["train", "test"], ["A", "B"]),
    (("train_photo", "train_sketch", "val_photo", "val_sketch"), ["train", "val"], ["photo", "sketch"]),
])
def test_parts_are_found(folders, parts, domains):
    found = find_splits(folders)
    assert found.parts == parts and found.domains == domains


@pytest.mark.parametrize("folders", [
    (), ("test", "val"), ("train", "car"), ("train", "test", "labels"), ("trainA", "trainB", "testA"), ("train", "trainA"),
    ("train", "training"), ("cat", "dog"),
])
def test_other_folders_are_no_parts(folders):
    assert find_splits(folders) is None


def classes_in_parts(folder):
    save_images(folder, [f"{part}/{name}/{part}{i}.png" for part, count in FILES.items() for name in ("cat", "dog")
                         for i in range(count)])
    return str(folder)


def test_training_never_sees_the_test_folder(tmp_path):
    path = classes_in_parts(tmp_path / "in")
    data = load("folder", tmp_path, path=path, size=16)
    assert data.spec.count == 10 and data.spec.classes == ("cat", "dog")
    assert data.notes == ("Folder in: train 10 in 2 classes; val 6 and test 4 kept for evaluation.",)
    others = [load("folder", tmp_path, path=path, size=16, split=split) for split in ("val", "test", "all")]
    assert [data.spec.count for data in others] == [6, 4, 20]
    values = dataset_values("folder", path=path, size=16)
    source = open_source(values, tmp_path)
    assert held_out(values, source, tmp_path)["split"] == "test"
    assert held_out(values, source, tmp_path, ("val", "test"))["split"] == "val"
    plain = load("folder", tmp_path, path=path, size=16, splits="none")
    assert plain.spec.count == 20 and plain.spec.classes == ("test", "train", "val")


def test_a_part_that_there_is_not(tmp_path):
    save_images(tmp_path / "in", ["train/a.png", "train/b.png", "val/c.png"])
    path = str(tmp_path / "in")
    assert load("folder", tmp_path, path=path, size=16, split="test").spec.count == 1  # the part that training leaves out
    save_images(tmp_path / "one", ["train/a.png", "train/b.png"])
    with pytest.raises(UserError, match="no folder for dataset.split=test, but for train"):
        load("folder", tmp_path, path=str(tmp_path / "one"), size=16, split="test")
    save_images(tmp_path / "flat", ["a.png", "b.png"])
    with pytest.raises(UserError, match="dataset.split=val needs a folder"):
        load("folder", tmp_path, path=str(tmp_path / "flat"), size=16, split="val")
    with pytest.raises(UserError, match="needs a part that training leaves out"):
        load("folder", tmp_path, path=str(tmp_path / "flat"), size=16, split="test")


def test_a_fraction_beside_parts_is_not_drawn(tmp_path):
    data = load("folder", tmp_path, path=classes_in_parts(tmp_path / "in"), size=16, holdout=0.5)
    assert data.spec.count == 10 and any("dataset.holdout=0.5 is not used" in note for note in data.notes)


@pytest.mark.parametrize("layout", ["{part}{domain}", "{part}/{domain}"])
@pytest.mark.parametrize("name", ["unpaired", "paired"])
def test_two_domains_in_parts(tmp_path, name, layout):
    save_images(tmp_path / "in", [f"{layout.format(part=part, domain=domain)}/{i}.png" for part, count in FILES.items()
                                  for domain in "AB" for i in range(count)])
    path = str(tmp_path / "in")
    data = {split: load(name, tmp_path, path=path, size=16, split=split) for split in ("train", "val", "test", "all")}
    assert {split: some.counts for split, some in data.items()} == {
        "train": (5, 5), "val": (3, 3), "test": (2, 2), "all": (10, 10)}
    assert {some.spec.domains for some in data.values()} == {("A", "B")}
    assert load(name, tmp_path, path=path, size=16, domains=["B", "A"]).spec.domains == ("B", "A")


def test_folders_named_themselves_are_taken_as_they_are(tmp_path):
    save_images(tmp_path / "in", [f"{part}{domain}/{i}.png" for part in FILES for domain in "AB" for i in range(3)])
    data = load("unpaired", tmp_path, path=str(tmp_path / "in"), size=16, domains=["testA", "trainB"])
    assert data.spec.domains == ("testA", "trainB") and data.counts == (3, 3)


def test_halves_of_one_file_in_parts(tmp_path):
    save_images(tmp_path / "in", [f"{part}/{i}.png" for part, count in FILES.items() for i in range(count)], size=(16, 32))
    path = str(tmp_path / "in")
    for split, count in FILES.items():
        assert load("paired", tmp_path, path=path, side_by_side=True, size=16, split=split).spec.count == count


def test_a_domain_that_a_part_lacks(tmp_path):
    save_images(tmp_path / "in", ["train/A/1.png", "train/B/1.png", "test/A/1.png"])
    path = str(tmp_path / "in")
    assert load("unpaired", tmp_path, path=path, size=16).counts == (1, 1)
    with pytest.raises(UserError, match="every part needs both domains"):
        load("unpaired", tmp_path, path=path, size=16, split="test")


def test_domains_in_the_names_of_parts_are_classes_of_a_folder(tmp_path):
    save_images(tmp_path / "in", [f"{part}{domain}/{i}.png" for part, count in FILES.items() for domain in "AB"
                                  for i in range(count)])
    data = load("folder", tmp_path, path=str(tmp_path / "in"), size=16)
    assert data.spec.count == 10 and data.spec.classes == ("A", "B")
    assert data.notes == ("Folder in: train 10 in 2 classes; val 6 and test 4 kept for evaluation.",)


def test_parts_beside_other_folders_are_not_taken_for_classes(tmp_path):
    save_images(tmp_path / "in", ["train/a.png", "test/b.png", "extra/c.png"])
    path = str(tmp_path / "in")
    with pytest.raises(UserError, match="sub-folders test, train, which are called as parts.* beside extra: move these away"):
        load("folder", tmp_path, path=path, size=16)
    assert load("folder", tmp_path, path=path, size=16, splits="none").spec.classes == ("extra", "test", "train")
