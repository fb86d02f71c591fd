"""The catalog of measures is consistent and imports nothing heavy."""

import ast
from pathlib import Path

from gancli.metrics import catalog
from gancli.metrics.catalog import FIGURES, MEASURES, METRICS


def test_names_and_deciding_figures():
    assert sorted(METRICS) == ["classes", "fid", "is", "kid", "modes", "ms_ssim", "nearest", "parzen", "ppl", "prdc", "swd"]
    assert len(FIGURES) == sum(len(measure.figures) for measure in MEASURES)  # no figure stands in two measures
    assert {name: measure.lower_is_better for name, measure in METRICS.items()} == {
        "classes": True, "fid": True, "is": False, "kid": True, "modes": False, "ms_ssim": None, "nearest": None,
        "parzen": False, "ppl": True, "prdc": False, "swd": True}
    assert METRICS["swd"] == MEASURES[0] and not METRICS["swd"].needs_features  # the default works everywhere
    for measure in MEASURES:
        assert measure.decides is None or measure.figure(measure.decides).lower_is_better is not None
        assert measure.text[-1] in ".?" and measure.paper and (measure.needs_features or not measure.needs_classifier)


def test_catalog_needs_no_torch():
    tree = ast.parse(Path(catalog.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"dataclasses"} and not any(isinstance(node, ast.Import) for node in ast.walk(tree))
