"""The options of data sets: every conf file fits its schema, every range is kept, every mistake is named."""

from dataclasses import fields

import pytest
from data_composing import DATASETS, dataset_values
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gancli.data.dataset import check_batch, data_folder, open_source
from gancli.data.options import HoldoutOptions
from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.options import typed
from gancli.registry import datasets

EXPECTED = ["celeba", "cifar10", "cifar100", "digits", "emnist", "fashion_mnist", "folder", "grid", "kmnist", "lsun",
            "mixture_1d", "mnist", "names", "npz", "oracle", "paired", "resolutions", "ring", "stacked_digits", "stl10",
            "svhn", "swiss_roll", "text", "unpaired", "usps"]


def test_conf_files_and_registry_agree():
    assert DATASETS == EXPECTED
    assert set(EXPECTED) <= set(datasets.names())


@pytest.mark.parametrize("name", EXPECTED)
def test_conf_file_has_exactly_the_keys_of_its_schema(name):
    values = dataset_values(name)
    schema = datasets.get(name).options
    assert set(values) == {field.name for field in fields(schema)}
    assert values["name"] == name
    typed(schema, values, "dataset")


def test_hydra_composes_what_the_tests_compose():
    from data_composing import CONF

    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("dataset/celeba").dataset
    assert OmegaConf.to_container(composed) == dataset_values("celeba")


WRONG = [
    ("digits", {"size": 7}, "at least 8"),
    ("digits", {"size": [8, 8, 8]}, "number of pixels or"),
    ("digits", {"size": "big"}, "number of pixels or"),
    ("digits", {"size": True}, "number of pixels or"),
    ("digits", {"channels": 5}, "at most 4"),
    ("digits", {"fit": "corp"}, "did you mean crop"),
    ("digits", {"background": "wite"}, "not a color"),
    ("digits", {"split": "tets"}, "did you mean test"),
    ("digits", {"split": "test"}, "dataset.holdout=0.1"),
    ("digits", {"holdout": 1.5}, "at most 0.9"),
    ("digits", {"limit": 0}, "at least 1"),
    ("digits", {"limit": 1.5}, "dataset.limit"),
    ("digits", {"store": "ram"}, "there is auto, memory, mmap"),
    ("digits", {"sise": 32}, "did you mean size"),
    ("svhn", {"split": "val"}, "extra"),
    ("stl10", {"split": "unlabled"}, "unlabeled"),
    ("emnist", {"subset": "letter"}, "did you mean letters"),
    ("folder", {"path": "/", "broken": "ignore"}, "dataset.broken"),
    ("unpaired", {"domains": ["a"]}, "two different names"),
    ("lsun", {"categories": ["bedrom"]}, "did you mean bedroom"),
    ("lsun", {"size": None}, "dataset.size=64"),
    ("ring", {"std": -1}, "at least 0"),
    ("ring", {"count": 0}, "at least 1"),
    ("mixture_1d", {"stds": [0.1]}, "one length"),
    ("stacked_digits", {"digits": "mnits"}, "did you mean mnist"),
    ("stacked_digits", {"split": "test"}, "dataset.holdout=0.1"),
    ("stacked_digits", {"digits": "mnist", "holdout": 0.1}, "MNIST has a test split"),
    ("stacked_digits", {"count": 0}, "at least 1"),
    ("digits", {"labeled": -1}, "dataset.labeled must be at least 1"),
    ("celeba", {"attributes": []}, "dataset.attributes is empty"),
    ("celeba", {"attributes": ["Male", "Male"]}, "names Male twice"),
    ("mnits", {}, "did you mean"),
]


@pytest.mark.parametrize(("name", "changes", "said"), WRONG)
def test_a_wrong_option_is_named(name, changes, said, tmp_path):
    values = {"name": name} if name not in DATASETS else dataset_values(name, **changes)
    with pytest.raises(UsageError, match=said):
        open_source(values, tmp_path)


def test_number_of_wrong_options():
    assert len(WRONG) == 32


def test_holdout_is_a_partition_that_added_files_do_not_move():
    def sides(names):
        parts = {}
        for split in ("train", "test", "all"):
            options = typed(HoldoutOptions, dataset_values("digits", split=split, holdout=0.2), "dataset")
            parts[split] = {name for name in names if options.holds(name)}
        return parts

    few, many = sides([f"{i}" for i in range(500)]), sides([f"{i}" for i in range(1000)])
    assert many["all"] == many["train"] | many["test"]
    assert not many["train"] & many["test"]
    assert few["test"] == many["test"] & few["all"]
    assert 150 < len(many["test"]) < 250


def test_a_batch_larger_than_the_data_is_refused():
    spec = DataSpec((1, 8, 8), 100)
    check_batch(spec, 100)
    with pytest.raises(UserError, match="trainer.batch_size=100"):
        check_batch(spec, 101)


def test_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_DATA", str(tmp_path / "from_env"))
    assert data_folder(None) == tmp_path / "from_env"
    assert data_folder(str(tmp_path)) == tmp_path
    monkeypatch.delenv("GAN_DATA")
    assert data_folder(None).parts[-3:] == (".cache", "gancli", "data")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        data_folder(tmp_path / "file")
    with pytest.raises(UserError, match="cannot be read .File name too long"):
        data_folder(tmp_path / ("x" * 300))
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match="cannot be read: change its permissions"):
        data_folder(tmp_path)
