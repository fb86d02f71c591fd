"""The label reaches both players of the conditional GAN, on both backbones, whole or in parts."""

import pytest
import torch
from composing import batch_for, compose_model

from gancli.game.pair import PairModel


@pytest.fixture(params=["mlp", "conv"])
def model(request) -> PairModel:
    torch.manual_seed(0)
    return compose_model("cgan", backbone=request.param, discriminator_norm="layer").eval()


@torch.no_grad()
def test_labels_change_the_image_and_the_judgment(model):
    z = model.draw_latents(1, torch.Generator().manual_seed(0)).repeat(3, 1)
    labels = torch.arange(3)
    images = model.generate(z, labels)
    logits = model.judge(images[:1].repeat(3, 1, 1, 1), labels)
    for one, two in ((0, 1), (1, 2), (0, 2)):
        assert not torch.allclose(images[one], images[two], atol=1e-4)
        assert logits[one] != logits[two]


@torch.no_grad()
def test_labels_may_be_weights(model):
    z = model.draw_latents(4, torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 1])
    assert torch.equal(model.generate(z, labels), model.generate(z, torch.eye(3)[labels]))
    halfway = model.generate(z, torch.tensor([[0.5, 0.5, 0.0]]).repeat(4, 1))
    assert not torch.allclose(halfway, model.generate(z, labels), atol=1e-4)


@torch.no_grad()
def test_labels_that_are_not_given_are_drawn_from_the_seed(model):
    first, again, other = (model.sample(6, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_real_and_fake_pairs_share_the_labels(model):
    batch = batch_for(model.spec)
    real, fake = model.pairs(batch)
    assert real[0] is batch.real and real[1] is batch.labels and fake[1] is batch.labels
    assert fake[0].shape == batch.real.shape
