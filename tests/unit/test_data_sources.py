"""Embedded and toy sets as they are; torchvision's from small files in its layout."""

import bz2
import gzip
import pickle
import struct
import sys
from hashlib import md5

import numpy as np
import pytest
import torch
from data_composing import CONF, dataset_values, load, save_images
from PIL import Image

from gancli.data.dataset import open_source
from gancli.data.sources.celeba import ATTRIBUTES
from gancli.errors import UserError

RANDOM = np.random.default_rng(0)


def inspected(name, data_dir, **changes):
    return open_source(dataset_values(name, **changes), data_dir).inspect()


def test_digits(tmp_path):
    data = load("digits", tmp_path)
    assert data.spec == inspected("digits", tmp_path) and data.spec.shape == (1, 32, 32) and data.spec.count == 1797
    assert data.spec.classes == tuple("0123456789")
    from sklearn.datasets import load_digits

    labels = {image.astype(int).tobytes(): label for image, label in zip(*load_digits(return_X_y=True), strict=True)}
    batch = load("digits", tmp_path, size=8).batch(0, 20)
    pixels = torch.round((batch.real + 1) * 8).long().flatten(1).numpy()
    assert [labels[image.tobytes()] for image in pixels] == batch.labels.tolist()
    assert list(tmp_path.iterdir()) == []


def test_digits_split_by_holdout(tmp_path):
    counts = [load("digits", tmp_path, size=8, holdout=0.1, split=split).spec.count
              for split in ("train", "test", "all")]
    assert counts[0] + counts[1] == counts[2] == 1797 and 120 < counts[1] < 240


def test_limit_is_spread_over_the_classes(tmp_path):
    labels = load("digits", tmp_path, limit=200).batch(0, 200).labels
    assert torch.bincount(labels, minlength=10).min() >= 10


def test_ring_and_grid(tmp_path):
    for name, modes in (("ring", 8), ("grid", 25)):
        source = open_source(dataset_values(name), tmp_path)
        data = load(name, tmp_path)
        assert len(data.spec.classes) == modes == len(source.centers())
        batch = data.batch(0, 5000)
        nearest = torch.cdist(batch.real, torch.from_numpy(source.centers()).float()).argmin(1)
        assert torch.equal(nearest, batch.labels) and batch.real.abs().max() < 1
        spread = (batch.real - torch.from_numpy(source.centers()).float()[batch.labels]).std()
        assert abs(spread / source.options.std - 1) < 0.05


def test_mixture_on_the_line_has_its_parameters(tmp_path):
    data = load("mixture_1d", tmp_path, centers=[-0.5, 0.5], stds=[0.05, 0.1], weights=[1.0, 3.0])
    batch = data.batch(0, 20000)
    right = batch.real[batch.labels == 1]
    assert data.spec.shape == (1,) and abs(len(right) / 20000 - 0.75) < 0.02
    assert abs(right.mean() - 0.5) < 0.01 and abs(right.std() - 0.1) < 0.005


def test_swiss_roll_lies_on_its_spiral(tmp_path):
    points = load("swiss_roll", tmp_path, noise=0.0).batch(0, 1000).real.double() / (0.9 / (4 * torch.pi))
    radius = points.norm(dim=1)
    spiral = torch.stack([radius * radius.cos(), radius * radius.sin()], 1)
    torch.testing.assert_close(points, spiral, atol=1e-4, rtol=0)


def test_toys_have_a_seed_of_their_own(tmp_path):
    prints = [load("ring", tmp_path, seed=seed, data_seed=data_seed).fingerprint
              for seed, data_seed in ((0, 0), (1, 0), (0, 1))]
    assert prints[0] == prints[1] != prints[2]


def write_idx(path, array, packed=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if packed else content)


IDX = [("mnist", "MNIST", {}, "train"), ("fashion_mnist", "FashionMNIST", {}, "train"),
       ("kmnist", "KMNIST", {"split": "test"}, "t10k"), ("emnist", "EMNIST", {}, "emnist-balanced-train"),
       ("emnist", "EMNIST", {"subset": "letters", "split": "test"}, "emnist-letters-test")]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("name", "folder", "changes", "prefix"), IDX)
