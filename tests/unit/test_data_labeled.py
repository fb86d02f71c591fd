"""A few labeled examples beside the unlabeled ones: which they are, their own order, and what may be asked for."""

import numpy as np
import pytest
import torch
from data_composing import dataset_values, load, save_images

from gancli.data.dataset import open_source
from gancli.data.labeled import MOST_ROWS, choose, shares, told
from gancli.data.order import LABELED, Order
from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.ranks.shards import Place, taking
from gancli.seeds import mix

CPU = torch.device("cpu")


def digits(tmp_path, labeled=None, seed=0, **changes):
    return load("digits", tmp_path, seed=seed, size=8, labeled=labeled, **changes)


def test_the_choice_is_stratified_seeded_and_sorted():
    labels = torch.randint(0, 5, (1000,), generator=torch.Generator().manual_seed(1))
    rows = choose(labels, 50, 5, seed=3)
    assert torch.bincount(labels[rows]).tolist() == [10] * 5
    assert len(rows.unique()) == 50 and torch.equal(rows, rows.sort().values)
    assert torch.equal(choose(labels, 50, 5, seed=3), rows) and not torch.equal(choose(labels, 50, 5, seed=4), rows)
    assert set(rows.tolist()) < set(choose(labels, 200, 5, seed=3).tolist())


def test_what_does_not_divide_goes_to_random_classes():
    labels = torch.arange(1000) % 10
    extra = set()
    for seed in range(20):
        counts = torch.bincount(labels[choose(labels, 13, 10, seed)], minlength=10)
        assert sorted(counts.tolist()) == [1] * 7 + [2] * 3
        extra |= set((counts == 2).nonzero().flatten().tolist())
    assert len(extra) > 7


@pytest.mark.parametrize(("available", "n", "expected"), [
    ([9, 9, 9], 6, [2, 2, 2]),
    ([9, 9, 9], 8, [2, 3, 3]),  # the lucky ones are 2 and 1
    ([1, 9, 9], 9, [1, 4, 4]),
    ([1, 9, 9], 8, [1, 3, 4]),
    ([0, 2, 9], 9, [0, 2, 7]),
    ([3, 3, 3], 9, [3, 3, 3]),
])
def test_shares_are_as_equal_as_the_classes_allow(available, n, expected):
    assert shares(available, n, lucky=[2, 1, 0]) == expected


def test_batches_have_labeled_examples_beside_the_others(tmp_path):
    data, all_known = digits(tmp_path, 20), digits(tmp_path)
    batch, plain = data.batch(1000, 32), all_known.batch(1000, 32)
    assert torch.equal(batch.real, plain.real) and batch.labels is None and plain.labeled is None
    assert len(batch.labeled) == 32 and batch.labeled.labeled is None
    known = {image.numpy().tobytes(): int(label) for image, label
             in zip(data.examples(data.labeled_rows), data.labels(data.labeled_rows), strict=True)}
    assert len(known) == 20
    assert [known[image.numpy().tobytes()] for image in batch.labeled.real] == batch.labeled.labels.tolist()
    assert data.spec.labeled == 20 and all_known.spec.labeled == 0 and all_known.labeled_rows is None


def test_what_looks_at_the_data_sees_every_label(tmp_path):
    data, all_known = digits(tmp_path, 20), digits(tmp_path)
    assert data.fingerprint == all_known.fingerprint
    first = data.first(40)
    assert torch.equal(first.labels, all_known.first(40).labels) and first.labeled is None
    assert torch.equal(data.labels(torch.arange(1797)), all_known.labels(torch.arange(1797)))


def test_the_labeled_order_has_no_state_and_every_pass_shows_all(tmp_path):
    data = digits(tmp_path, 20)
    shown = torch.cat([data.batch(images, 16).labeled.real for images in range(0, 160, 16)]).flatten(1)
    passes = [{image.numpy().tobytes() for image in part} for part in shown.split(20)]
    assert [len(images) for images in passes] == [20] * 8 and len(set(map(frozenset, passes))) == 1
    assert not torch.equal(shown[:20], shown[20:40])
    again = digits(tmp_path, 20)
    assert torch.equal(again.batch(144, 16).labeled.real.flatten(1), shown[144:])
    assert torch.equal(again.batch(0, 16).labeled.real.flatten(1), shown[:16])
    assert not torch.equal(digits(tmp_path, 20, seed=1).batch(0, 16).labeled.real, again.batch(0, 16).labeled.real)


def test_a_batch_larger_than_the_labeled_set_goes_round(tmp_path):
    images = digits(tmp_path, 10).batch(5, 64).labeled.real.flatten(1)
    assert sorted(torch.unique(images, dim=0, return_counts=True)[1].tolist()) == [6] * 6 + [7] * 4


def test_few_examples_do_not_cost_a_draw_for_every_pass():
    order = Order(10, 0, LABELED, CPU, True, among=torch.arange(100, 110))
    drawn, original = [], order._rounds
    order._rounds = lambda generator: drawn.append(1) or original(generator)
    rows = torch.cat([order.take(images, 64)[0] for images in range(0, 4032, 64)])
    assert len(drawn) == 1 and all(part.sort().values.tolist() == list(range(100, 110)) for part in rows[:4030].split(10))


def test_the_labeled_order_is_a_stream_of_its_own():
    everything = Order(40, 0, 0, CPU, False).take(0, 40)[0]
    expected = torch.randperm(40, generator=torch.Generator().manual_seed(mix(0, 0, 0)))  # as it always was
    assert torch.equal(everything, expected)
    assert not torch.equal(Order(40, 0, LABELED, CPU, False, among=torch.arange(40)).take(0, 40)[0], everything)


