"""Loaded models: the same seed gives the same images, and what does not fit is refused."""

import io
import subprocess
import sys

import pytest
import torch
from composing import spec_for
from PIL import Image
from small_runs import config_of, save_run
from systems import VARIANTS, system

import gancli
from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.explore.loaded import load
from gancli.game.abilities import able, models_able
from gancli.runs.checkpoint import CheckpointFolder, read

RUN = "20260101T000000Z-aaaaaa-{}-digits"


def run_of(name, **changes):
    """Return the id of a variant's run."""
    return f"aaaa{VARIANTS.index((name, changes)):02x}"


DCGAN, CGAN, BIGAN = run_of("dcgan"), run_of("cgan", backbone="mlp"), run_of("bigan", backbone="conv")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "outputs"
    for name, changes in VARIANTS:
        save_run(root / "train" / f"20260101T000000Z-{run_of(name, **changes)}-{name}-digits", name, **changes)
    save_run(root / "train" / "20260201T000000Z-bbbbbb-dcgan-rgb", "dcgan", loss="wgan_gp",
             spec=DataSpec((3, 12, 20), 9), averaged=False)
    save_run(root / "train" / "20260202T000000Z-cccccc-gan-ring", "gan", spec=DataSpec((2,), 9))
    return root


SAMPLING = [pytest.param(run_of(name, **changes), name, marks=pytest.mark.recipe if changes else ())
            for name, changes in VARIANTS if able(system(name), "sample")]


@pytest.mark.parametrize(("run", "name"), SAMPLING)
def test_a_seed_gives_the_same_images_whatever_the_batch_size(run, name, outputs):
    assert len(SAMPLING) == sum(able(system(name), "sample") for name, _ in VARIANTS) >= 6
    loaded = load(run, device="cpu", root=outputs)
    assert loaded.name == name and loaded.kimg == 2.0 and not loaded.model.training
    labels = 1 if loaded.model.needs.labels else None
    x = loaded.sample(130, seed=3, label=labels)
    assert x.shape == (130, *spec_for(name).shape)
    assert x.dtype == torch.int64 if loaded.spec.kind == "tokens" else x.dtype == torch.float32 and x.abs().max() <= 1
    assert x.float().std(0).mean() > 1e-3  # images differ
    for n, batch_size in ((130, 7), (65, 64), (3, 1)):
        assert torch.allclose(loaded.sample(n, 3, labels, batch_size), x[:n], atol=5e-4)  # of images cut off from up to 300
    assert not torch.allclose(loaded.sample(3, seed=4, label=labels), x[:3], atol=1e-3)


def test_latents_depend_on_seed_and_number_alone(outputs):
    loaded = load(DCGAN, root=outputs)
    z = loaded.latents(200, seed=5)
    assert torch.equal(loaded.latents(3, seed=5), z[:3])
    assert torch.equal(loaded.latents(70, 5, start=60), z[60:130])
    assert z.unique(dim=0).shape[0] == 200  # blocks are different streams
    assert not torch.equal(loaded.latents(64, seed=6), z[:64])
    assert torch.equal(loaded.generate(z[:2]), loaded.sample(2, seed=5))


def test_averaged_weights_are_taken_unless_told(outputs):
    run = outputs / "train" / f"20260101T000000Z-{DCGAN}-dcgan-digits"
    tensors = read(CheckpointFolder(run).latest()).tensors
    key = "generator." + next(k for k, _ in load(run).model.generator.named_parameters())
    assert torch.equal(load(run).model.state_dict()[key], tensors[f"ema/{key}"])
    assert torch.equal(load(run, weights="raw").model.state_dict()[key], tensors[f"model/{key}"])
    with pytest.raises(UserError, match="weights=best"):
        load(run, weights="best")


def test_the_python_api_of_the_readme(outputs, monkeypatch):
    monkeypatch.chdir(outputs.parent)
    before = torch.get_rng_state()
    x = gancli.load("dcgan-rgb").sample(16, seed=0)
    assert x.shape == (16, 3, 12, 20)
    assert torch.equal(torch.get_rng_state(), before)
    assert gancli.load(outputs / "train" / "20260202T000000Z-cccccc-gan-ring").sample(5).shape == (5, 2)


