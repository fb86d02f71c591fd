"""The first rounds of five small runs give the losses that they gave when golden.json was written.

`python tests/recipe/test_golden.py` writes them anew: only for a change that means to change results.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from planning import TINY, run  # noqa: E402

GOLDEN = Path(__file__).with_name("golden.json")
ROUNDS = 5
SIZES = {
    "gan": ("model.generator_units=16", "model.discriminator_units=8"),
    "dcgan": ("model.width=4",),
    "cgan": ("model.width=4",),
    "bigan": ("model.units=16",),
    "cyclegan": ("model.width=4", "model.blocks=1", "model.pool_size=6"),
}
RUNS = {
    "gan": ("model=gan", "model.discriminator_init=0.3", "model.generator_init=0.5", *SIZES["gan"]),
    "dcgan": ("model=dcgan", "optimizer.lr=0.01", *SIZES["dcgan"]),
    "wgan_gp": ("model=dcgan", "loss=wgan_gp", "trainer.discriminator_turns=1", "optimizer.lr=0.01",
                *SIZES["dcgan"]),
    "cgan": ("model=cgan", "loss=hinge", *SIZES["cgan"]),
    "bigan": ("model=bigan", "loss=rpgan", *SIZES["bigan"]),
    "cyclegan": ("model=cyclegan", *SIZES["cyclegan"]),
}


def losses(name: str, folder: Path) -> list[list[float]]:
    """Return [discriminator, generator] of each round, in float32."""
    data = ("dataset=unpaired", f"dataset.path={pictures(folder)}") if name == "cyclegan" else ("dataset=digits",)
    run(folder / "run", *RUNS[name], *data, *TINY, f"trainer.kimg={ROUNDS * 4 / 1000}", "trainer.record_kimg=0.004",
        "trainer.precision=fp32")
    lines = [json.loads(line) for line in (folder / "run/stats.jsonl").read_text().splitlines()]
    return [[line["loss/discriminator"], line["loss/generator"]] for line in lines]


def pictures(folder: Path) -> Path:
    """Make two domains: bright squares on the left, on the right."""
    for domain, column in (("a", 1), ("b", 5)):
        (folder / "pictures" / domain).mkdir(parents=True)
        for i in range(8):
            picture = np.zeros((8, 8), np.uint8)
            picture[i % 6:i % 6 + 2, column:column + 2] = 255
            Image.fromarray(picture).save(folder / "pictures" / domain / f"{i}.png")
    return folder / "pictures"


@pytest.mark.parametrize("name", RUNS)
def test_losses_are_the_golden_ones(name, tmp_path):
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == RUNS.keys()
    measured = losses(name, tmp_path)
    assert len(measured) == ROUNDS
    np.testing.assert_allclose(measured, golden[name], rtol=2e-3, atol=2e-4)


if __name__ == "__main__":
    measured = {}
    for name in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            measured[name] = [[round(value, 6) for value in pair] for pair in losses(name, Path(folder))]
    GOLDEN.write_text(json.dumps(measured, indent=1) + "\n")
