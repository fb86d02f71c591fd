"""dataset.second: half of the images changed, as a second domain."""

import numpy as np
import pytest
import torch
from data_composing import dataset_values, load, save_images

from gancli.data.dataset import open_source
from gancli.data.second import edges, negatives
from gancli.errors import UsageError, UserError


def test_edges_are_what_dilation_adds():
    image = np.zeros((1, 4, 5, 1), np.uint8)
    image[0, 1, 1, 0], image[0, 3, 4, 0] = 200, 50
    expected = np.array([[200, 200, 200, 0, 0], [200, 0, 200, 0, 0], [200, 200, 200, 50, 50], [0, 0, 0, 50, 0]])
    assert np.array_equal(edges(image)[0, :, :, 0], expected)


def test_opacity_stays():
    image = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 4), dtype=np.uint8)
    for change in (edges, negatives):
        changed = change(image)
        assert np.array_equal(changed[..., 3], image[..., 3]) and not np.array_equal(changed[..., :3], image[..., :3])
    assert np.array_equal(negatives(image)[..., :3], 255 - image[..., :3])


def test_halves_are_disjoint_and_labels_those_of_the_first(tmp_path):
    plain, data = load("digits", tmp_path, size=8), load("digits", tmp_path, size=8, second="negatives")
    assert plain.counts == (1797,) and data.counts == (899, 898)
    assert data.spec.domains == ("original", "negatives") and not data.spec.paired and data.second == "negatives"
    assert data.spec.count == 899 and data.spec.classes == plain.spec.classes
    rows = torch.arange(1797)
    assert torch.equal(data.examples(rows[:899]), plain.examples(rows[::2]))
    assert torch.allclose(data.examples(rows[:898], 1), -plain.examples(rows[1::2]), atol=1e-6)
    assert torch.equal(data.labels(rows[:899]), plain.labels(rows[::2]))
    batch = data.batch(0, 16)
    assert len(batch.domains) == 2 and batch.labels.shape == (16,)
    assert load("digits", tmp_path, size=8).fingerprint == plain.fingerprint != data.fingerprint


def test_an_odd_number_and_many_blocks(tmp_path):
    data = load("digits", tmp_path, size=8, second="edges", limit=1101)  # blocks of 1024
    assert data.counts == (551, 550)


def test_files_are_halved_too_and_broken_ones_passed_over(tmp_path):
    save_images(tmp_path / "in", [f"{number}.png" for number in range(7)])
    (tmp_path / "in/3.png").write_bytes(b"no image")
    data = load("folder", tmp_path, path=str(tmp_path / "in"), size=16, second="negatives")
    assert data.counts == (3, 3) and len(data.skipped) == 1 and any("3.png" in note for note in data.notes)
    again = load("folder", tmp_path, path=str(tmp_path / "in"), size=16, second="negatives")
    assert again.fingerprint == data.fingerprint and again.store_path == data.store_path


def test_what_cannot_be_halved_is_refused(tmp_path):
    save_images(tmp_path / "in", ["a/1.png", "b/1.png"])
    one = dataset_values("folder", path=str(tmp_path / "in/a"), size=16, second="edges")
    with pytest.raises(UserError, match="needs two images or more"):
        open_source(one, tmp_path).inspect()
    two = dataset_values("unpaired", path=str(tmp_path / "in"), size=16, second="edges")
    with pytest.raises(UserError, match="dataset=unpaired has two"):
        open_source(two, tmp_path).inspect()
    with pytest.raises(UsageError, match="did you mean edges"):
        open_source(dataset_values("digits", second="edge"), tmp_path)
