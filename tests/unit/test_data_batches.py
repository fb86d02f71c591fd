"""Order and augmentation are pure functions of (seed, images shown); batches are what the store holds."""

import numpy as np
import pytest
import torch
from data_composing import load

from gancli.data.dataset import Data, in_turn, mirrored, normalized
from gancli.data.order import Order
from gancli.data.spec import DataSpec
from gancli.data.store import Decoded
from gancli.seeds import mix

CPU = torch.device("cpu")


def numbered(counts=(10,), paired=False, flip=False, seed=0, labels=None):
    """Return data whose example number i is an image with i in its left column and 100 + i in its right."""
    examples = []
    for count in counts:
        images = np.zeros((count, 8, 8, 1), np.uint8)
        images[:, :, 0, 0] = np.arange(count)[:, None]
        images[:, :, 7, 0] = 100 + np.arange(count)[:, None]
        examples.append(images)
    domains = ("real",) if len(counts) == 1 else ("a", "b")
    return Data(DataSpec((1, 8, 8), max(counts), (), domains, paired), Decoded(examples, labels, "x"), CPU, seed, flip)


def numbers(images):
    """Return (numbers, mirrored) of a batch of `numbered` images."""
    pixels = torch.round((images + 1) * 127.5).long()[:, 0, 0]
    flipped = pixels[:, 0] >= 100
    return torch.where(flipped, pixels[:, 7], pixels[:, 0]).tolist(), flipped.tolist()


def test_each_epoch_is_a_new_permutation_and_batches_straddle():
    data = numbered()
    shown = [n for images in range(0, 40, 4) for n in numbers(data.batch(images, 4).real)[0]]
    epochs = [shown[i:i + 10] for i in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_the_order_has_no_state():
    ahead, again = numbered(flip=True), numbered(flip=True)
    later = {images: ahead.batch(images, 7).real for images in range(0, 70, 7)}
    for images in (63, 0, 28, 7, 63):
        assert torch.equal(again.batch(images, 7).real, later[images])


def test_the_batch_size_does_not_change_the_order():
    data = numbered(flip=True)
    whole = data.batch(3, 24).real
    assert torch.equal(torch.cat([data.batch(3 + i, 8).real for i in (0, 8, 16)]), whole)


def test_seeds_and_domains_have_their_own_order():
    assert numbers(numbered(seed=0).batch(0, 10).real) != numbers(numbered(seed=1).batch(0, 10).real)
    a, b = numbered((10, 10)).batch(0, 10).domains
    assert numbers(a) != numbers(b)


def test_paired_domains_share_order_and_flips():
    a, b = numbered((10, 10), paired=True, flip=True).batch(5, 20).domains
    assert torch.equal(a, b) and any(numbers(a)[1])


def test_domains_of_different_length_count_their_own_epochs():
    data = numbered((10, 4))
    shown = [numbers(domain)[0] for domain in data.batch(0, 20).domains]
    assert sorted(shown[0][:10]) == sorted(shown[0][10:]) == list(range(10))
    assert [sorted(shown[1][i:i + 4]) for i in range(0, 20, 4)] == [[0, 1, 2, 3]] * 5


def test_half_are_mirrored_and_anew_each_epoch():
    data = numbered((100,), flip=True)
    flips = [{n: f for n, f in zip(*numbers(data.batch(epoch * 100, 100).real), strict=True)} for epoch in range(4)]
    assert all(25 < sum(epoch.values()) < 75 for epoch in flips)
    assert len({tuple(sorted(epoch.items())) for epoch in flips}) == 4
    assert not any(numbers(numbered((100,)).batch(0, 100).real)[1])


def test_mirrored_is_where():
    pixels = torch.randint(0, 256, (6, 4, 5, 3), dtype=torch.uint8)
    flips = torch.tensor([True, False, False, True, True, False])
    assert torch.equal(mirrored(pixels, flips), torch.where(flips[:, None, None, None], pixels.flip(2), pixels))


def test_normalized_spans_the_range_and_is_channels_last():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(2, 16, 16, 3).contiguous()
    images = normalized(pixels)
    assert images.shape == (2, 3, 16, 16) and images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(images[0, 0].flatten(), torch.linspace(-1, 1, 256), atol=2e-7, rtol=0)
    assert images.min() == -1 and images.max() == 1
    assert torch.equal(torch.round((images + 1) * 127.5).to(torch.uint8), pixels.permute(0, 3, 1, 2))


def test_labels_go_with_their_images():
    labels = np.arange(10) % 3
    data = numbered(labels=labels)
    batch = data.batch(4, 13)
    assert batch.labels.dtype == torch.int64
    assert batch.labels.tolist() == [labels[n] for n in numbers(batch.real)[0]]


def test_first_takes_the_classes_in_turn_and_is_never_mirrored():
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 2])
    data = numbered(labels=labels, flip=True)
    batch = data.first(10)
    chosen, flipped = numbers(batch.real)
    assert batch.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 2, 0, 0] == [labels[n] for n in chosen]
    assert sorted(chosen) == list(range(10)) and not any(flipped)
    assert torch.equal(numbered(labels=labels, seed=9).first(10).real, batch.real)
    assert len(data.first(23)) == 23


def test_first_keeps_pairs_together():
    a, b = numbered((10, 10), paired=True).first(6).domains
    assert torch.equal(a, b)


def test_in_turn_with_a_class_that_is_absent():
    labels = torch.tensor([2, 2, 0, 0])
    assert labels[in_turn(torch.arange(4), labels)].tolist() == [0, 2, 0, 2]


def test_seeds_are_mixed():
    seeds = [mix(a, b, c) for a in range(8) for b in range(8) for c in range(4)]
    assert len({seed & 0xFFFFFFFF for seed in seeds}) == 256 and all(0 <= seed < 2**63 for seed in seeds)


def test_taking_a_batch_only_slices_what_is_drawn_once_an_epoch(monkeypatch):
    order = Order(1000, 0, 0, CPU, True)
    drawn = []
    original = torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda *a, **k: drawn.append(1) or original(*a, **k))
    for images in range(0, 1960, 8):
        order.take(images, 16)
        order.take(images, 16)
    assert len(drawn) == 2
    rows = order.take(0, 16)[0]
    assert rows.untyped_storage().nbytes() == 8000  # a view of the permutation, not a copy


@pytest.mark.parametrize("name", ["ring", "grid", "swiss_roll", "mixture_1d"])
def test_points_are_batches_of_coordinates(name, tmp_path):
    data = load(name, tmp_path, count=500)
    batch = data.batch(450, 100)
    assert batch.real.shape == (100, *data.spec.shape) and batch.real.dtype == torch.float32
    assert not data.spec.is_image and len(data.first(7)) == 7
