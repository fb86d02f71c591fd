"""Autoencoders: likelihoods by hand, the bound and its gradient, what is refused, and runs without a discriminator."""

import json
import math
from functools import partial

import pytest
import torch
from composing import batch_for, compose_loss, compose_model, spec_for, take_turn
from planning import SMALL_NETWORKS, TINY, plan, resume, run
from systems import later
from torch.distributions import Bernoulli as BernoulliLaw
from torch.distributions import Normal as NormalLaw
from torch.distributions import kl_divergence
from typer.testing import CliRunner

from gancli.cli import main
from gancli.data.spec import Batch, DataSpec
from gancli.diagnosis import advice
from gancli.diagnosis.detectors import diagnose
from gancli.diagnosis.history import History
from gancli.diagnosis.setting import Setting
from gancli.engine.training import train
from gancli.errors import UsageError, UserError
from gancli.game.model import Fixed, Progress
from gancli.losses.likelihood import Bernoulli, Gaussian, normal_divergence
from gancli.runs.checkpoint import CheckpointFolder, read

tensor = partial(torch.tensor, dtype=torch.float64)
BOTH = ("autoencoder", "vae")
VAE = (*TINY, "model=vae", *SMALL_NETWORKS["vae"], "trainer.precision=fp32")
POINTS = DataSpec((2,), 100)


def doubled(name, **changes):
    """Return a model and a batch in float64."""
    torch.manual_seed(0)
    model = compose_model(name, **changes).double()
    batch = batch_for(model.spec)
    batch.domains = tuple(x.double() for x in batch.domains)
    return model, batch


# Likelihoods and divergence


def test_bernoulli_by_hand():
    logits, x = tensor([[0.0, math.log(3), -40.0]]), tensor([[1.0, 0.0, 1.0]])  # values 1, 1/2, 1
    expected = math.log(2) - 0.5 * math.log(0.75) - 0.5 * math.log(0.25) + 40
    assert Bernoulli().nats(logits, x).item() == pytest.approx(expected, abs=1e-12)
    zeros_and_ones = tensor([[[[0.0, 1], [1, 0]]]])
    outputs = torch.randn(1, 1, 2, 2).double()
    law = -BernoulliLaw(logits=outputs).log_prob(zeros_and_ones).sum()
    assert torch.allclose(Bernoulli().nats(outputs, zeros_and_ones * 2 - 1), law)
    assert Bernoulli().mean(tensor([0.0, 50.0, -50.0])).tolist() == [0, 1, -1]


def test_gaussian_by_hand():
    likelihood = Gaussian(images=False, std=0.5).double()
    x, mean = tensor([[1.0, -2.0]]), tensor([[0.5, -2.0]])
    assert likelihood.nats(mean, x).item() == pytest.approx(0.5 + 2 * math.log(0.5) + math.log(2 * math.pi), abs=1e-7)
    assert torch.equal(likelihood.mean(mean), mean) and not list(likelihood.parameters())
    images, outputs = torch.rand(3, 1, 4, 4).double() * 2 - 1, torch.randn(3, 1, 4, 4).double()
    law = -NormalLaw(outputs.sigmoid(), 0.1).log_prob((images + 1) / 2).flatten(1).sum(1)
    assert torch.allclose(Gaussian(images=True, std=0.1).double().nats(outputs, images), law, rtol=1e-5)


def test_a_learned_deviation_starts_below_the_datas_and_is_best_where_it_is_that_of_the_gaps():
    torch.manual_seed(0)
    likelihood, x = Gaussian(images=False, std=None), 3 + 0.2 * torch.randn(5000, 2)
    likelihood.begin(x)
    assert likelihood.log_std.exp().item() == pytest.approx(0.1, rel=0.03)
    with torch.no_grad():
        likelihood.log_std.copy_((x - x.mean(0)).square().mean().sqrt().log())
    likelihood.nats(x.mean(0).expand_as(x), x).mean().backward()
    assert likelihood.log_std.grad.abs() < 1e-3
    fixed = Gaussian(images=False, std=0.5)
    fixed.begin(x)
    assert fixed.log_std.exp().item() == pytest.approx(0.5)
    model = compose_model("vae", likelihood="gaussian")
    model.begin(batch_for(model.spec))  # values of images are uniform in [0, 1]
    assert model.likelihood.log_std.exp().item() == pytest.approx(0.5 / math.sqrt(12), rel=0.2)
    _, scalars = model.player_loss("autoencoder", batch_for(model.spec), Progress(total=1))
    assert scalars["sigma"] == model.likelihood.log_std.exp()


