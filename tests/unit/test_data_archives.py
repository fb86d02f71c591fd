"""Archives and tables of images, and files of labels: what is recognized, told in a line, and refused in a sentence."""

import json
import struct
import zipfile

import numpy as np
import pytest
from archived import pixels_of, png, table, write_arrow, write_parquet, write_tar, write_zip
from data_composing import dataset_values, load, save_images

from gancli.data.archives import members, zips
from gancli.data.contents import parts_of
from gancli.data.dataset import open_source
from gancli.errors import UserError

TREE = {f"{name}/{number}.png": png(number) for name in ("cat", "dog") for number in range(3)}
IN_PARTS = {f"my/{part}/{name}": content for part in ("train", "test") for name, content in TREE.items()}
SHARD = {f"{number:05d}.{ending}": content for number in range(4)
         for ending, content in (("png", png(number)), ("cls", str(number % 2).encode()), ("txt", b"words"))}
NAMED = {f"{number // 2:05d}/img{number:08d}.png": png(number) for number in range(6)}
STYLEGAN = NAMED | {"dataset.json": json.dumps({"labels": [[name, number % 3] for number, name in enumerate(NAMED)]})}
JSONS = {f"{number}.{ending}": content for number in range(4)
         for ending, content in (("png", png(number)), ("json", json.dumps({"class": "ab"[number % 2]}).encode()))}


def shards(folder):
    for part, count in (("train", 2), ("test", 1)):
        for number in range(count):
            write_tar(folder / f"x-{part}-{number:06d}.tar", SHARD)


def tables(folder):
    write_parquet(folder / "data/train-00000-of-00002.parquet", table(70), row_group_size=40)
    write_parquet(folder / "data/train-00001-of-00002.parquet", table(10, first=70))
    write_parquet(folder / "data/test-00000-of-00001.parquet", table(3, labels=False))


def saved(folder):
    for part, count in (("train", 9), ("test", 4)):
        write_arrow(folder / part / "data-00000-of-00001.arrow", table(count))
        write_arrow(folder / part / "cache-0123.arrow", table(2))
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')


LAYOUTS = {  # what is written at the path, the examples, their classes, and the line
    "plain.zip": (lambda p: write_zip(p, {f"{i}.png": png(i) for i in range(5)}), 5, (), "Zip archive plain.zip: 5 images."),
    "tree.zip": (lambda p: write_zip(p, TREE), 6, ("cat", "dog"), "Zip archive tree.zip: 6 images in 2 classes."),
    "parts.zip": (lambda p: write_zip(p, IN_PARTS), 6, ("cat", "dog"),
                  "Zip archive parts.zip: train 6 in 2 classes; test 6 kept for evaluation."),
    "mac.zip": (lambda p: write_zip(p, {"a/1.png": png(1), "__MACOSX/a/._1.png": b"x", ".DS_Store": b"x"}), 1, (),
                "Zip archive mac.zip: 1 image."),
    "stylegan.zip": (lambda p: write_zip(p, STYLEGAN), 6, ("0", "1", "2"),
                     "Zip archive stylegan.zip: 6 images in 3 classes (labels: dataset.json)."),
    "unlabeled.zip": (lambda p: write_zip(p, NAMED | {"dataset.json": '{"labels": null}'}), 6, (),
                      "Zip archive unlabeled.zip: 6 images."),
    "tree.tar": (lambda p: write_tar(p, {f"top/{name}": content for name, content in TREE.items()}), 6, ("cat", "dog"),
                 "Tar archive tree.tar: 6 images in 2 classes."),
    "shard.tar": (lambda p: write_tar(p, SHARD), 4, ("0", "1"),
                  "Tar archive shard.tar: 4 images in 2 classes (labels: .cls files)."),
    "json.tar": (lambda p: write_tar(p, JSONS), 4, ("a", "b"),
                 "Tar archive json.tar: 4 images in 2 classes (labels: the key class of .json files)."),
    "shards": (shards, 8, ("0", "1"),
               "Folder shards of 3 tar archives: train 8 in 2 classes; test 4 kept for evaluation (labels: .cls files)."),
    "table.parquet": (lambda p: write_parquet(p, table(5)), 5, ("cat", "dog"),
                      "Parquet file table.parquet: 5 images in 2 classes (labels: the column label)."),
    "tables": (tables, 80, ("cat", "dog"), "Folder tables of 3 parquet files: train 80 in 2 classes; test 3 kept for "
               "evaluation (labels: the column label)."),
    "saved": (saved, 9, ("cat", "dog"), "Folder saved of 2 Arrow files: train 9 in 2 classes; test 4 kept for evaluation "
              "(labels: the column label)."),
}


