"""The catalog of measures is consistent and imports nothing heavy."""

import subprocess
import sys

from gancli.metrics.catalog import FIGURES, MEASURES, METRICS

LOOKING = ("lpips", "ppl", "style_diversity", "target_agreement")  # at features, by themselves


def test_names_and_deciding_figures():
    assert sorted(METRICS) == [
        "agreement", "bleu", "class_error", "classes", "fid", "inpainting", "is", "kid", "lpips", "modes", "ms_jaccard",
        "ms_ssim", "nearest", "nll", "oracle_nll", "parzen", "pixel_agreement", "ppl", "prdc", "style_diversity", "swd",
        "target_agreement", "translation", "upscaling"]
    assert len(FIGURES) == sum(len(measure.figures) for measure in MEASURES)  # no figure stands in two measures
    assert {name: measure.lower_is_better for name, measure in METRICS.items()} == {
        "agreement": False, "bleu": False, "class_error": True, "classes": True, "fid": True, "inpainting": True, "is": False,
        "kid": True, "lpips": True, "modes": False,
        "ms_jaccard": False, "ms_ssim": None, "nearest": None, "nll": True, "oracle_nll": True,
        "parzen": False, "pixel_agreement": False, "ppl": True, "prdc": False, "style_diversity": None, "swd": True,
        "target_agreement": False, "translation": True, "upscaling": False}
    assert {name for name, measure in METRICS.items() if measure.needs_tokens} == {"bleu", "ms_jaccard", "nll", "oracle_nll"}
    assert not METRICS["swd"].needs_features  # the default works everywhere
    for measure in MEASURES:
        assert measure.decides is None or measure.figure(measure.decides).lower_is_better is not None
        assert measure.text[-1] in ".?" and measure.paper


def test_needs_are_consistent():
    seen = {name: {*measure.real, *measure.fake} for name, measure in METRICS.items()}
    assert set.union(*seen.values()) == {
        "moments", "vectors", "predictions", "scores", "classes", "patches", "images"}
    for name, measure in METRICS.items():
        collects_features = bool(seen[name] & {"moments", "vectors", "predictions", "scores", "classes"})
        assert measure.needs_features == (collects_features or name in LOOKING)
        assert measure.needs_images or not measure.needs_features
    assert {name for name, measure in METRICS.items() if measure.needs_holdout or measure.likes_holdout} == {
        "parzen", "nearest", "class_error", "nll", "translation", "inpainting", "upscaling", "target_agreement",
        "style_diversity", "lpips"}
    assert {name: measure.least for name, measure in METRICS.items() if measure.least > 1} == {
        "bleu": 2, "fid": 2, "kid": 2, "is": 10, "prdc": 6, "ppl": 4, "ms_ssim": 2, "pixel_agreement": 2}
    assert METRICS["swd"].kinds(True, is_image=True) == ("patches",)
    assert METRICS["swd"].kinds(True, is_image=False) == ("images",)


def test_catalog_needs_no_torch():
    code = "import sys, gancli.metrics.catalog, gancli.metrics.options; assert not {'torch', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