def test_divergence_by_hand():
    mean, log_variance = tensor([[1.0, 0.0], [0.0, -2.0]]), tensor([[0.0, 0.0], [math.log(4), 1.0]])
    expected = [0.5, 0.5 * (0 + 4 - 1 - math.log(4)) + 0.5 * (4 + math.e - 1 - 1)]
    assert normal_divergence(mean, log_variance).tolist() == pytest.approx(expected, abs=1e-12)
    law = kl_divergence(NormalLaw(mean, (log_variance / 2).exp()), NormalLaw(0, 1)).sum(1)
    assert torch.allclose(normal_divergence(mean, log_variance), law)


# The bound


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_bound_is_the_papers(likelihood):
    model, batch = doubled("vae", likelihood=likelihood, sigma=0.3)
    torch.manual_seed(3)
    loss, scalars = model.player_loss("autoencoder", batch, Progress(total=1))
    torch.manual_seed(3)
    noise = torch.randn(4, 6)
    mean, log_variance = model.encoder(batch.real)[:, :6], model.encoder(batch.real)[:, 6:]
    outputs, values = model.decoder(mean + torch.exp(0.5 * log_variance) * noise), (batch.real + 1) / 2
    p = outputs.sigmoid()
    if likelihood == "bernoulli":
        of_data = values * p.log() + (1 - values) * (1 - p).log()
    else:
        of_data = -0.5 * ((values - p) / 0.3) ** 2 - math.log(0.3) - 0.5 * math.log(2 * math.pi)
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp())
    bound = (of_data.sum() - divergence.sum()) / 4
    assert loss.dtype == torch.float64 and loss.item() == pytest.approx(-bound.item(), rel=1e-6)
    assert scalars["bound"].item() == -loss.item()
    assert scalars["reconstruction"].item() + scalars["kl"].item() == pytest.approx(loss.item(), rel=1e-12)
    assert scalars["kl"].item() == pytest.approx(divergence.sum().item() / 4, rel=1e-12)


def test_the_bound_stays_below_the_likelihood_and_reaches_it_by_the_true_posterior():
    """p(x|z) = N(a z, s^2) with one latent: log p(x) = N(x; 0, a^2 + s^2), the posterior is normal."""
    model = compose_model("vae", spec=DataSpec((1,), 100), likelihood="gaussian", sigma=0.5, latent_size=1).double()
    a, variance = 2.0, 1 / (1 + 2.0**2 / 0.5**2)
    batch = Batch((torch.full((20_000, 1), 0.7).double(),))
    evidence = NormalLaw(0.0, math.sqrt(a**2 + 0.5**2)).log_prob(tensor(0.7)).item()
    model.decoder.forward = lambda z: a * z
    bounds = []
    for factor in (1.0, 3.0):
        outputs = tensor([variance * a / 0.5**2 * 0.7, math.log(factor * variance)])
        model.encoder.forward = lambda x, outputs=outputs: outputs.expand(len(x), 2)
        torch.manual_seed(0)
        bounds.append(model.player_loss("autoencoder", batch, Progress(total=1))[1]["bound"].item())
    assert bounds[0] == pytest.approx(evidence, abs=0.02)
    assert bounds[1] == pytest.approx(evidence - 0.5 * (3 - 1 - math.log(3)), abs=0.05)  # by KL(q || posterior)