def test_idx_sets(name, folder, changes, prefix, packed, tmp_path):
    images, labels = RANDOM.integers(0, 256, (30, 28, 28)), np.arange(30) % 10 + (name == "emnist")
    ending = ".gz" if packed else ""
    write_idx(tmp_path / folder / f"raw/{prefix}-images-idx3-ubyte{ending}", images, packed)
    write_idx(tmp_path / folder / f"raw/{prefix}-labels-idx1-ubyte{ending}", labels, packed)
    data = load(name, tmp_path, **changes)
    assert data.spec == inspected(name, tmp_path, **changes) and data.spec.shape == (1, 32, 32)
    rows = torch.round((data.batch(0, 30).real[:, 0, 2:30, 2:30] + 1) * 127.5).long()
    upright = torch.from_numpy(images.transpose(0, 2, 1) if name == "emnist" else images)
    order = (rows[:, None] == upright[None]).all(dim=(2, 3)).nonzero()[:, 1]
    expected = torch.from_numpy(labels)[order] - int(changes.get("subset") == "letters")
    assert torch.equal(data.batch(0, 30).labels, expected) and len(order) == 30


def test_stacked_digits_are_three_labeled_digits(tmp_path):
    data = load("stacked_digits", tmp_path, size=8, count=3000)
    assert data.spec.count == 3000 and data.spec.shape == (3, 8, 8) and data.spec.classes[42] == "042"
    default = inspected("stacked_digits", tmp_path)
    assert (default.shape, default.count) == ((3, 32, 32), 50000)
    from sklearn.datasets import load_digits

    known = {image.astype(int).tobytes(): label for image, label in zip(*load_digits(return_X_y=True), strict=True)}
    batch = data.batch(0, 200)
    pixels = torch.round((batch.real + 1) * 8).long().flatten(2).numpy()
    assert [int("".join(str(known[channel.tobytes()]) for channel in image)) for image in pixels] == batch.labels.tolist()
    assert len(set(data.batch(0, 3000).labels.tolist())) > 900 and list(tmp_path.iterdir()) == []


def test_stacked_digits_have_a_seed_and_a_split_of_digits(tmp_path):
    prints = [load("stacked_digits", tmp_path, size=8, count=50, seed=seed, data_seed=data_seed).fingerprint
              for seed, data_seed in ((0, 0), (1, 0), (0, 1))]
    assert prints[0] == prints[1] != prints[2]
    halves = {split: load("stacked_digits", tmp_path, size=8, count=800, holdout=0.2, split=split)
              for split in ("train", "test")}
    pixels = {split: {channel.numpy().tobytes() for channel in data.batch(0, 800).real.flatten(0, 1)}
              for split, data in halves.items()}
    assert not pixels["train"] & pixels["test"] and 250 < len(pixels["test"]) < 450
    assert load("stacked_digits", tmp_path, size=8, count=100, limit=30).spec.count == 30


def test_stacked_digits_of_mnist_files(tmp_path):
    images, labels = np.repeat(np.arange(10), 784).reshape(10, 28, 28) * 20, np.arange(10)
    write_idx(tmp_path / "MNIST/raw/train-images-idx3-ubyte", images)
    write_idx(tmp_path / "MNIST/raw/train-labels-idx1-ubyte", labels)
    data = load("stacked_digits", tmp_path, digits="mnist", count=40, size=None)
    batch = data.batch(0, 40)
    levels = torch.round((batch.real[:, :, 5, 5] + 1) * 127.5 / 20).long()
    assert data.spec.shape == (3, 28, 28) and torch.equal(levels @ torch.tensor([100, 10, 1]), batch.labels)
    missing = open_source(dataset_values("stacked_digits", digits="mnist"), tmp_path / "elsewhere")
    assert missing.inspect().count == 50000 and "dataset=mnist is not in" in missing.absent


def test_a_damaged_idx_file_is_found_by_the_check(tmp_path):
    raw = tmp_path / "MNIST/raw"
    write_idx(raw / "train-images-idx3-ubyte", np.zeros((5, 28, 28)))
    write_idx(raw / "train-labels-idx1-ubyte", np.zeros(5))
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="damaged.*delete it"):
        inspected("mnist", tmp_path)


