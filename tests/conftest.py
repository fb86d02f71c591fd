"""Fixtures of every tier."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tensors here are tiny, and threads that wait for each other cost more
sys.path.insert(0, str(Path(__file__).parent))

UNIT_TIER = "not recipe and not table and not gpu and not fuzz and not faults and not cluster"
SPREAD = {UNIT_TIER: "worksteal", "recipe": "loadscope"}  # how the tests of a whole tier find their workers
TOGETHER = {"test_experiments.py": "lab", "test_ranks.py": "ranks", "test_toys_on_ranks.py": "ranks"}  # file -> what it shares
MOST_WORKERS = 8  # each imports torch, which takes seconds and memory


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Spread a whole tier over the cores, unless -n or --pdb is given; files named on the command line run here.

    The other tiers run one test after the other: they kill what they start and measure devices.
    """
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and config.option.markexpr in SPREAD
    if whole and config.pluginmanager.hasplugin("xdist") and not hasattr(config, "workerinput"):
        if config.option.numprocesses is None and config.option.dist == "no" and not config.option.usepdb:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            config.option.numprocesses = min(cores, MOST_WORKERS) if cores > 1 else 0
            config.option.dist = SPREAD[config.option.markexpr]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep tests of the recipe tier together that share what takes minutes to make; any other test goes to any worker.

    xdist's own groups are lost under pytest 9.2, which does not take the names that xdist gives to tests.
    """
    if SPREAD.get(config.option.markexpr) != config.option.dist or config.option.dist != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByWhatIsShared(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return TOGETHER.get(nodeid.partition("::")[0].rpartition("/")[2], nodeid)

    return ByWhatIsShared(config, log)


@pytest.fixture
def two_domains(tmp_path: Path) -> Path:
    """A folder of two domains, a and b, with twelve 8x8 gray pictures each."""
    random = np.random.default_rng(0)
    for domain in "ab":
        folder = tmp_path / "domains" / domain
        folder.mkdir(parents=True)
        for i in range(12):
            Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "domains"
