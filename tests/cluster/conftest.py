"""Everything in this folder belongs to `-m cluster`: it starts a Slurm of its own, where one is installed."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[1] / "recipe"
sys.path[:0] = [str(Path(__file__).parent), str(RECIPE)]

from slurm import Slurm, lacks  # noqa: E402

LIMIT_S = 600  # of one test


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="session")
def one_node(tmp_path_factory) -> Iterator[Slurm]:
    """A Slurm of two nodes on this machine."""
    missing = lacks()
    if missing:
        pytest.skip(f"{missing} not found: apt-get install slurm-wlm munge")
    slurm = Slurm(tmp_path_factory.mktemp("slurm") / "one")
    before = os.environ.get("SLURM_CONF")
    slurm.start()
    os.environ["SLURM_CONF"] = str(slurm.folder / "slurm.conf")
    try:
        yield slurm
    finally:
        slurm.stop()
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before


@pytest.fixture
def slurm(one_node) -> Iterator[Slurm]:
    """The Slurm of this session, with an empty queue before and after."""
    one_node.clear()
    yield one_node
    one_node.clear()
