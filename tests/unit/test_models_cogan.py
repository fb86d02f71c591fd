"""CoGAN: the authors' networks, their sharing, and the pairs that one latent makes."""

import math

import numpy as np
import pytest
import torch
from composing import batch_for, compose_loss, compose_model, spec_for, take_turn
from data_composing import load as load_data
from omegaconf import OmegaConf
from PIL import Image
from small_runs import save_run
from systems import CONF
from torch.nn.functional import cross_entropy

from gancli.data.second import edges
from gancli.errors import UsageError, UserError
from gancli.explore.loaded import load
from gancli.explore.sample import sample
from gancli.game.model import Progress
from gancli.game.sampler import Sampler
from gancli.metrics.catalog import METRICS
from gancli.metrics.context import Context
from gancli.metrics.measures.pixels import agreeing_pixels
from gancli.monitor.grids import image_grid, to_uint8
from gancli.networks.coupled import map_sizes


def test_the_networks_are_the_authors():
    """Sizes of github.com/mingyuliutw/CoGAN, net_cogan_mnistedge.py, whose discriminator has a second output."""
    with torch.device("meta"):
        model = compose_model("cogan", spec=spec_for("cogan", (1, 28, 28)), small=False)
    counts = {player: sum(p.numel() for p in networks[0].parameters()) for player, networks in model.players.items()}
    generator = [100 * 1024 * 16 + 1024, 1024 * 512 * 9 + 512, 512 * 256 * 9 + 256, 256 * 128 * 9 + 128]
    assert counts["generator"] == sum(generator) + 4 + 2 * (128 * 36 + 1)  # a PReLU has one slope
    assert counts["discriminator"] == 2 * (25 * 20 + 20) + (25 * 20 * 50 + 50) + (16 * 50 * 500 + 500) + 1 + 501
    assert map_sizes(28, 28) == [(4, 4), (7, 7), (13, 13), (25, 25)]


def test_first_weights():
    torch.manual_seed(0)
    model = compose_model("cogan", spec=spec_for("cogan", (1, 28, 28)), small=False, width=16)
    layer = model.discriminator.full[0]
    bound = math.sqrt(2) * math.sqrt(6 / (16 * (50 + 500)))
    assert layer.weight.abs().max().item() == pytest.approx(bound, rel=1e-3) and (layer.bias == 0.1).all()


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (16, 16), (28, 28), (33, 31)], ids=str)
def test_any_size(size):
    model = compose_model("cogan", spec=spec_for("cogan", (3, *size)))
    images = model.generate_domains(torch.randn(5, 6))
    assert [x.shape for x in images] == [(5, 3, *size)] * 2 and model.judge(*images).shape == (10,)


def test_losses_are_those_of_a_softmax_over_both_domains():
    torch.manual_seed(0)
    model = compose_model("cogan").double().eval()
    batch = batch_for(model.spec)
    batch.domains = tuple(x.double() for x in batch.domains)
    batch.prepared = batch.domains, tuple(x.detach() for x in model.generate_domains(torch.randn(4, 6).double()))
    real, fake = (torch.stack((torch.zeros(8), model.judge(*images)), 1) for images in batch.prepared)
    ones, zeros = torch.ones(8, dtype=torch.int64), torch.zeros(8, dtype=torch.int64)
    of_discriminator = cross_entropy(real, ones) + cross_entropy(fake, zeros)
    expected = {"discriminator": of_discriminator, "generator": cross_entropy(fake, ones)}
    for player, loss in expected.items():
        assert model.player_loss(player, batch, Progress(100))[0].item() == pytest.approx(loss.item(), rel=1e-5)


def test_each_domain_meets_its_own_layers_alone():
    model = compose_model("cogan").eval()
    x, y = (torch.rand(2, 1, 16, 16).requires_grad_() for _ in range(2))
    logits = model.judge(x, y).view(2, 2)
    first, second = torch.autograd.grad(logits[:, 0].sum(), (x, y), allow_unused=True)
    assert first.any() and (second is None or not second.any())
    assert torch.equal(model.generate(torch.ones(1, 6)), model.generate_domains(torch.ones(1, 6))[0])