@pytest.mark.parametrize("parts", [1, 2])
def test_ranks_share_the_labeled_examples(tmp_path, parts):
    data = digits(tmp_path, 20, flip=True)
    whole = list(data.batch(40, 16).split(parts))
    for rank in range(2):
        with taking(Place(rank, 2)):
            pieces = list(data.batch(40, 16, parts).split(parts))
        for piece, of in zip(pieces, whole, strict=True):
            half = slice(rank * 8 // parts, (rank + 1) * 8 // parts)
            assert torch.equal(piece.labeled.real, of.labeled.real[half]) and len(piece.labeled) == 8 // parts
            assert torch.equal(piece.labeled.labels, of.labeled.labels[half]) and torch.equal(piece.real, of.real[half])


def test_data_that_stay_on_the_host_give_the_same_batches(tmp_path):
    device, host = digits(tmp_path, 20, flip=True), digits(tmp_path, 20, flip=True)
    host.on_device = False
    assert torch.equal(host.batch(30, 16).labeled.real, device.batch(30, 16).labeled.real)


def test_labeled_examples_are_mirrored_as_others_are(tmp_path):
    data = digits(tmp_path, 10, flip=True)
    shown = torch.unique(data.batch(0, 200).labeled.real.flatten(1), dim=0)
    assert 10 < len(shown) <= 20


@pytest.mark.parametrize(("name", "changes", "said"), [
    ("digits", {"labeled": 2000}, "more than the 1,797 examples there are: give dataset.labeled=1797 or less"),
    ("digits", {"labeled": 9}, "less than one example for each of the 10 classes: give dataset.labeled=10"),
    ("ring", {"labeled": 7}, "for each of the 8 classes"),
    ("celeba", {"labeled": 50}, "dataset=celeba has no labels as it is set"),
    ("stl10", {"labeled": 50, "split": "unlabeled"}, "no labels as it is set"),
])
def test_what_cannot_be_labeled_is_refused_by_the_check(name, changes, said, tmp_path):
    source = open_source(dataset_values(name, **changes), tmp_path / "data")
    with pytest.raises(UserError, match=said):
        source.inspect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["digits", "ring"])
def test_no_labeled_examples_are_an_error(name, tmp_path):
    with pytest.raises(UsageError, match="dataset.labeled must be at least 1"):
        open_source(dataset_values(name, labeled=0), tmp_path)


def test_broken_files_count_once_they_are_found(tmp_path):
    save_images(tmp_path / "in", [f"{c}/{i}.png" for c in "ab" for i in range(3)])
    (tmp_path / "in/a/1.png").write_bytes(b"broken")
    values = {"path": str(tmp_path / "in"), "size": 16, "broken": "skip"}
    with pytest.raises(UserError, match="more than the 5 examples there are"):
        load("folder", tmp_path, labeled=6, **values)
    assert load("folder", tmp_path, labeled=5, **values).labeled_rows.tolist() == [0, 1, 2, 3, 4]


def test_runs_of_before_have_all_labels(tmp_path):
    values = dataset_values("digits")
    del values["labeled"]
    assert open_source(values, tmp_path).inspect().labeled == 0


def test_toys_and_stacks_can_be_labeled_in_part(tmp_path):
    for name in ("ring", "grid", "mixture_1d"):
        data = load(name, tmp_path, count=500, labeled=25)
        assert data.batch(0, 8).labeled.real.shape == (8, *data.spec.shape) and len(data.labeled_rows) == 25
    assert load("stacked_digits", tmp_path, size=8, labeled=1000).spec.labeled == 1000


def test_the_store_does_not_depend_on_what_is_labeled(tmp_path):
    save_images(tmp_path / "in", [f"{c}/{i}.png" for c in "ab" for i in range(5)])
    stores = {load("folder", tmp_path, path=str(tmp_path / "in"), size=16, labeled=labeled).store_path
              for labeled in (None, 2, 6)}
    assert len(stores) == 1 and len(list((tmp_path / ".gancli-store").glob("*.store"))) == 1


def test_the_log_says_how_many_and_which(tmp_path):
    notes = digits(tmp_path, 10, seed=5).notes
    rows = digits(tmp_path, 10, seed=5).labeled_rows.tolist()
    assert notes[0] == "Labeled: 10 of 1,797 examples, drawn by seed=5: 1 of each class."
    assert notes[1].endswith(f": {', '.join(map(str, rows))}.") and digits(tmp_path).notes == ()
    assert "2 of each class and, as that does not divide, one more of " in digits(tmp_path, 23).notes[0]
    labels = torch.tensor([0, 1, 1, 1, 1, 1])
    spec = DataSpec((1, 8, 8), 6, ("few", "many"), labeled=5)
    assert told(choose(labels, 5, 2, 0), labels, spec, 0)[0].endswith("as equal as the classes allow: few 1, many 4.")
    many = digits(tmp_path, 500).notes[1]
    assert many.count(",") == MOST_ROWS - 1 and many.endswith(" and 400 more.")


def test_a_class_without_examples_is_passed_over(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((6, 8, 8), np.uint8), labels=np.array([0, 2, 2, 0, 2, 2]))
    data = load("npz", tmp_path, path=str(tmp_path / "a.npz"), labeled=3)  # class 1 has no example
    assert sorted(data.labels(data.labeled_rows).tolist()) in ([0, 0, 2], [0, 2, 2])
