"""Pyramids, canvases and textures from the command line: runs that are continued, and what is written of them."""

import numpy as np
import pytest
import torch
from PIL import Image
from planning import TINY, resume, run
from running import gan
from systems import small

from gancli.engine import training
from gancli.runs.checkpoint import CheckpointFolder, read

ROUNDS = ("trainer.kimg=0.024", "trainer.record_kimg=0.008", "trainer.sample_kimg=0.012", "trainer.checkpoint_kimg=0.012")


@pytest.fixture(scope="module")
def texture(tmp_path_factory):
    """A folder with one image of 40x36 pixels."""
    folder = tmp_path_factory.mktemp("texture")
    rows, columns = np.mgrid[:40, :36]
    pixels = (127 + 120 * np.sin(rows / 3) * np.cos(columns / 4)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "one.png")
    return folder


class StopAfterThreeRounds:
    """Stands in for a signal that arrives in the third round."""

    looks = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    @property
    def why(self):
        self.looks += 1
        return "SIGTERM" if self.looks >= 3 else None


@pytest.mark.parametrize("name", ["lapgan", "gran", "spatialgan"])
def test_a_continued_run_equals_the_uninterrupted_one_bit_for_bit(name, tmp_path, texture, monkeypatch):
    data = ("dataset=digits",)
    if name == "spatialgan":
        data = ("dataset=folder", f"dataset.path={texture}", "dataset.crops=9", "dataset.size=null")
    settings = (f"model={name}", *TINY, *data, *small(name), *ROUNDS)
    run(tmp_path / "whole", *settings)
    monkeypatch.setattr(training, "StopRequest", StopAfterThreeRounds)
    assert run(tmp_path / "parts", *settings).status == "stopped"
    monkeypatch.undo()
    assert training.train(resume(tmp_path / "parts")).status == "finished"
    whole, parts = (read(CheckpointFolder(tmp_path / folder).latest()).tensors for folder in ("whole", "parts"))
    assert whole.keys() == parts.keys() and any(key.startswith("optimizer/") for key in whole)
    assert not [key for key in whole if not torch.equal(whole[key], parts[key])]
    pictures = {path.name for path in (tmp_path / "whole/samples").iterdir()}
    shown = {"lapgan": {"levels", "sharpened"}, "gran": {"canvas"}, "spatialgan": set()}[name]
    assert all(f"{title}-kimg-000000_012.png" in pictures for title in shown) and "kimg-000000_024.png" in pictures


def test_a_texture_of_one_image_from_the_command_line(tmp_path, texture):
    gan("train", "model=spatialgan", "dataset=folder", f"dataset.path={texture}", "dataset.crops=29", "model.layers=3",
        "model.width=4", "trainer.batch_size=4", "trainer.kimg=0.02", "device=cpu", "run_dir=run", cwd=tmp_path)
    assert "crops of 29 pixels of one image of 40x36" in (tmp_path / "run/log.txt").read_text()
    gan("sample", "ckpt=run", "n=1", "size=[100,130]", "out=large.png", cwd=tmp_path)
    gan("sample", "ckpt=run", "n=1", "size=32", "tile=true", "out=tile.png", cwd=tmp_path)
    sizes = [Image.open(tmp_path / name).size for name in ("large.png", "tile.png")]
    assert sizes == [(130, 100), (32, 32)]
