"""`gan reconstruct` and `gan latents`, from composed configurations to their files."""

import csv

import numpy as np
import pytest
import torch
from data_composing import CONF, dataset_values
from omegaconf import OmegaConf
from PIL import Image
from small_runs import config_of, save_run

from gancli.config.paths import quote_paths
from gancli.data.dataset import load_data
from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.explore.age import FIXED, age
from gancli.explore.dataset import DatasetPlace
from gancli.explore.examples import find_examples
from gancli.explore.latents import LatentsOptions, latents, principal_axes
from gancli.explore.loaded import Loaded, load
from gancli.explore.reconstruct import ReconstructOptions, errors_of, reconstruct
from gancli.explore.stages import Stages
from gancli.explore.traverse import TraverseOptions
from gancli.game.abilities import models_able
from gancli.metrics.measures.fidelity import gradient_energy
from gancli.monitor.cloud import Cloud, draw_clouds
from gancli.monitor.projector import write_projector

DIGITS = DataSpec((1, 8, 8), 1797, tuple("0123456789"))
RUNS = {"vae": "vae", "autoencoder": "autoencoder", "dcgan": "dcgan", "aae": "aae", "supervised": "aae", "ring": "autoencoder"}


def save(root, run, name):
    """Save a run on digits, a fifth of them held out, or on points."""
    data = dataset_values("ring", count=400) if run == "ring" else dataset_values("digits", size=8, holdout=0.2)
    changes = {"form": "supervised"} if run == "supervised" else {"likelihood": "gaussian"} if run == "ring" else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("small_runs.config_of", lambda *given, **more: config_of(*given, **more) | {"dataset": data})
        spec = DataSpec((2,), 400, tuple("01234567")) if run == "ring" else DIGITS
        save_run(root / "outputs/train" / f"run-{run}", name, spec=spec, **changes)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Runs of models that reconstruct, one of them on points, one that needs labels, and one without an encoder."""
    root = tmp_path_factory.mktemp("workplace")
    for run, name in RUNS.items():
        save(root, run, name)
    return root


@pytest.fixture
def here(workplace, tmp_path, monkeypatch):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/train").symlink_to(workplace / "outputs/train")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(here):
    """Images of several modes and sizes, one broken, one very small, and a text."""
    folder = here / "pictures"
    (folder / "7").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, mode, size in (("a.png", "RGB", (30, 20)), ("b.png", "L", (8, 8)), ("c.png", "RGBA", (64, 9)),
                             ("d.gif", "P", (12, 40)), ("e.png", "I;16", (16, 16))):
        values = random.integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
        deep = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
        (deep if mode == "I;16" else Image.fromarray(values).convert(mode)).save(folder / "7" / name)
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(folder / "small.png")
    (folder / "broken.png").write_bytes(b"\x89PNG no more")
    (folder / "notes.txt").write_text("no image")
    return folder


def values(command, **changes):
    config = OmegaConf.load(CONF / f"{command}.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    return OmegaConf.merge(config, {"device": "cpu"}, changes)


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_conf_and_schema_have_the_same_keys():
    for command, schema in (("reconstruct", ReconstructOptions), ("latents", LatentsOptions)):
        assert set(values(command, ckpt="x")) == set(schema.__dataclass_fields__)
    quoted = quote_paths(["input=my pictures", "projector=~/p"], multirun=False)
    assert quoted[0].startswith("input='/") and quoted[1].startswith("projector='/")


# Reconstructions


def test_an_error_is_the_mean_square_of_values_from_0_to_1():
    x = torch.tensor([[[[-1.0, 1.0], [0.0, 0.5]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    y = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    assert errors_of(x, y).tolist() == [(1 + 0.0625) / 4, 0.0] and errors_of(x, y).dtype == torch.float64
    points = torch.tensor([[3.0, 4.0]])
    assert errors_of(points, torch.zeros(1, 2)).tolist() == [12.5]


def test_gradient_energy_is_the_mean_square_of_neighbors_differences():
    x = torch.tensor([[[[-1.0, 1.0], [-1.0, 0.0]]]])  # down: 0, 0.5; right: 1, 0.5, in values from 0 to 1
    assert gradient_energy(x).tolist() == [0.25 / 2 + (1 + 0.25) / 2]
    assert gradient_energy(torch.full((2, 3, 4, 5), 0.3)).tolist() == [0, 0]


@pytest.mark.recipe  # seconds
@pytest.mark.parametrize("name", models_able("reconstruct"))
def test_every_model_that_reconstructs_is_shown(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path, name, name)
    found = reconstruct(values("reconstruct", ckpt=f"run-{name}", n=40, show=5))
    rows, loaded = table(found.files[0]), load(f"run-{name}", device="cpu")
    assert [path.name for path in found.files] == ["errors.csv", "reconstructions.png", "worst.png", "best.png"]
    assert found.count == len(rows) == 40 and set(rows[0]) == {"example", "class", "error"}
    data = load_data(loaded.config["dataset"] | {"split": "test"}, None, "cpu", 0)
    x = data.examples(torch.tensor([int(row["example"]) for row in rows]))
    labels = data.labels(torch.tensor([int(row["example"]) for row in rows])) if loaded.model.needs.labels else None
    made = loaded.reconstruct(x, label=labels)
    errors = errors_of(x, made)
    torch.testing.assert_close(torch.tensor([float(row["error"]) for row in rows]).double(), errors, rtol=1e-4, atol=1e-7)
    worst, best = int(errors.argmax()), int(errors.argmin())
    assert (found.worst[0], found.best[0]) == (rows[worst]["example"], rows[best]["example"])
    energies = [gradient_energy(each).mean().item() for each in (x, made)]
    assert found.sharpness == pytest.approx(energies, rel=1e-4)
    assert found.mean == pytest.approx(errors.mean().item()) and found.median == pytest.approx(np.median(errors.numpy()))


def test_outputs_stand_at_the_right_of_their_inputs_the_most_extreme_first(here):
    found = reconstruct(values("reconstruct", ckpt="run-autoencoder", n=30, show=6, zoom=1, out="out"))
    rows, loaded = table(found.files[0]), load("run-autoencoder", device="cpu")
    data = load_data(loaded.config["dataset"] | {"split": "test"}, None, "cpu", 0)
    order = sorted(range(30), key=lambda at: -float(rows[at]["error"]))
    for path, expected in zip(found.files[1:], (range(6), order[:6], order[::-1][:6]), strict=True):
        grid = np.asarray(Image.open(path))
        assert grid.shape == (2 * 10 + 2, 8 * 10 + 2)
        x = data.examples(torch.tensor([int(rows[at]["example"]) for at in expected]))
        y = loaded.reconstruct(x)
        for number in range(6):
            for side, shown in enumerate((x, y)):
                top, left = 2 + number // 4 * 10, 2 + (number % 4 * 2 + side) * 10
                cell = grid[top:top + 8, left:left + 8].astype(float)
                assert np.abs(cell - ((shown[number, 0].numpy() + 1) * 127.5)).max() <= 1, (path.name, number, side)


def test_a_folder_of_any_images_is_framed_and_what_is_broken_is_named(here, pictures):
    found = reconstruct(values("reconstruct", ckpt="run-vae", input=str(pictures), out="errors.csv"))
    rows = table(here / "errors.csv")
    assert [row["example"] for row in rows] == ["7/a.png", "7/b.png", "7/c.png", "7/d.gif", "7/e.png", "small.png"]
    (note,) = [note for note in found.notes if "Skipped" in note]
    assert note == "Skipped 1 that could not be decoded: broken.png (not an image)."
    names = {"errors.csv", "errors-reconstructions.png", "errors-worst.png", "errors-best.png"}
    assert {path.name for path in found.files} == names
    (pictures / "small.png").unlink()
    (pictures / "broken.png").unlink()
    assert set(table(reconstruct(values("reconstruct", ckpt="run-vae", input=str(pictures / "7"))).files[0])[0]) == {
        "example", "error"}  # no classes


def test_labels_are_told_where_the_decoder_asks_for_them(here, pictures):
    found = reconstruct(values("reconstruct", ckpt="run-supervised", n=10))
    loaded = load("run-supervised", device="cpu")
    data = load_data(loaded.config["dataset"] | {"split": "test"}, None, "cpu", 0)
    rows = torch.tensor([int(row["example"]) for row in table(found.files[0])])
    x = data.examples(rows)
    expected = errors_of(x, loaded.reconstruct(x, label=data.labels(rows)))
    assert found.mean == pytest.approx(expected.mean().item(), rel=1e-4)
    with pytest.raises(UserError, match="these have none of 0, 1, .* put the images into sub-folders of these names"):
        reconstruct(values("reconstruct", ckpt="run-supervised", input=str(pictures)))
    for path in pictures.iterdir():
        if path.is_file():
            path.unlink()
    (pictures / "3").mkdir()
    (pictures / "7/a.png").rename(pictures / "3/a.png")
    assert {row["class"] for row in table(reconstruct(
        values("reconstruct", ckpt="run-supervised", input=str(pictures))).files[0])} == {"3", "7"}
    with pytest.raises(UserError, match="reconstructs with labels"):
        loaded.reconstruct(x)


@pytest.mark.recipe  # matplotlib, or TensorBoard
def test_points_are_plotted(here):
    found = reconstruct(values("reconstruct", ckpt="run-ring", n=50))
    assert [path.name for path in found.files] == ["errors.csv", "reconstructions.png"] and found.count == 50
    with pytest.raises(UserError, match="input=.* takes images and this model was trained on"):
        reconstruct(values("reconstruct", ckpt="run-ring", input=str(here)))


def test_one_batch_is_in_memory_at_a_time(here, monkeypatch):
    sizes = []
    whole = Loaded.reconstruct
    monkeypatch.setattr(Loaded, "reconstruct", lambda self, x, *more: sizes.append(len(x)) or whole(self, x, *more))
    reconstruct(values("reconstruct", ckpt="run-autoencoder", batch_size=50, show=1))
    assert sum(sizes) > 300 and max(sizes) == 50


REFUSED = [
    (dict(ckpt="run-dcgan"), "model=dcgan cannot reconstruct images; .*vae.* can"),
    (dict(input="nowhere"), "input=nowhere does not exist"),
    (dict(input="a.txt"), "None of the 1 files could be decoded: a.txt"),
    (dict(input="empty"), "empty holds no images but no files"), (dict(input="texts"), "holds no images but 1 files of other"),
    (dict(input="broken"), "None of the 1 files could be decoded: x.png"),
    (dict(input="empty", dataset={"split": "test"}), "both say which examples"),
    (dict(dataset={"split": "other"}), "split=other"), (dict(out="x.png"), "end it in .csv"), (dict(n=0), "n must be"),
    (dict(show=10**6), "million pixels"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_makes_no_sense_is_refused_and_nothing_is_written(changes, words, here):
    assert len(REFUSED) == 11
    for name in ("empty", "texts", "broken"):
        (here / name).mkdir()
    (here / "texts/a.txt").write_text("x")
    (here / "a.txt").write_text("x")
    (here / "broken/x.png").write_bytes(b"x")
    before = sorted(here.rglob("*"))
    with pytest.raises((UserError, UsageError), match=words):
        reconstruct(values("reconstruct", **{"ckpt": "run-vae", **changes}))
    assert [path for path in sorted(here.rglob("*")) if path not in before and path.is_file()] == []


# Latents


def test_principal_axes_are_those_of_the_covariance():
    z = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 2, 0], [0, -2, 0], [0, 0, 1], [0, 0, -1]], dtype=torch.float64) + 7
    mean, axes, shares = principal_axes(z, 2)
    torch.testing.assert_close(mean, torch.full((3,), 7.0, dtype=torch.float64))
    torch.testing.assert_close(axes, torch.eye(3, dtype=torch.float64)[:, :2])
    torch.testing.assert_close(shares, torch.tensor([9 / 14, 4 / 14], dtype=torch.float64))


@pytest.mark.recipe  # matplotlib, or TensorBoard
def test_latents_are_plotted_beside_the_prior(here):
    found = latents(values("latents", ckpt="run-aae", n=60))
    picture = np.asarray(Image.open(found.files[0]))
    assert picture.shape == (512, 1024, 3) and picture.std() > 5 and found.files[0].parent.name == "latents"
    assert found.title.startswith("60 examples of dataset=digits") and not any("principal" in note for note in found.notes)
    assert [row[0] for row in found.rows][0] == "mean, its norm" and all(row[1] and row[2] for row in found.rows)


def test_more_numbers_than_two_are_seen_along_principal_axes(here):
    found = latents(values("latents", ckpt="run-vae", n=60, out="z.npz"))
    (note,) = [note for note in found.notes if "principal" in note]
    assert "6 numbers" in note
    with np.load("z.npz") as held:
        z, loaded = torch.from_numpy(held["z"]), load("run-vae", device="cpu")
        assert held["prior"].shape == (60, 6) and held["labels"].shape == (60,) and list(held["classes"]) == list("0123456789")
        data = load_data(loaded.config["dataset"] | {"split": "test"}, None, "cpu", 0)
        x = data.examples(torch.tensor([int(name) for name in held["examples"]]))
        torch.testing.assert_close(z, loaded.encode(x), rtol=1e-4, atol=1e-4)
        mean, axes, _ = principal_axes(z, 2)
        torch.testing.assert_close(torch.from_numpy(held["plane"]), ((z.double() - mean) @ axes).float())


@pytest.mark.recipe  # matplotlib, or TensorBoard
def test_a_model_without_a_prior_shows_codes_alone(here):
    found = latents(values("latents", ckpt="run-autoencoder", n=20, out="z.png"))
    assert np.asarray(Image.open("z.png")).shape == (512, 512, 3)
    assert any("draws no latents" in note for note in found.notes) and all(row[2] == "" for row in found.rows)
    with pytest.raises(UserError, match="model=dcgan cannot encode images; .*aae.* can"):
        latents(values("latents", ckpt="run-dcgan"))


@pytest.mark.recipe  # matplotlib, or TensorBoard
def test_the_projector_gets_vectors_names_and_thumbnails(here, monkeypatch):
    latents(values("latents", ckpt="run-vae", n=30, projector="p"))
    names = ("tensors.tsv", "metadata.tsv", "sprite.png")
    (vectors,), (metadata,), (sprite,) = (list((here / "p").rglob(name)) for name in names)
    assert len(vectors.read_text().splitlines()) == 30 and len(metadata.read_text().splitlines()) == 31
    assert metadata.read_text().splitlines()[0] == "example\tclass" and Image.open(sprite).size == (48, 48)  # 6 x 6 of 8 x 8
    assert "tensor_path" in (here / "p/projector_config.pbtxt").read_text()
    with pytest.raises(UserError, match="p is not empty: give another"):
        latents(values("latents", ckpt="run-vae", n=30, projector="p"))
    monkeypatch.setattr("gancli.explore.latents.LARGEST_SPRITE", 40)
    with pytest.raises(UserError, match="30 pictures are more than TensorBoard's projector shows at their size: give n=25"):
        latents(values("latents", ckpt="run-vae", n=30, projector="q"))
    write_projector(here / "wide", torch.rand(3, 2), [("a\tb", ""), ("c", "x"), ("d", "y")],
                    np.zeros((3, 4, 6, 2), np.uint8))
    assert "a b\t-" in next((here / "wide").rglob("metadata.tsv")).read_text()


@pytest.mark.recipe  # matplotlib, or TensorBoard
def test_clouds_share_square_axes_and_lines_become_histograms():
    plane = Cloud("encoded", np.array([[0.0, 0.0], [4.0, 1.0], [np.nan, 0.0]]), np.array([0, 1, 1]))
    line = Cloud("encoded", np.random.default_rng(0).normal(size=(50, 1)), None)
    for clouds, classes in (([plane, Cloud("prior", np.zeros((2, 2)), None)], ["a", "b"]), ([line, line], []),
                            ([plane], [str(i) for i in range(30)])):
        assert draw_clouds(clouds, classes, "latent", size=200).shape == (200, 200 * len(clouds), 3)


def test_data_without_a_held_out_part_are_said_to_be_those_of_training(here, pictures):
    loaded = load("run-vae", device="cpu")
    loaded.config["dataset"] = dataset_values("folder", path=str(pictures), size=8, channels=1, store="memory")
    with Stages() as stages:
        inputs = find_examples(loaded, None, None, DatasetPlace(None, None), None, stages)
    assert any("examples that the model was trained on" in note for note in inputs.notes) and inputs.count == 5


def test_age_shows_held_out_examples_at_every_label(here):
    config = OmegaConf.load(CONF / "age.yaml")
    keys = set(config) - {"defaults", "hydra"}
    assert keys | set(FIXED) == set(TraverseOptions.__dataclass_fields__)
    config = OmegaConf.masked_copy(config, sorted(keys))
    done = age(OmegaConf.merge(config, {"ckpt": "supervised", "device": "cpu", "n": 3, "zoom": 1}))
    assert done.files[0].parent.name == "age" and done.files[0].name.endswith("-label.png")
    with Image.open(done.files[0]) as picture:
        assert picture.size == (11 * 10 + 2, 3 * 10 + 2)  # the digit, and its style at ten labels
    assert done.notes[-1] == f"Columns: the image, then {', '.join('0123456789')}."
    with pytest.raises(UserError, match="factor=label needs a model that takes labels"):
        age(OmegaConf.merge(config, {"ckpt": "vae", "device": "cpu"}))