def test_the_gradient_reaches_the_encoder_through_the_noise():
    model, batch = doubled("vae")

    def loss():
        torch.manual_seed(5)
        return model.player_loss("autoencoder", batch, Progress(total=1))[0]

    loss().backward()
    bias = model.encoder.head.bias
    for i in range(12):  # six means, six log variances
        found, step = bias.grad[i].item(), 1e-6
        with torch.no_grad():
            bias[i] += step
            above = loss().item()
            bias[i] -= 2 * step
            slope = (above - loss().item()) / (2 * step)
            bias[i] += step
        assert found == pytest.approx(slope, rel=1e-4, abs=1e-7)
    torch.manual_seed(6)
    assert model.player_loss("autoencoder", batch, Progress(total=1))[0] != loss()


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_plain_autoencoder_has_no_noise_and_no_prior(likelihood):
    model, batch = doubled("autoencoder", likelihood=likelihood)
    loss, scalars = model.player_loss("autoencoder", batch, Progress(total=1))
    assert loss == model.player_loss("autoencoder", batch, Progress(total=1))[0] == scalars["reconstruction"]
    p, values = (model.reconstruct(batch.real) + 1) / 2, (batch.real + 1) / 2
    if likelihood == "bernoulli":
        expected = -(values * p.log() + (1 - values) * (1 - p).log())
    else:
        expected = 0.5 * (values - p) ** 2 + 0.5 * math.log(2 * math.pi)
    assert loss.item() == pytest.approx(expected.sum().item() / 4, rel=1e-6)
    with pytest.raises(ValueError, match="no player called generator; it has autoencoder"):
        model.player_loss("generator", batch, Progress(total=1))


# Networks and abilities


def test_the_networks_are_the_examples():
    with torch.device("meta"):
        vae = compose_model("vae", spec=spec_for("vae", (1, 28, 28)), small=False)
        plain = compose_model("autoencoder", spec=spec_for("vae", (1, 28, 28)), small=False)
    assert sum(p.numel() for p in vae.parameters()) == 785 * 400 + 2 * 401 * 20 + 21 * 400 + 401 * 784
    assert sum(p.numel() for p in plain.parameters()) == 785 * 400 + 401 * 20 + 21 * 400 + 401 * 784
    assert compose_model("vae", small=False).encoder.head.weight.abs().max() <= 1 / math.sqrt(400)  # torch's own start


def test_the_convolutional_decoder_is_dcgans_generator():
    torch.manual_seed(0)
    model, z = compose_model("vae", backbone="conv").eval(), torch.randn(3, 6)
    assert torch.allclose(model.generate(z), model.decoder.generator(z), atol=1e-6)
    dcgan = compose_model("dcgan")
    assert {k: p.shape for k, p in model.decoder.generator.named_parameters()} == {
        k: p.shape for k, p in dcgan.generator.named_parameters()}


@torch.no_grad()
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("spec", [spec_for("vae"), POINTS], ids=["images", "points"])
def test_codes_and_reconstructions(name, spec):
    model = compose_model(name, spec=spec, likelihood="gaussian").eval()
    batch = batch_for(DataSpec(spec.shape, 100, ("zero",)), n=16)
    z, rebuilt = model.encode(batch.real), model.reconstruct(batch.real)
    assert z.shape == (16, 6) and rebuilt.shape == batch.real.shape
    assert torch.equal(rebuilt, model.likelihood.mean(model.decoder(z))) and torch.equal(z, model.encode(batch.real))
    latents = model.draw_latents(16, torch.Generator().manual_seed(0)) if name == "vae" else None
    shown = model.showcase(Fixed(latents, None, batch, columns=4))
    assert list(shown) == (["samples", "reconstructions"] if name == "vae" else ["reconstructions"])
    pictures = shown["reconstructions"]
    if spec.is_image:
        assert len(pictures) == 16 and torch.equal(pictures[:4], batch.real[:4])
        assert torch.allclose(pictures[4:8], rebuilt[:4], atol=1e-5)
    else:
        assert torch.equal(pictures, rebuilt)


def test_latents_are_normal_and_walked_on_circles():
    model = compose_model("vae")
    z = model.draw_latents(20_000, torch.Generator().manual_seed(0))
    assert z.mean().abs() < 0.02 and z.std().item() == pytest.approx(1, abs=0.01) and model.prior.spherical


@pytest.mark.parametrize("name", BOTH)
def test_points_are_learned(name):
    torch.manual_seed(0)
    model = compose_model(name, spec=POINTS, likelihood="gaussian")
    batch = batch_for(DataSpec((2,), 100, ("zero",)), n=64)
    model.begin(batch)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        losses.append(take_turn(model, "autoencoder", batch, Progress(total=1))[0].item())
        optimizer.step()
    assert sum(losses[-5:]) < sum(losses[:5])


