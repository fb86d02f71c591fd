"""Measures of translations among classes, on images whose class is their gray value and models that are known."""

from types import SimpleNamespace

import pytest
import torch

from gancli.data.spec import DataSpec
from gancli.features.extractors import Features
from gancli.game.sampler import Sampler
from gancli.metrics.catalog import METRICS
from gancli.metrics.context import Context

SPEC = DataSpec((1, 8, 8), 30, ("dark", "gray", "light"))
GRAYS = torch.tensor([-1.0, 0.0, 1.0])


class Known:
    """Images of class i are all of one gray, with one pixel beside it that tells their number."""

    spec, counts, split = SPEC, (30,), "test"

    def labels(self, rows):
        return rows % 3

    def examples(self, rows, domain=0):
        x = GRAYS[rows % 3][:, None, None, None].repeat(1, 1, 8, 8)
        x[..., 0, 0] = rows[:, None] / 30
        return x


class Painter(torch.nn.Module):
    """Makes every image light, or what it is asked for; a style is the first pixel."""

    spec, targets, needs, lacks = SPEC, SPEC.classes, SimpleNamespace(labels=True), frozenset()

    def __init__(self, obeys):
        super().__init__()
        self.obeys, self.weight = obeys, torch.nn.Parameter(torch.zeros(()))

    def shows(self, domain, batch):
        return batch.labels == self.targets.index(domain)

    def draw_latents(self, n, generator):
        return torch.rand(n, 1, generator=generator)

    def latent_style(self, z, domain):
        return z

    image_style = latent_style

    def translate(self, x, domain, style=None):
        y = torch.full_like(x, GRAYS[self.targets.index(domain)] if self.obeys else 1.0)
        y[..., 0, 0] = style
        return y


def extractor(pixels):
    gray = pixels[:, 0, 4, 4].float() / 127.5 - 1
    return Features(pixels[:, 0, 0, :1].float(), -(gray[:, None] - GRAYS).abs())


def measured(name, obeys=True):
    held = Known()
    context = Context(30, 0, held, 0, torch.arange(30), extractor, held, Sampler(Painter(obeys), 0, 7, held))
    return METRICS[name].score({}, {}, context)


def test_agreement_with_the_target():
    found = measured("target_agreement")
    assert found.values == {"target_agreement": 1, "source_kept": 0, "classifier_error": 0} and found.generated == 30
    assert found.details["classes"] == dict.fromkeys(SPEC.classes, 1)
    found = measured("target_agreement", obeys=False)  # every dark image in turn as gray and light, every gray one likewise
    assert found.values["target_agreement"] == pytest.approx(1 / 3) and found.values["source_kept"] == pytest.approx(1 / 3)
    assert found.details["classes"] == {"dark": 0, "gray": 0, "light": 1}


def test_diversity_of_styles_beside_that_of_real_images():
    found, painter = measured("style_diversity"), Painter(True)
    held = Known()
    wanted = []
    for row in range(30):
        pixels = [Sampler(painter, seed, 7, held).at(torch.tensor([row]))[0, 0, 0, 0] for seed in range(10)]
        grays = ((torch.stack(pixels) + 1) * 127.5 + 0.5).floor()
        wanted.append((grays[:, None] - grays).abs().sum() / 90)
    assert found.values["style_distance"] == pytest.approx(torch.stack(wanted).mean().item(), rel=1e-5)
    real = torch.arange(0, 30, 3) / 30  # of one class, and alike of the others
    between = (real[:, None] - real).abs().sum() / 90 * 127.5
    assert found.values["style_diversity"] * between.item() == pytest.approx(found.values["style_distance"], rel=0.03)


def test_a_sampler_translates_each_image_into_another_class():
    sampler = Sampler(Painter(True), 0, 7, Known())
    targets = sampler.labels(0, 30)
    assert sampler.limit == 30 and (targets != torch.arange(30) % 3).all() and targets.bincount().tolist() == [10, 10, 10]
    made = sampler(0, 30)
    assert torch.equal(made[:, 0, 4, 4], GRAYS[targets]) and torch.equal(sampler.at(torch.tensor([7, 3])), made[[7, 3]])
    assert len(made[:, 0, 0, 0].unique()) == 30, "each in a style of its own"
