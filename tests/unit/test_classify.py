"""`gan classify`: tables by hand, images of other sizes and modes, clusters that are named, and what cannot be classified."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from data_composing import CONF, dataset_values
from omegaconf import OmegaConf
from PIL import Image
from small_runs import config_of, save_run

from gancli.cli import classify as command
from gancli.config.paths import quote_paths
from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.explore.classify import ClassifyOptions, classify
from gancli.explore.confusion import draw_confusion
from gancli.explore.examples import Part
from gancli.explore.inputs import find_inputs, labels_of
from gancli.explore.loaded import load
from gancli.explore.verdicts import Verdicts
from gancli.metrics.measures.confusion import accuracy, confusion_matrix, recalls
from gancli.runs.status import Status, write_status

DIGITS = tuple("0123456789")
RUNS = {"sgan": {}, "infogan": {"categorical": [3]}, "acgan": {}, "dcgan": {}, "catgan": {"categories": 4}, "plain": {}}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Runs of small models on digits of 8x8, half of them held out; `plain` holds nothing out."""
    root, patch = tmp_path_factory.mktemp("workplace"), pytest.MonkeyPatch()
    for name, changes in RUNS.items():
        held, few = 0.0 if name == "plain" else 0.5, 20 if name == "sgan" else None
        values = dataset_values("digits", size=8, holdout=held, labeled=few)
        patch.setattr("small_runs.config_of", lambda *arguments, _values=values, **more: config_of(*arguments, **more) | {
            "dataset": _values, "seed": 7})
        spec = DataSpec((1, 8, 8), 900, DIGITS, labeled=few or 0)
        save_run(root / "outputs/train" / f"20260101T000000Z-{name}0-{name}-digits", "sgan" if name == "plain" else name,
                 spec=spec, **changes)
    patch.undo()
    return root


@pytest.fixture
def here(workplace, tmp_path, monkeypatch):
    """A launch folder of its own, with the runs, some pictures in folders named as classes, and some in none."""
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/train").symlink_to(workplace / "outputs/train")
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for number, (mode, size) in enumerate((("L", (8, 8)), ("RGB", (30, 20)), ("RGBA", (9, 9)), ("I;16", (16, 8)))):
        for folder in (Path("named", str(number)), Path("flat")):
            folder.mkdir(parents=True, exist_ok=True)
            values = random.integers(0, 256, (*size[::-1], len(mode)) if mode.startswith("RGB") else size[::-1])
            image = Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.uint8))
            image.save(folder / f"{number}.png")
    return tmp_path


