"""PSNR and SSIM on Y, and the measure of models that enlarge images."""

import math
from types import SimpleNamespace

import pytest
import torch
from data_composing import load

from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.metrics.evaluator import Evaluator
from gancli.metrics.measures import luminance as measures
from gancli.metrics.measures.luminance import compared, luminance
from gancli.metrics.measures.similarity import structural_similarity
from gancli.metrics.needs import Given, check
from gancli.networks.bicubic import enlarged, reduced


def test_y_is_that_of_bt_601():
    colors = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]])[:, :, None, None]
    assert luminance(colors).flatten().tolist() == pytest.approx([16, 235, 81.481, 144.553, 40.966])
    assert luminance(colors[:, :1]).flatten().tolist() == [0, 255, 255, 0, 0], "gray as it is"
    assert torch.equal(luminance(torch.cat((colors, colors[:, :1]), 1)), luminance(colors)), "opacity is none of it"


def test_noise_and_border():
    wanted = torch.full((2, 1, 20, 30), 100.0)
    made = wanted.clone()
    made[0] += 5
    made[1, :, :4] = made[1, :, -4:] = 0
    made[1, :, :, :4] = made[1, :, :, -4:] = 255
    noise, likeness = compared(made, wanted, 4)
    assert noise.tolist() == pytest.approx([20 * math.log10(255 / 5), 100]) and likeness[1] == pytest.approx(1)
    assert compared(made, wanted, 3)[0][1] < 30
    ratio = (2 * 105 * 100 + 2.55**2) / (105**2 + 100**2 + 2.55**2)
    assert likeness[0].item() == pytest.approx(ratio)
    assert all(value.isfinite().all() for value in compared(made[..., :3, :2], wanted[..., :3, :2], 4)), "tiny ones, too"


def test_strips_are_the_whole(monkeypatch):
    torch.manual_seed(0)
    made, wanted = torch.randint(256, (2, 2, 3, 41, 23))
    monkeypatch.setattr(measures, "STRIP", 7)
    noise, likeness = compared(made, wanted, 2)
    x, y = (luminance(images)[..., 2:-2, 2:-2] for images in (made, wanted))
    error = (x - y).square().flatten(1).mean(1)
    assert noise.tolist() == pytest.approx((10 * (255**2 / error).log10()).tolist())
    assert likeness.tolist() == pytest.approx(structural_similarity(x / 127.5 - 1, y / 127.5 - 1).tolist())


def test_a_model_that_enlarges_is_compared_with_bicubic(tmp_path):
    train, test = (load("digits", tmp_path, size=16, limit=60, holdout=0.4, split=split) for split in ("train", "test"))
    options = SimpleNamespace(metrics=["upscaling"], n=9, features="classifier", features_weights=None, real=None)
    model = SimpleNamespace(factor=2, low_of=lambda x: reduced(x, 2), upscale=lambda x: enlarged(x, 2))
    draw = SimpleNamespace(batch_size=8, limit=None, seed=0, labels=lambda start, stop: None, model=model)
    found = {each.figure: each for each in Evaluator(options, train, tmp_path, holdout=test)(draw)}
    assert set(found) == {"luma_psnr", "luma_ssim", "bicubic_psnr", "bicubic_ssim"}
    assert found["luma_psnr"].value == found["bicubic_psnr"].value > 15 and found["luma_psnr"].decides
    assert found["luma_psnr"].name == f"luma_psnr(0/{test.spec.count})"
    details = found["luma_psnr"].protocol.details
    assert details["real_split"] == "test" and details["low_resolution"] == "bicubic, antialiased"
    model.upscale = lambda x: enlarged(x, 2) * 0.5
    worse = {each.figure: each.value for each in Evaluator(options, train, tmp_path)(draw)}
    assert worse["luma_psnr"] < worse["bicubic_psnr"] and worse["luma_ssim"] < worse["bicubic_ssim"]
    with pytest.raises(UserError, match="enlarges none"):
        check(options, Given(DataSpec((1, 8, 8), 9), latents=True), tmp_path)
