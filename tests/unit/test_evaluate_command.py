"""`gan evaluate` from a composed configuration to its report."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from data_composing import CONF, dataset_values, load
from omegaconf import OmegaConf
from small_runs import config_of, save_run

from gancli.cli.completion import candidates
from gancli.config.paths import quote_paths
from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.explore import evaluate as module
from gancli.explore.evaluate import EvaluateOptions, default_metrics, evaluate
from gancli.explore.targets import FOLDER, Target

RUN = "20260103T000000Z-cccccc-gan-ring"


def values(**changes):
    """Return conf/evaluate.yaml as the command gets it."""
    config = OmegaConf.load(CONF / "evaluate.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    return OmegaConf.merge(config, {"device": "cpu", "n": 100}, changes)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A launch folder with a run on points that kept two checkpoints."""
    monkeypatch.setattr("small_runs.config_of", lambda *arguments, **changes: config_of(*arguments, **changes) | {
        "dataset": dataset_values("ring", count=400)})
    for images in (1000, 3000):
        save_run(tmp_path / "outputs/train" / RUN, "gan", spec=DataSpec((2,), 400, tuple("01234567")), images=images)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("own", "features", "spec", "metrics"), [
    (["swd"], "classifier", DataSpec((3, 8, 8), 60), ["swd"]),
    (["fid"], "classifier", DataSpec((3, 8, 8), 600, ("a", "b")), ["fid", "kid", "is", "prdc"]),
    (["swd"], "mobilenet_v2", DataSpec((3, 8, 8), 600), ["fid", "kid", "is", "prdc"]),
    (["swd", "modes"], "classifier", DataSpec((2,), 400, ("0", "1")), ["swd", "modes"]),
    (["translation"], "mobilenet_v2", DataSpec((3, 8, 8), 600), ["translation"]),
    (["inpainting", "swd"], "classifier", DataSpec((3, 8, 8), 600, ("a", "b")), ["inpainting"]),
    ([], "classifier", DataSpec((3, 8, 8), 60), ["swd"])])
def test_what_is_measured_where_nobody_says_can_be_measured(own, features, spec, metrics):
    assert default_metrics(own, features, spec) == metrics


def test_data_without_labels_are_measured_without_being_told_how(here):
    assert [each.name for each in evaluate(values(ckpt="ring@3", metrics=None)).evaluated[0].measured] == ["swd(100/400)"]


def test_conf_and_schema_have_the_same_keys():
    config = values(ckpt="x")
    assert set(config) == set(EvaluateOptions.__dataclass_fields__)


def test_all_checkpoints_of_a_run_are_measured_by_one_protocol(here, capsys):
    report = evaluate(values(ckpt="ring@all", metrics=["swd", "modes", "nearest"]))
    told = capsys.readouterr().err
    assert "Plan: swd, modes, nearest from 100 generated of each of 2 checkpoints and 400 real points (split all)" in told
    assert "Price: about" in told and "done at" in told and told.index("Plan") < told.index("Price") and report.seconds > 0
    assert [one.kimg for one in report.evaluated] == [1, 3] and not report.notes
    assert [path.as_posix() for path in report.files] == [f"outputs/evaluate/{RUN}-all/evaluation.json"]
    first, second = json.loads(report.files[0].read_text())["evaluations"]
    assert first["figures"] == second["figures"]  # save_run gives both the same weights
    assert [figure["name"] for figure in first["figures"]][:2] == ["swd(100/400)", "modes(100)"]
    reference = first["figures"][-1]["protocol"]
    assert reference["details"]["reference"] == "split all" and reference["metric"] == "nearest"
    assert set(here.iterdir()) == {here / "outputs"} and not list((here / "outputs/train" / RUN).glob("evaluation*"))
    again = evaluate(values(ckpt="ring", metrics=["swd"], weights="raw", out="figures.json"))
    assert [path.name for path in again.files] == ["figures.json"]
    raw = again.evaluated[0].measured[0]
    assert raw.name == "swd(100/400)" and raw.value != first["figures"][0]["value"]


