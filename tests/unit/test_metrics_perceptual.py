"""Perceptual distance: the formula, published weights and what is refused, the layers of every extractor, what is compared."""

from types import SimpleNamespace

import pytest
import torch
from composing import compose_model

from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.features import extractors
from gancli.features.classifier import Classifier, StackedClassifier
from gancli.features.efficientnet_lite import EfficientNetLite0
from gancli.features.extractors import ALEXNET_LAYERS, VGG16_LAYERS, Convolutions, ImageNet, PooledMobileNet
from gancli.features.linear import Linear, read_linear
from gancli.features.weights import EXTRACTORS, LAYERED
from gancli.metrics.catalog import METRICS
from gancli.metrics.context import Context
from gancli.metrics.measures.perceptual import perceptual_distance, spread
from gancli.metrics.needs import Given

SHAPES = ((3, 5, 4), (4, 2, 3), (2, 1, 1))  # C, H, W of layers
NETWORKS = {"classifier": lambda: Classifier(3, 10), "mobilenet_v2": PooledMobileNet, "efficientnet_lite0": EfficientNetLite0,
            "alexnet": lambda: Convolutions("alexnet", ALEXNET_LAYERS), "vgg16": lambda: Convolutions("vgg16", VGG16_LAYERS)}


def maps(seed, n=2):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(n, *shape, generator=random, dtype=torch.float64) for shape in SHAPES]


def by_hand(x, y, weights):
    """Zhang 2018, equation 1, pair by pair, layer by layer, place by place and channel by channel."""
    found = []
    for n in range(len(x[0])):
        total = 0.0
        for layer, (one, other) in enumerate(zip(x, y, strict=True)):
            channels, height, width = one.shape[1:]
            for i in range(height):
                for j in range(width):
                    a, b = one[n, :, i, j].tolist(), other[n, :, i, j].tolist()
                    a, b = ([value / sum(each**2 for each in vector) ** 0.5 for value in vector] for vector in (a, b))
                    total += sum((weights[layer][c].item() if weights else 1.0) * (a[c] - b[c]) ** 2
                                 for c in range(channels)) / (height * width)
        found.append(total)
    return found


@pytest.mark.parametrize("weighted", [False, True])
def test_the_formula(weighted):
    weights = [torch.rand(shape[0], dtype=torch.float64) for shape in SHAPES] if weighted else None
    x, y = maps(0), maps(1)
    assert perceptual_distance(x, y, weights).tolist() == pytest.approx(by_hand(x, y, weights), rel=1e-8)
    assert perceptual_distance(x, [3 * each for each in x], weights).abs().max() < 1e-12, "lengths do not count"
    assert torch.isfinite(perceptual_distance([torch.zeros(1, 3, 2, 2)], [torch.ones(1, 3, 2, 2)])).all()
    styles = [maps(seed) for seed in range(3)]
    mean = sum(torch.tensor(by_hand(styles[i], styles[j], weights)) for i in range(3) for j in range(i)) / 3
    assert torch.allclose(spread(styles, weights), mean.double())


@pytest.mark.parametrize("name", LAYERED)
def test_layers_of_every_extractor(name):
    with torch.device("meta"):
        found = NETWORKS[name]().eval().layers(torch.empty(2, 3, 32, 32))
    assert set(NETWORKS) == set(LAYERED) and len(LAYERED) == 5
    assert tuple(each.shape[1] for each in found) == EXTRACTORS[name].layers
    sides = [each.shape[2] for each in found]
    assert all(len(each) == 2 for each in found) and sides == sorted(sides, reverse=True)


def test_layers_of_stacked_digits_stand_below_each_other():
    x = torch.rand(2, 3, 32, 32)
    network = StackedClassifier().eval()
    found, first = network.layers(x), network.digit.layers(x[:, :1])
    assert torch.allclose(found[0][:, :32], first[0], atol=1e-5) and found[3].shape[1] == 3 * 128


