"""`gan data`: what is told of a data set, and of a path in place of one."""

import shutil

import numpy as np
import pytest
from archived import png, write_zip
from data_composing import save_images
from PIL import Image

from gancli.cli.own_data import with_own_data
from gancli.config.compose import compose
from gancli.data.duplicates import difference_hash, find_duplicates
from gancli.data.kinds import kind_of
from gancli.data.listing import ignored
from gancli.errors import UserError
from gancli.monitor.blocks import in_blocks
from gancli.plan.doctor import examine


def told(folder, *overrides):
    report = examine(compose("data", [f"data_dir={folder}", *overrides]), lambda label, done, total: None)
    return dict(report.lines), report


def photos(folder):
    """Write a tree in parts with a broken file, a copy in another part and one that looks the same."""
    for number in range(4):
        save_images(folder, [f"train/cat/{number}.png"] * (number + 1), (30 + number, 40))
    save_images(folder, ["train/dog/x.png"], (50, 50), "L")
    smooth = np.add.outer(np.linspace(0, 120, 64), 60 * np.sin(np.linspace(0, 9, 64))).clip(0, 255).astype(np.uint8)
    Image.fromarray(smooth).save(folder / "train/dog/smooth.png")
    Image.fromarray(smooth).resize((60, 60)).save(folder / "train/dog/near.jpg", quality=90)
    (folder / "train/dog/bad.png").write_bytes(png(0)[:60])
    (folder / "test/cat").mkdir(parents=True)
    shutil.copy(folder / "train/cat/0.png", folder / "test/cat/same.png")
    return folder


def test_the_doctor_names_what_is_wrong(tmp_path):
    lines, report = told(tmp_path, f"dataset.path={photos(tmp_path / 'in')}", f"out={tmp_path / 'grid.png'}")
    assert lines["found"] == "Folder in: train 8 in 2 classes; test 1 kept for evaluation."
    assert lines["broken"].startswith("1: train/dog/bad.png (")
    assert lines["sizes"].startswith("7 different, from 40x30 to 64x64 (height x width)")
    assert lines["modes"] == "RGB 5, L 3"
    assert lines["copies"] == "1 image is equal to another to the byte: test/cat/same.png = train/cat/0.png"
    assert lines["near"] == "1 pair looks the same: train/dog/near.jpg ~ train/dog/smooth.png"
    assert lines["leak"].startswith("1 of these stand in two parts")
    assert lines["classes"] == "2, 4 images of each: cat, dog"
    assert "dcgan" in lines["models"] and "cgan" in lines["with labels"] and "cyclegan" not in lines["models"]
    words = f"dataset=folder dataset.path={tmp_path / 'in'} dataset.size=16"
    assert report.use == [f"gan {line}" for line in (
        f"validate price=true model=cgan {words}", f"train model=cgan {words}", f"train {words}",
        f"train model=cgan {words} augment=diffaugment")]
    assert Image.open(report.files[0]).size[0] >= 512
    assert {path.name for path in tmp_path.iterdir()} == {"in", "grid.png"}
    with pytest.raises(UserError, match="exists: give another out="):
        told(tmp_path, f"dataset.path={tmp_path / 'in'}", f"out={tmp_path / 'grid.png'}")


def test_the_doctor_on_an_archive_and_on_data_that_are_not_there(tmp_path):
    path = write_zip(tmp_path / "a.zip", {f"{number}.png": png(number % 5) for number in range(6)})
    lines, report = told(tmp_path, f"dataset.path={path}")
    assert lines["copies"] == "1 image is equal to another to the byte: 0.png = 5.png" and "with labels" not in lines
    assert len(report.columns) == 6 and report.files == []
    lines, report = told(tmp_path / "nowhere", "dataset=mnist")
    assert "first downloads about 12 MB" in lines["found"] and "classes" not in lines
    assert report.use == ["gan train model=cgan dataset=mnist", "gan train dataset=mnist"], "no price without data"
    assert not (tmp_path / "nowhere").exists()


def test_the_doctor_on_arrays_and_points(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.repeat(np.arange(5, dtype=np.uint8), 64).reshape(5, 8, 8), labels=[0, 0, 0, 0, 1])
    lines, _ = told(tmp_path, "dataset=npz", f"dataset.path={tmp_path / 'a.npz'}")
    assert lines["copies"] == "none" and lines["classes"] == "2: 0 4, 1 1"
    lines, report = told(tmp_path, "dataset=ring", "dataset.count=40")
    assert "2-d points" in lines["data"] and report.use[1:] == ["gan train model=gan dataset=ring"] and not report.columns


