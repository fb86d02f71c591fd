"""Fixtures of every tier."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tensors here are tiny, and threads that wait for each other cost more
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def two_domains(tmp_path: Path) -> Path:
    """A folder of two domains, a and b, with twelve 8x8 grey pictures each."""
    random = np.random.default_rng(0)
    for domain in "ab":
        folder = tmp_path / "domains" / domain
        folder.mkdir(parents=True)
        for i in range(12):
            Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "domains"
