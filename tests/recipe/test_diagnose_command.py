"""Runs made to fail, the cheapest of scripts/calibrate_diagnosis, are named, and a healthy one is not."""

import importlib.machinery
import importlib.util

import pytest
from running import ROOT, gan

LOADER = importlib.machinery.SourceFileLoader("calibrate_diagnosis", str(ROOT / "scripts/calibrate_diagnosis"))
calibration = importlib.util.module_from_spec(importlib.util.spec_from_loader(LOADER.name, LOADER))
LOADER.exec_module(calibration)
CASES = ("strong_minimax", "dead_mlp", "divergence_mlp", "healthy_mlp")


def test_every_detector_has_a_failing_run_and_five_runs_are_healthy():
    wanted = [names for names, _ in calibration.CASES.values()]
    assert {name for names in wanted for name in names} == set(calibration.NAMES)
    assert wanted.count(()) >= 5


@pytest.mark.parametrize("case", CASES)
def test_case(case, tmp_path):
    wanted, overrides = calibration.CASES[case]
    calibration.train_case(tmp_path / "run", overrides, seed=0)
    named = calibration.named_in(tmp_path / "run")
    assert set(wanted) <= set(named) and (wanted or not named), named
    printed = gan("diagnose", "run", cwd=tmp_path).stdout.lower()
    assert all(f"{name}, since" in printed for name in wanted) and ("no failure found" in printed) == (not wanted)
