"""Own files: folder, paired, unpaired; what they list, label and pair, and how they refuse."""

import os

import pytest
import torch
from data_composing import dataset_values, load, save_images
from PIL import Image

from gancli.data import listing
from gancli.data.dataset import open_source
from gancli.data.files import size_for
from gancli.errors import UserError


def inspected(name, data_dir, **changes):
    return open_source(dataset_values(name, **changes), data_dir).inspect()


def test_any_layout_is_listed_and_the_rest_passed_over(tmp_path):
    save_images(tmp_path / "in", ["a.png", "deep/er/b.JPG", "é漢.webp", "deep/c.tif"])
    save_images(tmp_path / "in", [".hidden/d.png", ".e.png"])
    (tmp_path / "in/notes.txt").write_text("x")
    (tmp_path / "in/deep/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/nowhere.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "in/link.png").symlink_to(tmp_path / "in/a.png")
    source = open_source(dataset_values("folder", path=str(tmp_path / "in"), size=16), tmp_path)
    spec = source.inspect()
    names = [row[0].name for row in source.groups[0].rows]
    assert names == ["a.png", "deep/c.tif", "deep/er/b.JPG", "link.png", "é漢.webp"]
    assert spec.count == 5 and spec.classes == () and any("Ignored 2 files" in note for note in source.notes)
    assert load("folder", tmp_path, path=str(tmp_path / "in"), size=16).spec.count == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gancli-store", "in"]


def test_names_that_are_not_text(tmp_path):
    folder = tmp_path / "in"
    save_images(folder, ["a.png"])
    os.rename(os.fsencode(folder / "a.png"), os.fsencode(folder) + b"/\xff\xfe.png")
    (folder / "b.png").write_bytes(b"")
    data = load("folder", tmp_path, path=str(folder), size=16, holdout=0.0)
    assert data.spec.count == 1 and data.skipped[0].startswith("b.png")
    with pytest.raises(UserError) as error:
        os.rename(folder / "b.png", os.fsencode(folder) + b"/\xfd.png")
        load("folder", tmp_path, path=str(folder), size=16, broken="fail")
    str(error.value).encode()


def test_sub_folders_are_labels(tmp_path):
    save_images(tmp_path / "in", ["dog/1.png", "cat/deep/1.png", "cat/2.png"])
    path = str(tmp_path / "in")
    data = load("folder", tmp_path, path=path, size=16)
    assert data.spec.classes == ("cat", "dog") and sorted(data.batch(0, 3).labels.tolist()) == [0, 0, 1]
    assert inspected("folder", tmp_path, path=path, size=16, labels="none").classes == ()
    save_images(tmp_path / "in", ["stray.png"])
    assert inspected("folder", tmp_path, path=path, size=16).classes == ()
    with pytest.raises(UserError, match="1 images lie in"):
        inspected("folder", tmp_path, path=path, size=16, labels="folders")


def test_held_out_parts_keep_the_class_numbers(tmp_path):
    save_images(tmp_path / "in", [f"{c}/{i}.png" for c in "abc" for i in range(30)])
    specs = [inspected("folder", tmp_path, path=str(tmp_path / "in"), size=16, holdout=0.2, split=split)
             for split in ("train", "test")]
    assert specs[0].classes == specs[1].classes == ("a", "b", "c") and specs[0].count + specs[1].count == 90


def test_channels_follow_the_files(tmp_path):
    save_images(tmp_path / "gray", ["a.png"], mode="L")
    save_images(tmp_path / "color", ["a.png"])
    for name, channels in (("gray", 1), ("color", 3)):
        assert inspected("folder", tmp_path, path=str(tmp_path / name), size=[16, 24]).shape == (channels, 16, 24)


def test_a_relative_path_is_looked_for_here_and_below_data_dir(tmp_path, monkeypatch):
    save_images(tmp_path / "data/mine", ["a.png"])
    monkeypatch.chdir(tmp_path)
    assert inspected("folder", tmp_path / "data", path="mine", size=16).count == 1
    assert inspected("folder", tmp_path, path="data/mine", size=16).count == 1


def test_small_images_are_noted(tmp_path):
    save_images(tmp_path / "in", ["a.png"])
    source = open_source(dataset_values("folder", path=str(tmp_path / "in"), size=32), tmp_path)
    source.inspect()
    assert "smaller than 32x32" in source.notes[0]


@pytest.mark.parametrize(("seen", "size"), [
    ([(28, 28)] * 4, (28, 28)), ([(20, 28)] * 3, (20, 28)), ([(36, 36)] * 3, (32, 32)),  # 36 halves to 9
    ([(24, 16)] * 3, (24, 16)), ([(128, 128)], (128, 128)), ([(256, 256)] * 2, (64, 64)),
    ([(70, 70), (16, 24)], (16, 16)), ([(3000, 4000)] * 50 + [(20, 20)], (64, 64)), ([(9, 9), (90, 90)], (16, 16)),
])
def test_a_size_for_images_without_one(seen, size):
    assert size_for(seen) == size


def test_a_chosen_size_is_told(tmp_path):
    save_images(tmp_path / "in", ["a.png", "b.png"], (24, 16))
    source = open_source(dataset_values("folder", path=str(tmp_path / "in")), tmp_path)
    assert source.inspect().shape == (3, 16, 24) and "keep their 16x24" in source.size_note
    save_images(tmp_path / "in", ["c.png"], (70, 70))
    data = load("folder", tmp_path, path=str(tmp_path / "in"))
    assert data.spec.shape == (3, 16, 16)
    assert any("differ, from 16x24 to 70x70: they become 16x16 (dataset.size=16;" in note for note in data.notes)


def test_missing_folders(tmp_path):
    (tmp_path / "photos").mkdir()
    cases = [
        ({"path": None}, "no value: give dataset.path=FOLDER"),
        ({"path": str(tmp_path / "fotos")}, "did you mean photos"),
        ({"path": str(tmp_path / "x/y")}, "there is no folder .*x either"),
        ({"path": str(tmp_path / "photos")}, "holds no images but no files"),
    ]
    for changes, said in cases:
        with pytest.raises(UserError, match=said):
            inspected("folder", tmp_path, size=16, **changes)
    (tmp_path / "photos/a.txt").touch()
    with pytest.raises(UserError, match="1 files of other kinds"):
        inspected("folder", tmp_path, size=16, path=str(tmp_path / "photos"))
    with pytest.raises(UserError, match="is a file"):
        inspected("folder", tmp_path, size=16, path=str(tmp_path / "photos/a.txt"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    save_images(tmp_path / "in", ["a.png", "locked/b.png"])
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(listing.os, "scandir", guarded)
    with pytest.raises(UserError, match="locked cannot be read .Permission denied"):
        inspected("folder", tmp_path, size=16, path=str(tmp_path / "in"))


def test_folders_of_broken_files_are_refused_by_the_check(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.png").write_bytes(b"broken")
    with pytest.raises(UserError, match="0.png cannot be decoded .not an image"):
        inspected("folder", tmp_path, size=16, path=str(folder))
    Image.new("L", (4, 4)).save(folder / "0.png")
    for i in (1, 2):
        (folder / f"{i}.png").unlink()
    with pytest.raises(UserError, match="4x4 pixels are too few"):
        inspected("folder", tmp_path, size=16, path=str(folder))


def make_domains(tmp_path, left=("1.png", "2.png", "x/3.png"), right=("1.jpg", "2.png", "x/3.png", "4.png")):
    save_images(tmp_path / "in/photo", list(left))
    save_images(tmp_path / "in/drawing", list(right))
    (tmp_path / "in/readme.json").touch()
    return str(tmp_path / "in")


def test_unpaired(tmp_path):
    path = make_domains(tmp_path)
    data = load("unpaired", tmp_path, path=path, size=16)
    assert data.spec.domains == ("drawing", "photo") and data.spec.count == 4 and not data.spec.paired
    assert [domain.shape for domain in data.batch(0, 5).domains] == [(5, 3, 16, 16)] * 2
    swapped = inspected("unpaired", tmp_path, path=path, size=16, domains=["photo", "drawing"])
    assert swapped.domains == ("photo", "drawing")


def test_paired_by_name_whatever_the_ending(tmp_path):
    path = make_domains(tmp_path)
    source = open_source(dataset_values("paired", path=path, size=16), tmp_path)
    assert source.inspect().count == 3 and source.inspect().paired
    assert [tuple(entry.name for entry in row) for row in source.groups[0].rows] == [
        ("1.jpg", "1.png"), ("2.png", "2.png"), ("x/3.png", "x/3.png")]
    assert any("Left out 1 files" in note for note in source.notes)


def test_a_broken_half_takes_its_partner_along(tmp_path):
    names = [f"{i}.png" for i in range(6)]
    for domain in "ab":
        save_images(tmp_path / "in" / domain, names)
    (tmp_path / "in/b/3.png").write_bytes(b"broken")
    data = load("paired", tmp_path, path=str(tmp_path / "in"), size=16)
    a, b = data.batch(0, 5).domains
    assert data.spec.count == 5 and torch.equal(a, b)


def test_held_out_names_are_the_same_in_both_domains(tmp_path):
    for domain in "ab":
        save_images(tmp_path / "in" / domain, [f"{i}.png" for i in range(60)])
    for name in ("paired", "unpaired"):
        values = dataset_values(name, path=str(tmp_path / "in"), size=16, holdout=0.2, split="test")
        groups = open_source(values, tmp_path).groups
        names = [[entry.name for entry in column] for group in groups for column in zip(*group.rows, strict=True)]
        assert len(names) == 2 and names[0] == names[1] and 4 < len(names[0]) < 24


def test_side_by_side(tmp_path):
    image = Image.new("RGB", (32, 16), "red")
    image.paste("blue", (16, 0, 32, 16))
    (tmp_path / "in").mkdir()
    image.save(tmp_path / "in/1.png")
    assert inspected("paired", tmp_path, path=str(tmp_path / "in"), side_by_side=True).shape == (3, 16, 16)
    data = load("paired", tmp_path, path=str(tmp_path / "in"), side_by_side=True, size=16, domains=["label", "photo"])
    left, right = data.batch(0, 1).domains
    assert data.spec.domains == ("label", "photo") and data.spec.paired
    assert left[0, :, 0, 0].tolist() == [1, -1, -1] and right[0, :, 0, 0].tolist() == [-1, -1, 1]


def test_domains_that_do_not_fit(tmp_path):
    path = make_domains(tmp_path, ("1.png",), ("2.png",))
    with pytest.raises(UserError, match="has its partner"):
        inspected("paired", tmp_path, path=path, size=16)
    with pytest.raises(UserError, match="did you mean photo"):
        inspected("unpaired", tmp_path, path=path, size=16, domains=["fhoto", "drawing"])
    save_images(tmp_path / "in/third", ["1.png"])
    with pytest.raises(UserError, match=r"dataset.domains=\[drawing,photo\]"):
        inspected("unpaired", tmp_path, path=path, size=16)
    with pytest.raises(UserError, match="needs two sub-folders.*none"):
        inspected("unpaired", tmp_path, path=str(tmp_path / "in/third"), size=16)
    save_images(tmp_path / "in/photo", ["1.jpg"])
    save_images(tmp_path / "in/drawing", ["1.png"])
    with pytest.raises(UserError, match="same name but for the ending"):
        inspected("paired", tmp_path, path=path, size=16, domains=["photo", "drawing"])