# What is refused


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(("changes", "spec", "words"), [
    ({}, POINTS, "likelihood=bernoulli needs values in .* holds points: set model.likelihood=gaussian"),
    ({"backbone": "conv", "likelihood": "gaussian"}, POINTS, "set model.backbone=mlp"),
    ({"backbone": "conv"}, DataSpec((1, 7, 8), 9), "dataset.size=8"),
    ({}, DataSpec((20,), 9, kind="tokens", vocabulary=("a", "b")), "holds tokens")])
def test_data_that_does_not_fit_is_refused(name, changes, spec, words):
    with pytest.raises(UserError, match=words):
        compose_model(name, spec=spec, **changes)


@pytest.mark.parametrize(("overrides", "words"), later([
    (["model=vae", "loss=wgan"], "model=vae brings its own losses and takes no loss=wgan: leave loss= out"),
    (["model=autoencoder", "loss=nonsaturating"], "brings its own losses"),
    (["model=dcgan", "loss=none"], "model=dcgan does not take loss=none"),
    (["model=vae", "loss.r1.weight=1"], "loss.r1 is for discriminators, and model=vae has none"),
    (["model=vae", "loss.spectral_norm=true"], "loss.spectral_norm is for discriminators"),
    (["model=vae", "optimizer.discriminator.lr=1e-4"], "optimizer.discriminator.lr is for discriminators"),
    (["model=vae", "trainer.discriminator_turns=2"], "trainer.discriminator_turns is for discriminators"),
    (["model=autoencoder", "trainer.unrolled=2"], "trainer.unrolled is for discriminators, and model=autoencoder"),
    (["model=vae", "+optimizer.players.generator.lr=1e-4"], "model=vae has no such player; there is autoencoder"),
    (["model=vae", "model.likelihood=gausian"], "did you mean gaussian"),
    (["model=vae", "model.sigma=0"], "model.sigma must"),
    (["model=vae", "model.layers=0"], "model.layers must"), (["model=autoencoder", "model.backbone=cnn"], "backbone=cnn")],
                                                         first=5))
def test_settings_that_make_no_sense_are_refused(tmp_path, overrides, words):
    with pytest.raises(UsageError, match=words):
        plan(tmp_path / "run", *overrides, "dataset.size=8", "device=cpu")
    assert not list(tmp_path.iterdir())


def test_optuna_wants_models_that_can_be_measured():
    from omegaconf import OmegaConf

    from gancli.config.compose import Swept
    from gancli.sweeps.studies import study_overrides

    cfg = OmegaConf.create({"model": {"name": "autoencoder"}, "evaluation": {"kimg": 1, "metrics": ["swd"]}})
    for values in ({}, {"model": ["vae", "autoencoder"]}):
        with pytest.raises(UsageError, match="model=autoencoder cannot sample; .*vae.* can"):
            study_overrides(Swept(cfg, values), None, 1, set())


# Runs


def test_a_player_of_this_name_has_options_of_its_own(tmp_path):
    made = plan(tmp_path / "run", *VAE, "optimizer.players.autoencoder.lr=0.5")
    assert made.optimizer.of("autoencoder", False).lr == 0.5 and made.loss.name == "none"
    assert plan(tmp_path / "run", *VAE).optimizer.of("autoencoder", False).betas == [0.9, 0.999]


@pytest.mark.recipe
def test_a_run_is_recorded_and_continued_bit_for_bit(tmp_path):
    settings = (*VAE, "trainer.record_kimg=0.004", "trainer.sample_kimg=0.016", "trainer.checkpoint_kimg=0.008")
    run(tmp_path / "whole", *settings, "trainer.kimg=0.032")
    lines = [json.loads(line) for line in (tmp_path / "whole/stats.jsonl").read_text().splitlines()]
    assert len(lines) == 8
    for line in lines:
        assert line["loss/autoencoder"] == pytest.approx(-line["autoencoder/bound"], rel=1e-5)
        assert {"autoencoder/reconstruction", "autoencoder/kl", "gradient_norm/autoencoder", "lr/autoencoder"} <= set(line)
        assert not any(tag.startswith("D(") for tag in line)
    assert "diagnosis/diversity" in lines[3] and "diagnosis/dead_units/autoencoder" in lines[3]
    assert (tmp_path / "whole/samples/reconstructions-kimg-000000_032.png").exists()
    run(tmp_path / "parts", *settings, "trainer.kimg=0.012")
    train(resume(tmp_path / "parts", "trainer.kimg=0.032"))
    one, two = (read(CheckpointFolder(tmp_path / name).latest()).tensors for name in ("whole", "parts"))
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    assert any(key.startswith("ema/decoder") for key in one)