def composed(**changes):
    """Return conf/classify.yaml as the command gets it."""
    config = OmegaConf.load(CONF / "classify.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    return OmegaConf.merge(config, {"device": "cpu", "data_dir": str(Path.cwd() / "data")}, changes)


def run(**changes):
    """Classify as conf/classify.yaml with changes says."""
    return classify(composed(**changes))


def table(path) -> list[dict[str, str]]:
    """Return the lines of a CSV."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Tables by hand


def test_a_confusion_matrix_by_hand():
    labels, told = torch.tensor([0, 0, 1, 1, 1, 3]), torch.tensor([0, 1, 1, -1, 1, 0])
    matrix = confusion_matrix(labels, told, 4)
    assert matrix.tolist() == [[1, 1, 0, 0, 0], [0, 2, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert accuracy(matrix) == 3 / 6 and recalls(matrix) == [0.5, 2 / 3, None, 0]
    assert np.isnan(accuracy(torch.zeros(2, 3, dtype=torch.int64)))


def test_lines_of_classes_by_hand():
    verdicts = Verdicts(("a", "b"), 2, clusters=False)
    assert verdicts.header(True) == ["example", "label", "class", "probability", "p(a)", "p(b)"]
    logits = torch.tensor([[0.0, np.log(3)], [np.log(4), 0.0]])
    lines = list(verdicts.lines(Part(["x.png", "y.png"], torch.empty(2), torch.tensor([1, 1])), logits))
    assert lines == [["x.png", "b", "b", "0.750000", "0.250000", "0.750000"],
                     ["y.png", "b", "a", "0.800000", "0.800000", "0.200000"]]
    assert list(verdicts.rows()) == [("a", "0", "0", ""), ("b", "1", "1", "50.00%")]
    assert verdicts.summary() == "2 examples classified: 50.00% right, error 50.00% (1 wrong)."


def test_lines_of_clusters_by_hand():
    part = Part(["3"], torch.empty(1), torch.tensor([0]))
    named = Verdicts(("a", "b"), 3, clusters=True, names=torch.tensor([1, -1, 0]))
    assert named.header(False) == ["example", "cluster", "class", "probability", "p(0)", "p(1)", "p(2)"]
    assert next(named.lines(part, torch.tensor([[0.0, 9.0, 0.0]])))[:4] == ["3", "a", "1", ""]
    assert next(named.lines(part, torch.tensor([[0.0, 0.0, 9.0]])))[2:4] == ["2", "a"]
    assert named.columns == ("a", "b", "none") and named.accuracy == 0.5 and named.named() == ["b", None, "a"]
    assert "by clusters, each named by its most frequent class in training" in named.summary()
    unnamed = Verdicts((), 3, clusters=True)
    assert next(unnamed.lines(Part(["3"], torch.empty(1), None), torch.zeros(1, 3)))[:2] == ["3", "0"]
    assert unnamed.summary() == "1 examples classified into clusters."


@pytest.mark.recipe
def test_a_confusion_matrix_is_drawn_for_any_number_of_classes():
    for classes in (2, 61):
        names = [f"class {number}" for number in range(classes)]
        picture = draw_confusion(torch.eye(classes, dtype=torch.int64), names, names, "title")
        assert picture.dtype == np.uint8 and picture.shape[2] == 3 and min(picture.shape[:2]) > 400


# What is classified


@pytest.mark.recipe
def test_held_out_examples_are_the_default(here):
    report = run(ckpt="sgan")
    folder = Path("outputs/classify/20260101T000000Z-sgan0-sgan-digits-kimg-000002")
    assert [path.name for path in report.files] == ["classes.csv", "classification.json", "confusion.png"]
    assert report.files[0].parent == folder
    lines, record = table(report.files[0]), json.loads(report.files[1].read_text())
    assert len(lines) == report.verdicts.count == record["classified"] and record["examples"]["split"] == "test"
    assert record["learned_from"] == report.taught and report.taught.startswith(
        "the labels of 20 of 900 training examples (dataset.labeled=20 seed=7")
    right = sum(line["label"] == line["class"] for line in lines) / len(lines)
    assert record["accuracy"] == pytest.approx(right) and record["clusters"] is None
    assert sum(map(sum, record["confusion"])) == len(lines)
    line = lines[5]
    each = {name: float(line[f"p({name})"]) for name in DIGITS}
    assert max(each, key=each.get) == line["class"] and sum(each.values()) == pytest.approx(1, abs=1e-5)
    assert float(line["probability"]) == max(each.values())
    trained = run(ckpt="sgan", dataset={"split": "train"}, out="train.csv")
    assert [path.name for path in trained.files] == ["train.csv", "train-classification.json", "train-confusion.png"]
    assert trained.verdicts.count + report.verdicts.count == 1797


def test_images_of_other_sizes_and_modes_are_brought_to_the_runs(here):
    report = run(ckpt="acgan", input="named", out="one")
    lines = table("one/classes.csv")
    assert [line["example"] for line in lines] == ["0/0.png", "1/1.png", "2/2.png", "3/3.png"]
    assert [line["label"] for line in lines] == ["0", "1", "2", "3"] and report.verdicts.matrix.sum() == 4
    loaded = load("acgan")
    (_, x), = find_inputs("named", loaded).batches()
    assert x.shape == (4, 1, 8, 8) and x.abs().max() <= 1
    exact = np.asarray(Image.open("named/0/0.png"))
    assert torch.allclose(x[0, 0], torch.from_numpy(exact.copy()).float() / 127.5 - 1, atol=1e-6)
    p = loaded.classify(x).double().softmax(1)
    assert [float(line["p(4)"]) for line in lines] == pytest.approx(p[:, 4].tolist(), abs=1e-6)
    assert report.taught == "the labels of all 900 training examples"


def test_files_need_no_labels(here):
    for given, count in (("flat", 4), ("flat/1.png", 1), (["flat/1.png", "flat/0.png"], 2)):
        report = run(ckpt="sgan", input=given, overwrite=True, out="out.csv")
        assert report.verdicts.count == count and report.verdicts.matrix is None and len(report.files) == 2
        assert "label" not in table("out.csv")[0]


def test_what_cannot_be_read_is_named_and_skipped(here):
    Path("named/0/broken.png").write_bytes(b"not a picture")
    Path("named/0/notes.txt").write_text("x")
    report = run(ckpt="sgan", input="named", out="out.csv")
    assert report.verdicts.count == 4 == len(table("out.csv"))
    assert report.notes == ["Ignored 1 file that is no image.",
                            "Skipped 1 that could not be decoded: 0/broken.png (not an image)."]


def test_folders_that_are_no_classes_give_no_accuracy(here):
    Path("named/3").rename("named/cats")
    report = run(ckpt="sgan", input="named", out="out.csv")
    assert report.verdicts.matrix is None
    assert report.notes == ["No accuracy: the sub-folders cats are none of the run's classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)."]
    entries = find_inputs("named", load("sgan")).entries
    assert labels_of(entries[:2], DIGITS) == ([0, 1], "") and labels_of(entries[:2], ()) == (None, "")


@pytest.mark.parametrize("name", ["infogan", "catgan"])
def test_clusters_are_named_by_training_examples_and_said_to_be_clusters(name, here):
    report = run(ckpt=name, matched=300)
    record = json.loads(report.files[1].read_text())
    categories = 3 if name == "infogan" else 4
    assert record["clusters"]["categories"] == categories == len(record["clusters"]["classes"])
    assert report.taught == "no labels" and "clusters of its own, found without labels" in report.notes[0]
    assert "among 300 training examples" in report.notes[0]
    for line in table(report.files[0])[:20]:
        assert line["class"] == (record["clusters"]["classes"][int(line["cluster"])] or "")


def test_results_that_are_overwritten_leave_no_picture_of_before(here):
    run(ckpt="sgan", input="named", out="one")
    assert Path("one/confusion.png").is_file()
    run(ckpt="sgan", input="flat", out="one", overwrite=True)
    assert {path.name for path in Path("one").iterdir()} == {"classes.csv", "classification.json"}


def test_data_of_other_classes_are_refused(here, monkeypatch):
    monkeypatch.setattr("gancli.explore.examples.run_dataset", lambda loaded, place: dataset_values(
        "folder", path=str(here / "named"), size=8, channels=1))
    with pytest.raises(UserError, match=r"classes \(0, 1, 2, 3\) are not those of the run \(0, 1, 2, 3, 4, 5, 6, 7, 8, 9\)"):
        run(ckpt="sgan", dataset={"split": "all"})


def test_clusters_without_the_runs_data_have_no_names(here):
    report = run(ckpt="infogan", input="flat", dataset={"path": "nowhere"}, out="out.csv")
    assert report.verdicts.matrix is None and "have no names, for which the run's data are needed" in report.notes[0]
    assert set(table("out.csv")[0]) == {"example", "cluster", "probability", "p(0)", "p(1)", "p(2)"}


@pytest.mark.recipe
def test_a_checkpoint_that_was_chosen_on_the_held_out_examples_is_said_to_be(here, workplace, tmp_path):
    folder = tmp_path / "chosen"
    (folder / "checkpoints").mkdir(parents=True)
    (source,) = (workplace / "outputs/train/20260101T000000Z-sgan0-sgan-digits/checkpoints").glob("kimg-*")
    for name in ("kimg-000002.safetensors", "kimg-000004.safetensors"):
        (folder / "checkpoints" / name).write_bytes(source.read_bytes())
    (folder / "config.yaml").write_text((source.parents[1] / "config.yaml").read_text())
    write_status(folder, Status("finished", best={"metric": "class_error(0/897)", "value": 0.1, "images": 2000}))
    said = "chosen on them: RUN@latest is not"
    assert said in run(ckpt=f"{folder}@2", out="a.csv").notes[-1]
    for number, changes in enumerate(({"ckpt": f"{folder}@4"}, {"ckpt": f"{folder}@2", "input": "flat"},
                                      {"ckpt": f"{folder}@2", "dataset": {"split": "train"}})):
        assert not any(said in note for note in run(**changes, out=f"{number}.csv").notes)


@pytest.mark.parametrize(("changes", "message"), [
    ({"ckpt": "dcgan"}, "model=dcgan cannot classify images; .*sgan.* can"),
    ({"ckpt": "plain"}, "has no held-out examples: give input=FOLDER"),
    ({"input": "nowhere"}, "input=nowhere does not exist"), ({"input": []}, "input=.. names no image"),
    ({"input": "empty"}, "holds no images but no files"), ({"input": ["flat/0.png", "9.png"]}, "input=9.png does not exist"),
    ({"input": "broken"}, "None of the 1 files could be decoded"),
    ({"input": 5}, "input=5 is no path"), ({"out": "a.png"}, "ends in .png"), ({"matched": 0}, "matched must be at least 1"),
    ({"dataset": {"split": "nothing"}}, "split=nothing"),
])
def test_mistakes_are_sentences_and_nothing_is_written(changes, message, here):
    Path("empty").mkdir()
    Path("broken").mkdir()
    Path("broken/a.png").write_bytes(b"x")
    with pytest.raises(UserError, match=message):
        run(**{"ckpt": "sgan"} | changes)
    assert {path.name for path in Path("outputs").iterdir()} == {"train"}


def test_points_take_no_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_run(tmp_path / "run", "catgan", spec=DataSpec((2,), 9), categories=3)
    with pytest.raises(UserError, match="takes images and this model was trained on"):
        run(ckpt="run", input="x")


@pytest.mark.recipe
def test_the_command_prints_table_and_files(here, capsys):
    command.task.__wrapped__(composed(ckpt="sgan", out="out.csv"))
    printed = capsys.readouterr().out
    assert "Examples by class (rows) and by the one given" in printed and "right, error" in printed
    assert "has learned from the labels of 20 of 900" in printed and printed.splitlines()[-1] == "out-confusion.png"


def test_conf_and_schema_have_the_same_keys():
    assert set(composed()) == set(ClassifyOptions.__dataclass_fields__)


def test_paths_of_input_are_absolute_and_a_list_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert quote_paths(["input=my pictures"], False) == [f"input='{tmp_path}/my pictures'"]
    assert quote_paths(["input=[a.png,b.png]"], False) == ["input=[a.png,b.png]"]
