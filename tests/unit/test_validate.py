"""What `gan validate` says of a run."""

import pytest
import torch
from omegaconf import OmegaConf

from gancli.config.compose import compose
from gancli.config.groups import groups
from gancli.data.spec import DataSpec
from gancli.engine.training import train
from gancli.errors import UserError
from gancli.game.build import build_model, model_options
from gancli.losses.objective import Objective
from gancli.losses.options import LossOptions
from gancli.options import typed
from gancli.plan.run import plan_run
from gancli.plan.validate import report


def told(*overrides: str) -> str:
    """Return the report on a configuration."""
    given = [*overrides, "device=cpu", "evaluation.kimg=null"]
    return report(compose("train", given), given)


def test_lengths_are_compared_by_the_generators_turns_where_players_have_unequally_many():
    """300 kimg are 2,344 steps of dcgan's generator and, five critic turns of 64 images each, 938 with wgan_gp."""
    plain, critic = told("model=dcgan", "model.width=4"), told("model=dcgan", "model.width=4", "loss=wgan_gp")
    assert "300 kimg" in plain and "2,344 of the generator" in plain and "compare lengths" not in plain
    assert "300 kimg" in critic and "938 of the generator" in critic and "compare lengths by the generator's turns" in critic


POINTS = ("ring", "grid", "swiss_roll", "mixture_1d")


@pytest.mark.parametrize("name", POINTS)
def test_points_have_a_loss_networks_and_a_recipe_of_their_own(name):
    """Goodfellow's settings for images find no mode of a mixture in the plane."""
    cfg = compose("train", ["model=gan", f"dataset={name}"])
    assert cfg.loss.name == "r1_points" and cfg.loss.r1.weight > 0
    assert (cfg.optimizer.name, cfg.trainer.batch_size, cfg.trainer.precision) == ("adam", 256, "fp32")
    assert cfg.optimizer.discriminator.lr is None and cfg.optimizer.momentum == 0
    assert cfg.model.input_dropout == cfg.model.dropout == 0
    assert cfg.model.generator_init is cfg.model.discriminator_init is cfg.model.pieces is None
    images = compose("train", ["model=gan"])
    assert (images.loss.name, images.optimizer.name, images.model.pieces) == ("nonsaturating", "sgd", 5)


def test_what_is_written_out_counts_before_what_points_bring():
    given = ["model=gan", "dataset=ring", "loss=wgan_gp", "model.dropout=0.3", "model.pieces=2", "model.generator_init=0.1",
             "trainer.kimg=7", "trainer.precision=bf16", "optimizer=sgd", "evaluation.kimg=3"]
    cfg = compose("train", given)
    assert cfg.loss.name == "wgan_gp" and cfg.loss.r1.weight == 0
    assert (cfg.model.dropout, cfg.model.pieces, cfg.model.generator_init) == (0.3, 2, 0.1)
    assert (cfg.trainer.kimg, cfg.trainer.precision, cfg.optimizer.name, cfg.evaluation.kimg) == (7, "bf16", "sgd", 3)
    assert compose("train", ["model=gan", "dataset=ring", "~data_recipe"]).model == compose("train", ["model=gan"]).model


@pytest.mark.recipe
def test_validate_shows_what_points_bring():
    text = told("model=gan", "dataset=ring")
    assert "gan with loss r1_points" in text and "adam, lr 0.005" in text and "batch 256" in text
    assert "loss nonsaturating" in told("model=gan", "dataset=ring", "loss=nonsaturating")


def test_a_group_that_follows_from_others_is_not_offered():
    assert "data_recipe" not in groups("train") and "experiment" in groups("train")


def test_default_networks_start_at_the_scale_of_points():
    """Outputs of the untrained networks of model=gan: spread over the data, not within 0.01 of 0."""
    cfg = compose("train", ["model=gan", "dataset=ring"])
    options = model_options(OmegaConf.to_container(cfg.model))
    torch.manual_seed(0)
    model = build_model(options, Objective(typed(LossOptions, cfg.loss, "loss")), DataSpec((2,), 100))
    points = model.sample(500, torch.Generator().manual_seed(0))
    assert points.std() > 0.3
    assert model.judge(points).std() > 0.1
    assert any(isinstance(part, torch.nn.LeakyReLU) for part in model.discriminator.modules())


ABSENT = {"svhn": "182 MB", "mnist": "12 MB", "celeba": "1.5 GB", "stl10": "2.6 GB"}


@pytest.mark.recipe
@pytest.mark.parametrize("name", ABSENT)
def test_data_that_are_not_there_are_named_with_the_size_of_their_download(name, tmp_path):
    text = told("model=dcgan", "model.width=4", f"dataset={name}", f"data_dir={tmp_path}")
    assert f"about {ABSENT[name]} there" in text and "valid         yes, once the data are there" in text
    assert "absent" not in told("model=dcgan", "model.width=4") and len(ABSENT) == 4


def test_a_run_whose_data_cannot_be_downloaded_leaves_no_folder(tmp_path, monkeypatch, capsys):
    import torchvision.datasets as sets

    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(sets.svhn, "download_url", refuse)
    given = ["model=dcgan", "model.width=4", "dataset=svhn", f"data_dir={tmp_path / 'data'}", f"run_dir={tmp_path / 'run'}",
             "device=cpu"]
    with pytest.raises(UserError, match="cannot be downloaded .*data_dir=FOLDER"):
        train(plan_run(compose("train", given), given))
    assert list(tmp_path.iterdir()) == [] and "about 182 MB" in capsys.readouterr().err