def test_usps(tmp_path):
    values = RANDOM.uniform(-1, 1, (12, 256))
    lines = [" ".join([str(i % 10 + 1), *(f"{j + 1}:{v:.4f}" for j, v in enumerate(row))])
             for i, row in enumerate(values)]
    (tmp_path / "usps.bz2").write_bytes(bz2.compress("\n".join(lines).encode() + b"\n"))
    data = load("usps", tmp_path, size=16)
    batch = data.batch(0, 12)
    assert data.spec.shape == (1, 16, 16) and data.spec.count == 12
    assert sorted(batch.labels.tolist()) == sorted([*range(10), 0, 1])
    first = batch.real[batch.labels == 5].reshape(256)
    assert (first - torch.from_numpy(values[5]).float()).abs().max() < 0.02


def test_svhn(tmp_path, monkeypatch):
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    images = RANDOM.integers(0, 256, (32, 32, 3, 10), dtype=np.uint8)
    path = tmp_path / "train_32x32.mat"
    savemat(path, {"X": images, "y": np.arange(1, 11)[:, None]})
    monkeypatch.setitem(SVHN.split_list, "train", ["", path.name, md5(path.read_bytes()).hexdigest()])
    batch = load("svhn", tmp_path).batch(0, 10)
    zero = torch.round((batch.real[batch.labels == 0][0] + 1) * 127.5).byte()
    assert torch.equal(zero, torch.from_numpy(images[..., 9].transpose(2, 0, 1)))
    path.write_bytes(b"broken")
    with pytest.raises(UserError, match="damaged or incomplete"):
        load("svhn", tmp_path)


def test_stl10(tmp_path, monkeypatch):
    from torchvision.datasets import STL10

    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for name, count in (("train_X", 4), ("unlabeled_X", 3), ("test_X", 2)):
        RANDOM.integers(0, 256, (count, 3, 96, 96), dtype=np.uint8).tofile(folder / f"{name}.bin")
    np.array([1, 2, 3, 10], np.uint8).tofile(folder / "train_y.bin")
    np.array([1, 2], np.uint8).tofile(folder / "test_y.bin")
    monkeypatch.setattr(STL10, "_check_integrity", lambda self: True)
    data = load("stl10", tmp_path)
    assert data.spec.shape == (3, 64, 64) and sorted(data.batch(0, 4).labels.tolist()) == [0, 1, 2, 9]
    stored = np.fromfile(folder / "train_X.bin", np.uint8).reshape(4, 3, 96, 96).transpose(0, 1, 3, 2)
    native = torch.round((load("stl10", tmp_path, size=None).first(1).real[0] + 1) * 127.5).byte().numpy()
    assert any((native == image).all() for image in stored)
    both = load("stl10", tmp_path, split="train+unlabeled")
    assert both.spec.count == 7 and both.spec.classes == () and both.batch(0, 2).labels is None


def write_cifar(folder, cls, monkeypatch, labels_key, names_key, per_file=4):
    folder.mkdir()
    for files in ("train_list", "test_list"):
        entries = []
        for number, (name, _) in enumerate(getattr(cls, files)):
            images = np.full((per_file, 3072), number, np.uint8)
            images[:, :1024] = 10 * np.arange(per_file)[:, None]  # the red plane tells the label
            content = pickle.dumps({"data": images, labels_key: list(range(per_file))})
            (folder / name).write_bytes(content)
            entries.append([name, md5(content).hexdigest()])
        monkeypatch.setattr(cls, files, entries)
    content = pickle.dumps({names_key: [str(i) for i in range(100)]})
    (folder / cls.meta["filename"]).write_bytes(content)
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5(content).hexdigest()})


@pytest.mark.parametrize(("name", "folder", "labels", "names", "count"), [
    ("cifar10", "cifar-10-batches-py", "labels", "label_names", 20),
    ("cifar100", "cifar-100-python", "fine_labels", "fine_label_names", 4)])
