"""Everything in this folder belongs to the recipe tier, but for what is marked as the whole table."""

import sys
from pathlib import Path

import pytest

LIMIT_S = 1800  # of one test: it starts whole commands, one after the other

sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.timeout(LIMIT_S))
        if item.get_closest_marker("table") is None:
            item.add_marker(pytest.mark.recipe)