def test_one_pass_and_two_give_one_loss():
    model = compose_model("cogan", compose_loss("rpgan"))  # which sets real and fake side by side
    assert model.objective.one_pass
    losses = []
    for one_pass in (True, False):
        model.objective.one_pass = one_pass
        torch.manual_seed(0)
        losses.append(take_turn(model, "discriminator", batch_for(model.spec), Progress(total=100))[0])
    torch.testing.assert_close(*losses)


def test_options_out_of_range():
    for filters, words in (([], "filters is empty"), ([4, 0], "filters must be at least 1")):
        with pytest.raises(UsageError, match=words):
            compose_model("cogan", filters=filters)


def test_pixels_agree():
    first = torch.tensor([[[[0, 127], [128, 255]]], [[[0, 0], [0, 0]]]], dtype=torch.uint8)
    second = torch.tensor([[[[127, 0], [255, 0]]], [[[255, 255], [255, 255]]]], dtype=torch.uint8)
    assert agreeing_pixels(first, second).tolist() == [0.75, 0.0]


def test_a_generator_that_knows_the_change_agrees(tmp_path):
    data = load_data("digits", tmp_path, size=8, second="edges")
    model = compose_model("cogan", spec=data.spec).eval()
    drawn = iter(torch.arange(0, 40).split(8))

    def generate_domains(z):
        x = data.examples(next(drawn))
        changed = torch.from_numpy(edges(to_uint8(x).permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)
        return x, changed / 127.5 - 1

    model.generate_domains = generate_domains
    context = Context(40, 0, data, 0, torch.arange(40), None, None, Sampler(model, batch_size=8, data=data))
    found = METRICS["pixel_agreement"].score({}, {}, context)
    assert found.values["pixel_agreement"] == 1.0 and 0.3 < found.values["pixel_agreement_of_others"] < 0.95
    assert found.generated == 40 and found.details["change"] == "edges"


def test_samplers_show_either_domain():
    model = compose_model("cogan").eval()
    first, second = (Sampler(model, domain=name)(0, 3) for name in model.spec.domains)
    assert torch.equal(first, Sampler(model)(0, 3)) and not np.allclose(first.numpy(), second.numpy(), atol=1e-3)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return {name: save_run(root / name, name) for name in ("cogan", "dcgan")}


def drawn(run, out, **changes):
    config = OmegaConf.load(CONF / "sample.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    (path,) = sample(OmegaConf.merge(config, {"ckpt": str(run), "device": "cpu", "out": str(out), "zoom": 1}, changes))
    return path


def test_grids_show_both_domains_and_archives_one(runs, tmp_path):
    loaded = load(runs["cogan"])
    first, second = (loaded.sample(6, domain=name) for name in ("photo", "drawing"))
    assert torch.equal(first, loaded.sample(6)) and not torch.allclose(first, second, atol=1e-3)
    rows = torch.stack((first.unflatten(0, (2, 3)), second.unflatten(0, (2, 3))), 1).flatten(0, 2)  # a row of each in turn
    with Image.open(drawn(runs["cogan"], tmp_path / "both.png", n=6, columns=3)) as picture:
        assert np.array_equal(np.asarray(picture), image_grid(rows, 3)[:, :, 0])
    with Image.open(drawn(runs["cogan"], tmp_path / "one.png", n=6, columns=3, domain="drawing")) as picture:
        assert np.array_equal(np.asarray(picture), image_grid(second, 3)[:, :, 0])
    with np.load(drawn(runs["cogan"], tmp_path / "first.npz", n=6)) as archive:
        assert np.array_equal(archive["images"][..., 0], to_uint8(first)[:, 0].numpy())


@pytest.mark.parametrize(("name", "domain", "words"), [
    ("cogan", "dog", "no domain called dog; there is drawing, photo"),
    ("dcgan", "photo", "dcgan cannot generate images of two domains; cogan can")])
def test_domains_that_are_not_there(runs, tmp_path, name, domain, words):
    with pytest.raises(UserError, match=words):
        drawn(runs[name], tmp_path / "x.png", domain=domain)
    assert not list(tmp_path.iterdir())