def test_small_images_are_enlarged_for_networks_of_imagenet():
    seen = []
    network = SimpleNamespace(layers=lambda x: seen.append(x.shape) or [x], modules=list)
    extractor = ImageNet("alexnet", network, "", "", "", mean=(0.0,) * 3, std=(1.0,) * 3)
    extractor.layers(torch.zeros(1, 1, 8, 16, dtype=torch.uint8))
    extractor.layers(torch.zeros(1, 3, 40, 33, dtype=torch.uint8))
    assert seen == [(1, 3, 32, 64), (1, 3, 40, 33)]
    with pytest.raises(UserError, match="shows no layers: give features=classifier, mobilenet_v2"):
        extractors.Inception("inception", None, "", "", "").layers(torch.zeros(1, 3, 8, 8))


def test_published_weights_are_used_where_they_lie_and_are_looked_at(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    assert read_linear("alexnet", (2, 3), tmp_path) == Linear(None, "uniform: no file lpips-alexnet.pth in weights")
    path = folder / "lpips-alexnet.pth"
    good = {f"lin{layer}.model.1.weight": torch.rand(1, count, 1, 1) for layer, count in enumerate((2, 3))}
    torch.save(good, path)
    found = read_linear("alexnet", (2, 3), tmp_path)
    assert [each.shape for each in found.weights] == [(2,), (3,)] and found.told.startswith("sha256 ")
    for bad, told in ((good | {"lin1.model.1.weight": torch.rand(1, 4, 1, 1)}, "lin1.model.1.weight should be"),
                      (good | {"lin0.model.1.weight": -torch.ones(1, 2, 1, 1)}, "negative"), ({}, "should be"),
                      (torch.rand(3), "no file of linear weights"), (SimpleNamespace(a=1), "no file of linear weights")):
        torch.save(bad, path)
        with pytest.raises(UserError, match=told):
            read_linear("alexnet", (2, 3), tmp_path)
    path.write_bytes(bytes(2 << 20))
    with pytest.raises(UserError, match="no file of linear weights"):
        read_linear("alexnet", (2, 3), tmp_path)


class Held:
    """Held-out images [N, C, H, W]; the second of two domains is the first's negative."""

    def __init__(self, spec):
        self.spec, self.split, self.device = spec, "test", torch.device("cpu")
        self.counts = (5,) * len(spec.domains)
        self.x = torch.rand(5, *spec.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def examples(self, rows, domain=0):
        return -self.x[rows] if domain else self.x[rows]

    def domains(self, rows):
        return tuple(self.examples(rows, domain) for domain in range(len(self.counts)))


@pytest.mark.parametrize("name, domains, of", [
    ("pix2pix", ("a", "b"), "translations"), ("srgan", ("real",), "enlarged images"),
    ("context_encoder", ("real",), "whole images with filled holes")])
def test_what_a_model_makes_is_compared_with_what_it_should_be(name, domains, of):
    spec = DataSpec((1, 16, 16), 5, domains=domains, paired=len(domains) > 1)
    held, model = Held(spec), compose_model(name, spec=spec).eval()
    seen = []

    def layers(pixels):
        seen.append(pixels)
        return [pixels.double() + 1]
    looking = SimpleNamespace(name="classifier", layers=layers, linear=Linear(None, "uniform"))
    sampler = SimpleNamespace(model=model, batch_size=2, holes_at=lambda start, stop: model.draw_holes(stop - start, None))
    with torch.no_grad():
        found = METRICS["lpips"].score({}, {}, Context(5, 0, held, len(domains) - 1, torch.arange(5), looking, held, sampler))
    made, wanted = torch.cat(seen[::2]), torch.cat(seen[1::2])
    expected = perceptual_distance([made.double() + 1], [wanted.double() + 1]).mean().item()
    assert found.values["lpips"] == pytest.approx(expected)
    assert found.details["of"] == of and found.real == 5 and found.details["linear_weights"] == "uniform"
    target = held.examples(torch.arange(5), len(domains) - 1)
    rows = torch.randperm(5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(wanted, ((target[rows] + 1) * 127.5).round().to(torch.uint8)) and not torch.equal(made, wanted)


def test_what_is_refused():
    measure = METRICS["lpips"]
    assert "looks at several layers" in measure.refuses("inception") and not measure.refuses("vgg16")
    assert "what it should have made" in Given(DataSpec((1, 8, 8), 9), latents=True).lack(measure, "classifier")
    assert not Given(DataSpec((1, 8, 8), 9), upscales=True).lack(measure, "classifier")
