"""The first GAN as its authors' code starts and plays it; points and older runs go on as they were."""

import pytest
import torch
from composing import compose_model

from gancli.config.compose import compose
from gancli.data.spec import Batch, DataSpec
from gancli.runs.formats import converted

IMAGES = DataSpec((1, 4, 4), 20, ("0", "1"))


def model(spec: DataSpec = IMAGES, **changes):
    torch.manual_seed(0)
    return compose_model("gan", spec=spec, **changes)


def test_the_generator_starts_at_the_mean_of_a_batch():
    gan, real = model(), torch.rand(20, 1, 4, 4) * 2 - 1
    real[:, 0, 0, 0], real[:, 0, 0, 1] = -1, 1  # in no image, and in every one
    gan.begin(Batch((real,)))
    shown = gan.generator.head.bias.sigmoid()
    means = ((real + 1) / 2).flatten(1).mean(0)
    assert torch.allclose(shown[2:], means[2:], atol=1e-6)
    assert shown[0].item() == pytest.approx(0.025) and shown[1].item() == pytest.approx(0.975)
    for other in (model(marginals=False), model(DataSpec((2,), 20))):
        other.begin(Batch((torch.ones(20, *other.spec.shape),)))
        assert not other.generator.head.bias.any()


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_latents_have_mean_0_and_variance_1(prior):
    z = model(prior=prior, latent_size=50).draw_latents(4000, torch.Generator().manual_seed(0))
    assert z.mean().abs() < 0.01 and abs(z.var() - 1) < 0.02
    assert (z.abs().max() > 2) == (prior == "normal")


@pytest.mark.parametrize(("overrides", "scheme"), [
    ((), "simultaneous"), (("loss=hinge",), "simultaneous"), (("loss=wgan_gp",), "alternating"),
    (("trainer.discriminator_turns=2",), "alternating"), (("dataset=ring",), "alternating"),
    (("trainer.scheme=extragradient",), "extragradient"), (("model=dcgan",), "alternating")])
def test_players_step_at_once_where_each_has_one_turn(overrides, scheme):
    assert compose("train", ["model=gan", *overrides]).trainer.scheme == scheme


def test_points_and_older_runs_keep_uniform_latents():
    assert compose("train", ["model=gan", "dataset=ring"]).model.prior == "uniform"
    assert converted({"model": {"name": "gan"}})["model"] == {"name": "gan", "prior": "uniform", "marginals": False}