def test_cifar_batches(name, folder, labels, names, count, tmp_path, monkeypatch):
    from torchvision import datasets

    write_cifar(tmp_path / folder, getattr(datasets, name.upper()), monkeypatch, labels, names)
    data = load(name, tmp_path)
    batch = data.batch(0, count)
    assert data.spec.count == count and data.spec.shape == (3, 32, 32) and len(data.spec.classes) == int(name[5:])
    red = torch.round((batch.real[:, 0, 0, 0] + 1) * 127.5).long()
    assert torch.equal(red, 10 * batch.labels)


def test_cifar10_as_a_folder_a_class(tmp_path):
    save_images(tmp_path / "cifar10/train", ["truck/1.png", "airplane/2.png", "truck/3.png"], (32, 32))
    data = load("cifar10", tmp_path)
    assert data.spec.count == 3 and sorted(data.batch(0, 3).labels.tolist()) == [0, 9, 9]
    save_images(tmp_path / "cifar10/train", ["lorry/1.png"], (32, 32))
    with pytest.raises(UserError, match="one folder of images for each of airplane"):
        load("cifar10", tmp_path)


def write_celeba(tmp_path):
    names = ["000001.jpg", "000002.jpg", "162771.jpg", "182638.jpg"]
    save_images(tmp_path / "celeba/img_align_celeba", names, (178, 218))
    rows = [f"{name} {-1 if i % 2 else 1:2} {1 if i < 2 else -1:2}" for i, name in enumerate(names)]
    (tmp_path / "celeba/list_attr_celeba.txt").write_text("\n".join(["4", "Male Smiling", *rows]) + "\n")


def test_celeba(tmp_path):
    write_celeba(tmp_path)
    counts = {split: load("celeba", tmp_path, split=split).spec.count for split in ("train", "valid", "test", "all")}
    assert counts == {"train": 2, "valid": 1, "test": 1, "all": 4}
    data = load("celeba", tmp_path, split="all", attribute="Male")
    assert data.spec.shape == (3, 64, 64) and data.spec.classes == ("not Male", "Male")
    assert sorted(data.batch(0, 4).labels.tolist()) == [0, 0, 1, 1]
    with pytest.raises(UserError, match="did you mean Smiling"):
        inspected("celeba", tmp_path, attribute="Smilling")


def test_attributes_of_celeba(tmp_path):
    write_celeba(tmp_path)
    data = load("celeba", tmp_path, split="all", attributes=["Smiling", "Male"])
    assert data.spec.attributes == ("Smiling", "Male") and data.spec.classes == ()
    assert data.attributes(torch.arange(4)).tolist() == [[1, 1], [1, 0], [0, 1], [0, 0]]
    batch = data.batch(0, 4)
    assert batch.labels is None and batch.attributes.dtype == torch.float32
    for image, attributes in zip(batch.real, batch.attributes, strict=True):
        row = next(row for row in range(4) if torch.equal(data.examples(torch.tensor([row]))[0].flip(-1), image)
                   or torch.equal(data.examples(torch.tensor([row]))[0], image))
        assert torch.equal(data.attributes(torch.tensor([row]))[0], attributes)
    both = load("celeba", tmp_path, split="all", attributes=["Smiling"], attribute="Male", labeled=2)
    assert both.labels(torch.arange(4)).tolist() == [1, 0, 1, 0]
    assert both.attributes(torch.arange(4)).flatten().tolist() == [1, 1, 0, 0]
    assert both.batch(0, 4).attributes.shape == both.batch(0, 4).labeled.attributes.shape == (4, 1)
    assert load("celeba", tmp_path, split="all").batch(0, 4).attributes is None


def test_changed_attributes_of_celeba_are_read_again(tmp_path):
    write_celeba(tmp_path)
    before = load("celeba", tmp_path, split="all", attributes=["Male"])
    path = tmp_path / "celeba/list_attr_celeba.txt"
    path.write_text(path.read_text().replace(" 1 ", "-1 "))
    after = load("celeba", tmp_path, split="all", attributes=["Male"])
    assert after.fingerprint != before.fingerprint and after.attributes(torch.arange(4)).sum() == 0