def test_importing_gancli_imports_no_torch():
    code = "import sys, gancli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_labels_are_names_indices_or_one_for_each_image(outputs):
    loaded = load(CGAN, root=outputs)  # classes zero, one, two
    by_name = loaded.sample(4, label="two")
    assert torch.equal(by_name, loaded.sample(4, label=2))
    assert torch.equal(by_name, loaded.sample(4, label=torch.full((4,), 2)))
    mixed = loaded.sample(4, label=["two", 0, "two", 1])
    assert torch.allclose(mixed[[0, 2]], by_name[[0, 2]], atol=1e-5) and not torch.allclose(mixed[1], by_name[1])
    spread = loaded.sample(4)
    assert torch.allclose(spread, loaded.sample(4, label=[0, 0, 1, 2]), atol=1e-6)
    soft = torch.nn.functional.one_hot(torch.full((4,), 2), 3).float()
    assert torch.equal(loaded.generate(loaded.latents(4), soft), by_name)


@pytest.mark.parametrize(("labels", "message"), [
    ("three", "no class called three; there is zero, one, two"), (3, "no class called 3"), (-1, "no class called -1"),
    (True, "no class called True"), (1.5, "no class called 1.5"), ([0, 1], "2 labels were given for 4 images"),
    ([], "names no class"),
])
def test_wrong_labels_are_refused(labels, message, outputs):
    with pytest.raises(UserError, match=message):
        load(CGAN, root=outputs).sample(4, label=labels)


def test_labels_need_a_conditional_model(outputs):
    for use in (lambda model: model.sample(2, label=1), lambda model: model.interpolate([0, 1], label=1)):
        with pytest.raises(UserError, match="takes labels and this one is dcgan; there is .*cgan"):
            use(load(DCGAN, root=outputs))


def test_interpolation_starts_and_ends_at_the_images_of_its_seeds(outputs):
    for run, labels in ((DCGAN, None), (CGAN, [0, 2])):
        loaded = load(run, root=outputs)
        images = loaded.interpolate([3, 8], steps=5, label=labels)
        assert images.shape == (5, 1, 16, 16)
        ends = [loaded.sample(1, seed, None if labels is None else labels[i]) for i, seed in enumerate((3, 8))]
        assert torch.allclose(images[[0, 4]], torch.cat(ends), atol=1e-5)
        assert loaded.interpolate([3, 8], steps=5, label=labels, loop=True).shape[0] == 8


def test_a_blended_label_moves_the_image_of_one_latent(outputs):
    loaded = load(CGAN, root=outputs)
    images = loaded.interpolate([3, 3], steps=3, label=["zero", "two"])
    assert not torch.allclose(images[0], images[1], atol=1e-4) and not torch.allclose(images[1], images[2], atol=1e-4)


def test_abilities_work_in_batches(outputs):
    bigan = load(BIGAN, root=outputs)
    x = bigan.sample(5)
    assert bigan.encode(x).shape == (5, 6)
    assert torch.allclose(bigan.reconstruct(x, batch_size=2), bigan.generate(bigan.encode(x)), atol=1e-5)
    cyclegan = load("cyclegan", root=outputs)
    y = cyclegan.translate(x, "drawing", batch_size=2)
    assert y.shape == x.shape and not torch.allclose(y, cyclegan.translate(x, "photo"), atol=1e-3)
    with pytest.raises(UserError, match="no domain called dog to translate into; there is drawing, photo"):
        cyclegan.translate(x, "dog")
    with pytest.raises(UserError, match="batch is empty"):
        bigan.encode(x[:0])


@pytest.mark.parametrize(("ability", "able"), [("encode", "bigan"), ("reconstruct", "bigan"),
                                               ("translate", "cyclegan")])
def test_a_missing_ability_names_the_models_that_have_it(ability, able, outputs):
    with pytest.raises(UserError, match=f"model=dcgan cannot {ability} images; .*{able}.* can"):
        getattr(load(DCGAN, root=outputs), ability)(torch.zeros(1, 1, 16, 16), *["x"] * (ability == "translate"))