def needs_arrow(name):
    if name in ("table.parquet", "tables", "saved"):
        pytest.importorskip("pyarrow", reason="pyarrow of the extra tables is not installed")


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_layouts_are_recognized_and_told_in_a_line(name, tmp_path):
    needs_arrow(name)
    write, count, classes, line = LAYOUTS[name]
    write(tmp_path / name)
    data = load("folder", tmp_path, path=str(tmp_path / name), size=16, store="memory")
    assert (data.spec.count, data.spec.classes, data.notes[-1]) == (count, classes, line) and not data.skipped


def test_number_of_layouts():
    assert len(LAYOUTS) == 13


@pytest.mark.parametrize("name", ["plain.zip", "table.parquet", "tables", "saved"])
def test_pixels_are_those_of_the_files(name, tmp_path):
    needs_arrow(name)
    LAYOUTS[name][0](tmp_path / name)
    values = dataset_values("folder", path=str(tmp_path / name), size=16)
    source = open_source(values, tmp_path)
    source.inspect()
    images = np.concatenate([block.examples for block in source.blocks()])
    assert all((image == pixels_of(png(number))).all() for number, image in enumerate(images))
    assert list(tmp_path.rglob("*.png")) == []


def test_a_part_whose_labels_are_secret_does_not_hide_the_others(tmp_path):
    needs_arrow("tables")
    tables(tmp_path / "in")
    data = load("folder", tmp_path, path=str(tmp_path / "in"), size=16, split="test", store="memory")
    assert data.spec.count == 3 and any("3 of 3 images have none" in note for note in data.notes)


METADATA = {
    "metadata.csv": "file_name,label,age,text\na.png,cat,3,x\nb.png,dog,4,y\nc.png,cat,3,z\n",
    "metadata.jsonl": "".join(json.dumps(dict(file_name=name, label=label, age=age)) + "\n" for name, label, age in
                              (("a.png", "cat", 3), ("b.png", "dog", 4), ("c.png", "cat", 3))),
}


@pytest.mark.parametrize("name", list(METADATA))
def test_labels_of_an_image_folder(name, tmp_path):
    save_images(tmp_path / "in", ["a.png", "b.png", "c.png"])
    (tmp_path / "in" / name).write_text(METADATA[name])
    common = dict(path=str(tmp_path / "in"), size=16, store="memory")
    data = load("folder", tmp_path, **common)
    assert data.spec.classes == ("cat", "dog") and data.notes == (
        f"Folder in: 3 images in 2 classes (labels: the column label of {name}).",)
    assert load("folder", tmp_path, labels="age", **common).spec.classes == ("3", "4")
    without = load("folder", tmp_path, labels="none", **common)
    assert without.spec.classes == () and without.notes == (f"{name} is not looked at (dataset.labels=none).",)
    before = load("folder", tmp_path, label_files="none", **common)
    assert before.spec.classes == () and before.notes == (f"{name} is not looked at (dataset.label_files=none).",)
    with pytest.raises(UserError, match="labels=ages is no column.*did you mean age"):
        load("folder", tmp_path, labels="ages", **common)


def test_captions_are_no_classes_and_named(tmp_path):
    save_images(tmp_path / "in", ["train/a.png", "test/b.png"])
    for part, name in (("train", "a"), ("test", "b")):
        (tmp_path / f"in/{part}/metadata.csv").write_text(f"file_name,text\n{name}.png,a photo\n")
    notes = load("folder", tmp_path, path=str(tmp_path / "in"), size=16, store="memory").notes
    assert "of the columns text none is taken for classes (dataset.labels=text would)" in notes[0]


def test_some_images_without_a_label(tmp_path):
    save_images(tmp_path / "in", ["a.png", "b.png"])
    (tmp_path / "in/metadata.csv").write_text("file_name,label\na.png,cat\n../../b.png,dog\n")
    notes = load("folder", tmp_path, path=str(tmp_path / "in"), size=16, store="memory").notes
    assert "1 of 2 images have none" in notes[0]
    with pytest.raises(UserError, match="cannot be classes: 1 of 2 images have none"):
        load("folder", tmp_path, path=str(tmp_path / "in"), size=16, labels="label")