def test_halves_are_proposed_as_pairs(tmp_path):
    save_images(tmp_path / "in", ["a.png", "b.png"], (32, 16))
    assert "dataset.side_by_side=true" in told(tmp_path, f"dataset.path={tmp_path / 'in'}")[0]["pairs"]
    save_images(tmp_path / "in", ["c.png"], (32, 17))
    assert "pairs" not in told(tmp_path, f"dataset.path={tmp_path / 'in'}")[0]


def test_pairs_can_be_translated_by_both_systems_and_both_domains_are_counted(tmp_path):
    save_images(tmp_path / "in", [f"{part}{domain}/{i}.png" for part in ("train", "test") for domain in "AB" for i in (1, 2)])
    report = examine(compose("data", [f"data_dir={tmp_path}", "dataset=paired", f"dataset.path={tmp_path / 'in'}"]),
                     lambda label, done, total: None)
    assert [text for label, text in report.lines if label == "found"] == [
        f"Folder in, {domain}: train 2; test 2 kept for evaluation." for domain in "AB"]
    models = [line.split()[2:4] for line in report.use]
    assert models[1:] == [["model=pix2pix", "dataset=paired"], ["model=cyclegan", "dataset=unpaired"]]
    assert report.use[0] == report.use[1].replace("gan train", "gan validate price=true")


def test_one_file_is_one():
    assert ignored(1) == "Ignored 1 file that is no image."
    assert ignored(1200, " in x") == "Ignored 1,200 files in x that are no images."


def test_near_images_are_found_among_many_and_different_ones_are_not():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (300, 8, 9), dtype=np.uint8)
    images[200] = images[100]
    images[200, 0, 0] ^= 255  # one comparison may turn
    small = np.repeat(images[:, :, :8], 2, 1).repeat(2, 2)
    digests, hashes = [row.to_bytes(2) for row in range(300)], [difference_hash(image) for image in images]
    found = find_duplicates(digests, hashes, lambda rows: {row: small[row] for row in rows})
    assert found.near == [(100, 200)] and found.exact == [] and found.complete


def test_a_picture_in_blocks_has_two_pixels_a_character():
    text = in_blocks(np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3))
    assert text.plain == "\u2580" * 5 + "\n" + "\u2580" * 5 + "\n"
    assert str(text.spans[0].style) == "rgb(0,1,2) on rgb(15,16,17)"


def test_what_a_path_is(tmp_path):
    save_images(tmp_path / "plain", ["a.png", "b.png"])
    save_images(tmp_path / "pairs", [f"train{domain}/{i}.png" for domain in "AB" for i in range(2)])
    save_images(tmp_path / "domains", ["trainA/1.png", "trainB/2.png"])
    (tmp_path / "words").mkdir()
    (tmp_path / "words/a.txt").write_text("x")
    found = {name: kind_of(tmp_path / name) for name in ("plain", "pairs", "domains", "words", "a.zip", "a.npz", "a.txt")}
    assert found == {"plain": "folder", "pairs": "paired", "domains": "unpaired", "words": "text", "a.zip": "folder",
                     "a.npz": "npz", "a.txt": "text"}
    with pytest.raises(UserError, match="one image: give the folder"):
        kind_of(tmp_path / "plain/a.png")


def test_a_path_in_place_of_a_name(tmp_path, monkeypatch, capsys):
    save_images(tmp_path / "photos", ["a/1.png", "b/2.png"])
    monkeypatch.chdir(tmp_path)
    for given in ("dataset=photos", "dataset=./photos", f"dataset={tmp_path}/photos"):
        value = given.partition("=")[2]
        assert with_own_data("train", [given, "seed=1"]) == ["dataset=folder", f"dataset.path={value}", "seed=1"]
        assert f"{value} is taken as dataset=folder dataset.path={value}." in capsys.readouterr().err
    assert with_own_data("train", ["dataset.path=photos"]) == ["dataset=folder", "dataset.path=photos"]
    for line in (["dataset=mnist"], ["dataset=paired", "dataset.path=photos"], ["model=cyclegan", "dataset.path=photos"],
                 ["dataset=photoz"], ["resume=x", "dataset=photos"]):
        assert with_own_data("train", line) == line
    assert with_own_data("train", ["model=cyclegan", "dataset=photos"])[0] == "dataset=unpaired"
    assert with_own_data("sample", ["dataset=photos"]) == ["dataset=photos"]
    with pytest.raises(UserError, match="dataset=./photoz does not exist; did you mean photos"):
        with_own_data("train", ["dataset=./photoz"])