def test_cyclegan_cannot_sample(outputs):
    loaded = load("cyclegan", root=outputs)
    for use in (lambda: loaded.sample(1), lambda: loaded.latents(1), lambda: loaded.interpolate([0, 1])):
        with pytest.raises(UserError, match=f"model=cyclegan cannot sample; {', '.join(models_able('sample'))} can"):
            use()


@pytest.mark.parametrize(("device", "message"), [("cuba", "not a device; did you mean cuda"),
                                                 ("cuda:99", "cuda:99 is not available here .*cpu"),
                                                 ("meta", "not a device")])
def test_a_device_that_is_not_there_is_refused(device, message, outputs):
    with pytest.raises(UserError, match=message):
        load(DCGAN, device=device, root=outputs)


def test_n_below_one_is_refused(outputs):
    with pytest.raises(UserError, match="at least 1"):
        load(DCGAN, root=outputs).sample(0)


def resave(run_dir, tmp_path, config=None, spec=None, drop=None):
    """Save the run's newest checkpoint again with another header or fewer tensors; return the file."""
    checkpoint = read(CheckpointFolder(run_dir).latest())
    tensors = {key: tensor for key, tensor in checkpoint.tensors.items() if key != drop}
    header = {"config": config or checkpoint.config, "spec": spec or checkpoint.spec, "progress": checkpoint.progress}
    return CheckpointFolder(tmp_path).save(1000, tensors, header)


def hostile(change) -> dict:
    config = config_of("dcgan")
    change(config)
    return config


BROKEN = {
    "another model": (dict(config=config_of("gan")), "are not those of model=gan"),
    "another width": (dict(config=config_of("dcgan", width=8)), "are not those of model=dcgan"),
    "endless sizes": (dict(config=config_of("dcgan", latent_size=10**12)), "are not those of model=dcgan"),
    "another size": (dict(spec=spec_for("dcgan", (1, 64, 64)).as_dict()), "are not those of model=dcgan"),
    "a tensor is missing": (dict(drop="model/discriminator.layers.0.weight"), "are not those"),
    "no spec": (dict(spec={"shape": 3}), "does not say which data"),
    "no model": (dict(config={"loss": {}}), "no model in its config"),
    "no name": (dict(config=hostile(lambda config: config["model"].pop("name"))), "model.name has no value"),
    "unknown model": (dict(config=hostile(lambda config: config["model"].update(name="os.system"))),
                      "no model called os.system"),
    "unknown option": (dict(config=hostile(lambda config: config["model"].update(evil=1))),
                       "model.evil is not an option"),
    "unknown rule": (dict(config=hostile(lambda config: config["loss"].update(rule="eval"))), "loss.rule=eval"),
    "target": (dict(config=hostile(lambda config: config["model"].update(_target_="os.system"))), "holds _target_"),
    "interpolation": (dict(config=hostile(lambda config: config["model"].update(width="${oc.env:HOME}"))),
                      "interpolation"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_checkpoint_that_does_not_fit_is_refused(kind, outputs, tmp_path):
    assert len(BROKEN) == 13
    run_dir = outputs / "train" / f"20260101T000000Z-{DCGAN}-dcgan-digits"
    changes, message = BROKEN[kind]
    if kind == "a tensor is missing":
        names = read(CheckpointFolder(run_dir).latest()).tensors
        changes = dict(drop=next(name for name in names if name.startswith("model/discriminator")))
    path = resave(run_dir, tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        load(path)


def test_a_model_says_what_it_is_and_shows_its_samples(outputs):
    loaded = load(CGAN, root=outputs)
    told = repr(loaded)
    assert told.startswith("<cgan, trained for ") and " on cpu; can sample" in told and str(loaded.path) in told
    picture = Image.open(io.BytesIO(loaded._repr_png_()))
    assert picture.format == "PNG" and 512 <= max(picture.size) < 1024


def test_labels_is_called_label_now_and_still_works(outputs):
    loaded = load(CGAN, root=outputs)
    with pytest.warns(FutureWarning, match="label= now"):
        old = loaded.sample(2, labels=1)
    assert torch.equal(old, loaded.sample(2, label=1))
    with pytest.raises(TypeError, match="give one of them"):
        loaded.sample(2, labels=1, label=1)