@pytest.mark.parametrize("scheme", ["simultaneous", "extragradient", "optimistic", "consensus"])
def test_every_scheme_moves_a_player_that_is_alone(tmp_path, scheme):
    run(tmp_path / "run", *VAE, "trainer.kimg=0.012", f"trainer.scheme={scheme}", "trainer.consensus=0.001")
    assert CheckpointFolder(tmp_path / "run").latest() is not None


def gan(*arguments: str):
    return CliRunner().invoke(main.app, list(arguments), prog_name="gan")


@pytest.mark.recipe  # seconds
def test_commands_on_a_vae(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "run", *VAE, "trainer.kimg=0.016")
    for arguments in (("sample", "n=4", "out=samples.png"), ("interpolate", "seeds=[0,1]", "out=walk.png"),
                      ("evaluate", "n=16", "out=figures.json")):
        result = gan(arguments[0], "ckpt=run", "device=cpu", *arguments[1:])
        assert result.exit_code == 0, result.output
    assert "gan sample ckpt=" in (tmp_path / "run/log.txt").read_text()
    told = gan("validate", *VAE, "trainer.kimg=1").stdout
    assert "vae with losses of its own" in told and "of the autoencoder" in told and "iscriminator" not in told


@pytest.mark.recipe
def test_commands_on_a_plain_autoencoder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "run", *TINY, "model=autoencoder", *SMALL_NETWORKS["autoencoder"], "trainer.kimg=0.016",
        "trainer.sample_kimg=0.008", "evaluation.kimg=0.008")
    log = (tmp_path / "run/log.txt").read_text()
    assert "gan reconstruct ckpt=" in log and "gan sample" not in log
    assert "neither samples nor translates: nothing is measured" in log
    for command in ("sample", "interpolate", "evaluate"):
        result = gan(command, "ckpt=run", "device=cpu")
        assert result.exit_code == 1 and "model=autoencoder cannot sample; " in result.stderr and "vae" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize(("name", "samples"), [("vae", "samples at 2 of them"), ("autoencoder", "no samples: model=auto")])
def test_the_diagnosis_says_nothing_of_discriminators(tmp_path, name, samples):
    run(tmp_path / "run", *TINY, f"model={name}", *SMALL_NETWORKS[name], "trainer.kimg=0.016", "trainer.sample_kimg=0.008")
    told = gan("diagnose", str(tmp_path / "run")).stdout
    assert told.startswith("Too short to tell" if name == "vae" else "No failure found (looked for: divergence, mode collapse")
    assert "looked for: divergence, mode collapse" in told and samples in told
    assert "discriminator" not in told and "loss=" not in told


def setting() -> Setting:
    from omegaconf import OmegaConf

    from gancli.config.compose import compose

    return Setting.of(OmegaConf.to_container(compose("train", ["model=vae"]), resolve=True), ())


@pytest.mark.recipe
def test_advice_leaves_the_loss_alone(tmp_path):
    told = setting()
    texts = [advice.spread(told), advice.calm(told), advice.tame(told), advice.more_data(told),
             advice.revive(told, "autoencoder")]
    words = [word for text in texts for word in text.split("Try ")[1].rstrip(".").split(", or ")]
    overrides = [part for word in words for part in word.split()]
    assert len(overrides) >= 7
    assert not any(part.startswith(("loss=", "loss.r", "optimizer.disc", "optimizer.gen")) for part in overrides)
    for override in set(overrides):
        plan(tmp_path / "run", *TINY, "model=vae", override)


def test_a_loss_that_falls_below_zero_does_not_diverge():
    def history(sign):
        return History((1000 * i, {"loss/autoencoder": sign * 1.1**i, "gradient_norm/autoencoder": 10 * 1.1**i})
                       for i in range(60))

    assert diagnose(history(-1), setting()) == []
    assert [finding.name for finding in diagnose(history(1), setting())] == ["divergence"]
    assert compose_loss("none").on_discriminators == [] and compose_loss("wgan").on_discriminators == ["weight_clip"]