def encrypted(path):
    write_zip(path, {"1.png": png(1)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + place] |= 1
    path.write_bytes(data)


def cut(path):
    write_tar(path, TREE)
    path.write_bytes(path.read_bytes()[:900])


BAD = {
    "locked.zip": (encrypted, "is encrypted: unpack it with its password"),
    "noise.zip": (lambda p: p.write_bytes(b"hello"), "cannot be read as a zip archive"),
    "empty.zip": (lambda p: write_zip(p, {"readme.txt": "x"}), "holds no images but 1 files of other kinds"),
    "cut.tar": (cut, "cannot be read as a tar archive.*it ends within"),
    "whole.tar.gz": (lambda p: write_tar(p, TREE, "w:gz"), "compressed as a whole.*gunzip --keep whole.tar.gz"),
    "whole.tar": (lambda p: write_tar(p, TREE, "w:gz"), "compressed as a whole"),
    "a.rar": (lambda p: p.write_bytes(b"Rar!"), "no archive of images that can be read: unpack it"),
    "noise.parquet": (lambda p: p.write_bytes(b"PAR1hello"), "cannot be read as a table"),
    "names.parquet": (lambda p: write_parquet(p, table(3).drop_columns("image")), "no column of images but label"),
    "packed.arrow": (lambda p: write_arrow(p, table(50), 50, options=pyarrow_options()), "it is compressed"),
    "noise.arrow": (lambda p: p.write_bytes(b"\xff\xff\xff\xff hello"), "cannot be read as a table"),
}


def pyarrow_options():
    import pyarrow

    return pyarrow.ipc.IpcWriteOptions(compression="zstd")


@pytest.mark.parametrize("name", list(BAD))
def test_what_cannot_be_read_is_a_sentence(name, tmp_path):
    if name.endswith((".parquet", ".arrow")):
        needs_arrow("tables")
    write, said = BAD[name]
    write(tmp_path / name)
    with pytest.raises(UserError, match=f"(?s){said}"):
        open_source(dataset_values("folder", path=str(tmp_path / name), size=16), tmp_path).inspect()


def test_number_of_bad_ones():
    assert len(BAD) == 11


def test_a_member_that_claims_too_much_is_broken_and_not_read(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", {"1.png": png(1), "2.png": png(2) + bytes(100_000)})
    monkeypatch.setattr(members, "LARGEST_IMAGE", 50_000)
    data = load("folder", tmp_path, path=str(path), size=16, store="memory")
    assert data.spec.count == 1 and "2.png" in data.skipped[0] and "more than such a file has" in data.skipped[0]


def test_a_directory_that_claims_more_than_the_memory_holds_is_not_read(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", TREE)
    monkeypatch.setattr("gancli.data.sizes.free_bytes", lambda: 1000)
    with pytest.raises(UserError, match="would need .* of memory"):
        zips.list_zip(path, None)


def test_images_that_lie_elsewhere_are_not_followed(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow of the extra tables is not installed")
    save_images(tmp_path, ["a.png"])
    cells = pyarrow.array([{"bytes": None, "path": str(tmp_path / "a.png")}],
                          pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]))
    path = write_parquet(tmp_path / "in.parquet", pyarrow.table({"image": cells}))
    with pytest.raises(UserError, match="the name of a file elsewhere, which is not followed"):
        load("folder", tmp_path, path=str(path), size=16)


def test_offsets_that_lead_out_of_a_table_are_seen_before_they_are_used(tmp_path):
    needs_arrow("saved")
    path = write_arrow(tmp_path / "a.arrow", table(4))
    data, first = path.read_bytes(), len(png(0))
    at = data.index(struct.pack("<2i", 0, first))
    path.write_bytes(data[:at + 4] + struct.pack("<i", 2**30) + data[at + 8:])
    with pytest.raises(UserError, match="cannot be read as a table"):
        open_source(dataset_values("folder", path=str(path), size=16), tmp_path).inspect()


@pytest.mark.parametrize(("names", "parts"), [
    (["data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"], ["train", "val"]),
    (["default/train/0000.parquet", "default/test/0000.parquet"], ["train", "test"]),
    (["x-train-000000.tar", "x-train-000001.tar"], ["train", "train"]),
    (["trains.tar", "tests.tar"], None), (["train.tar", "other.tar"], None), (["test.tar"], None),
])
def test_parts_by_the_names_of_shards(names, parts):
    assert parts_of(names) == parts