def test_the_labeled_examples_are_those_of_the_run_and_of_its_split_alone(tmp_path, monkeypatch):
    dataset = dataset_values("digits", size=8, holdout=0.1, labeled=300)  # more than split=test has
    monkeypatch.setattr("small_runs.config_of", lambda *arguments, **changes: config_of(*arguments, **changes) | {
        "dataset": dataset, "seed": 7})
    save_run(tmp_path / "outputs/train/20260103T000000Z-cccccc-gan-digits", "gan", spec=DataSpec((1, 8, 8), 1797))
    monkeypatch.chdir(tmp_path)
    loaded, original = [], module.load_data
    monkeypatch.setattr(module, "load_data", lambda *values: loaded.append(original(*values)) or loaded[-1])
    report = evaluate(values(ckpt="digits", metrics=["swd", "nearest"], data_dir=str(tmp_path), out="one.json"))
    trained, held_out = loaded
    assert torch.equal(trained.labeled_rows, load("digits", tmp_path, seed=7, size=8, holdout=0.1, labeled=300).labeled_rows)
    assert held_out.split == "test" and held_out.labeled_rows is None and "drawn by seed=7" in report.notes[0]
    evaluate(values(ckpt="digits", metrics=["swd"], data_dir=str(tmp_path), dataset={"split": "test"}, out="two.json"))
    assert loaded[-1].split == "test" and loaded[-1].labeled_rows is None


@pytest.mark.parametrize(("changes", "message"), [
    ({"ckpt": None}, "ckpt has no value"), ({"metrics": []}, "metrics names no metric"),
    ({"metrics": ["fdi"]}, "metrics=fdi does not exist; did you mean fid"),
    ({"metrics": ["fid"]}, "metrics=fid needs images and this data set holds points"),
    ({"features": "inceptoin"}, "did you mean inception"),
    ({"weights": "x.pth"}, "weights=x.pth does not exist; there is ema, raw"),
    ({"n": 1}, "n must be at least 2"),
    ({"dataset": {"split": "test"}}, "dataset.split=test means nothing to dataset=ring"),
    ({"domain": "a"}, "domain=a is for models of two domains"), ({"out": "a.csv"}, "ends in .csv"),
    ({"ckpt": "nothing@all"}, "There is no run called nothing"),
])
def test_mistakes_are_found_before_anything_is_computed(changes, message, here, monkeypatch):
    monkeypatch.setattr(module, "load_data", None)
    with pytest.raises(UserError, match=message):
        evaluate(values(**{"ckpt": "ring", "metrics": ["swd"]} | changes))
    assert {path.name for path in (here / "outputs").iterdir()} == {"train"}


def test_other_data_are_said_or_refused(here, monkeypatch):
    monkeypatch.setattr(module, "run_dataset", lambda loaded, place: dataset_values("digits"))
    with pytest.raises(UserError, match=r"32x32x1.*shape \(2,\): give data_dir= or dataset.path="):
        evaluate(values(ckpt="ring", metrics=["swd"]))
    shutil.rmtree(here / "outputs/train")
    with pytest.raises(UserError, match="There is no run"):
        evaluate(values(ckpt="ring"))


def test_a_disk_that_cannot_be_written_is_a_sentence(here):
    (here / "file").touch()
    drawn = SimpleNamespace(pictures={"nearest": np.zeros((2, 2, 1), np.uint8)})
    for target in (Target(here / "file" / "figures.json", ".json"), Target(here / "file", FOLDER)):
        with pytest.raises(UserError, match=f"Writing {target.path} failed: (Not a directory|File exists)"):
            module._save_pictures(drawn, target, "")
        with pytest.raises(UserError, match="failed"):
            module._save_report(target.path / "evaluation.json", [], "cpu")


def test_the_number_of_examples_follows_from_the_data(here):
    report = evaluate(values(ckpt="ring@3", metrics=["swd"], n=None, out="few.json"))
    assert [one.name for one in report.evaluated[0].measured] == ["swd(400/400)"]


def test_a_second_evaluation_of_a_run_has_a_folder_of_its_own(here):
    folders = [evaluate(values(ckpt="ring@3", metrics=["swd"])).files[0].parent.name for _ in range(2)]
    assert folders == [f"{RUN}-kimg-000003", f"{RUN}-kimg-000003-2"]


def test_files_on_the_command_line_become_absolute_and_words_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my net.pt").touch()
    quoted = quote_paths(["features=my net.pt", "features_weights=my net.pt", "weights=ema", "features=inception"], False)
    assert quoted == [f"features='{tmp_path}/my net.pt'", f"features_weights='{tmp_path}/my net.pt'", "weights=ema",
                      "features='inception'"]


def test_completion_offers_extractors():
    assert candidates("evaluate", [], "features=m") == ["features=mobilenet_v2"]
    assert "metrics=" in candidates("evaluate", [], "met") and "dataset.split=" in candidates("evaluate", [], "dataset.s")