@pytest.mark.parametrize("here", [True, False])
def test_an_attribute_that_celeba_has_not(here, tmp_path):
    if here:
        write_celeba(tmp_path)
    for changes in ({"attributes": ["Male", "Smilling"]}, {"attribute": "Smilling"}):
        key = next(iter(changes))
        with pytest.raises(UserError, match=f"dataset.{key}=Smilling is none of CelebA's; did you mean Smiling"):
            inspected("celeba", tmp_path, **changes)
    assert len(ATTRIBUTES) == len(set(ATTRIBUTES)) == 40


def test_lsun(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="bedroom_train_lmdb/data.mdb.*fetch it"):
        open_source(dataset_values("lsun"), tmp_path)
    for category in ("bedroom", "tower"):
        (tmp_path / f"{category}_train_lmdb").mkdir()
        (tmp_path / f"{category}_train_lmdb/data.mdb").touch()
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(UserError, match="pip install lmdb"):
        inspected("lsun", tmp_path)
    monkeypatch.setitem(sys.modules, "lmdb", FakeLmdb(tmp_path))
    data = load("lsun", tmp_path, categories=["bedroom", "tower"], size=16)
    assert data.spec.count == 6 and data.spec.classes == ("bedroom", "tower")
    assert data.skipped == ("broken (not an image)",)
    assert sorted(data.batch(0, 6).labels.tolist()) == [0, 0, 0, 1, 1, 1]
    assert load("lsun", tmp_path, size=16, limit=2).spec.count == 2


class FakeLmdb:
    """As much of the package lmdb as reading needs: bedroom has a broken image besides three good ones."""

    class Error(Exception):
        pass

    def __init__(self, folder):
        save_images(folder / "made", ["0.png", "1.png", "2.png"])
        self.contents = {str(i).encode(): (folder / f"made/{i}.png").read_bytes() for i in range(3)}

    def open(self, path, **options):
        return FakeEnvironment(self.contents | ({b"broken": b"x"} if "bedroom" in path else {}))


class FakeEnvironment:
    """An open database and its own transaction."""

    def __init__(self, contents):
        self.contents = contents
        self.get = contents.get

    def stat(self):
        return {"entries": len(self.contents)}

    def begin(self, write):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def cursor(self):
        return self

    def iternext(self, keys, values):
        return iter(sorted(self.contents))


DOWNLOADED = ["mnist", "fashion_mnist", "kmnist", "emnist", "usps", "svhn", "cifar10", "cifar100", "stl10", "celeba"]


@pytest.mark.parametrize("name", DOWNLOADED)
def test_what_is_missing_is_announced_and_a_failed_download_explained(name, tmp_path, monkeypatch):
    import torchvision.datasets as sets

    def refuse(*arguments, **options):
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    target = tmp_path / "not" / "yet"
    source = open_source(dataset_values(name), target)
    spec = source.inspect()
    assert spec.count > 1000 and "first downloads about" in source.absent
    assert bool(spec.classes) == (name != "celeba")
    for owner in (sets.mnist, sets.cifar, sets.stl10):
        monkeypatch.setattr(owner, "download_and_extract_archive", refuse)
    for owner in (sets.usps, sets.svhn):
        monkeypatch.setattr(owner, "download_url", refuse)
    monkeypatch.setattr(sets.CelebA, "download", refuse)
    with pytest.raises(UserError, match="looked for .*Name or service not known.*by hand from http.*GAN_DATA") as error:
        load(name, target)
    assert "\n" not in str(error.value) and "<" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_number_of_downloaded_sets():
    assert len(DOWNLOADED) == 10


def test_torchvision_is_imported_only_where_it_is_used():
    files = sorted((CONF.parent / "gancli/data").rglob("*.py"))
    optional = ("torchvision", "sklearn", "lmdb")
    assert len(files) > 20
    for file in files:
        imports = [line for line in file.read_text().splitlines() if line.startswith(("import ", "from "))]
        assert not [line for line in imports if line.split()[1].split(".")[0] in optional], file


def test_gray_can_become_color_and_back(tmp_path):
    assert load("digits", tmp_path, channels=3, limit=20).batch(0, 4).real.shape == (4, 3, 32, 32)
    Image.new("RGB", (16, 16), "red").save(tmp_path / "red.png")
    assert load("folder", tmp_path, path=str(tmp_path), size=16, channels=1).batch(0, 1).real.shape == (1, 1, 16, 16)
