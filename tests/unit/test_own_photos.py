"""A first command on sixty photos as they come from a camera and a phone: it trains, and says what it made of them."""

import numpy as np
from PIL import Image
from planning import plan

MODES = ("RGB", "L", "RGBA", "P", "CMYK", "1", "LA", "I;16")


def sixty_photos(folder):
    """Write sixty images of odd sizes and of eight modes."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(60):
        pixels = random.integers(0, 256, (*random.integers(40, 90, 2), 3), dtype=np.uint8)
        mode = MODES[number % len(MODES)]
        image = (Image.fromarray(pixels[..., 0].astype(np.uint16) * 256) if mode == "I;16"
                 else Image.fromarray(pixels).convert(mode))
        image.save(folder / f"{number}.{'jpg' if mode in ('RGB', 'CMYK', 'L') else 'png'}")
    return folder


def test_sixty_photos_need_neither_a_size_nor_a_batch(tmp_path):
    line = ["dataset=folder", f"dataset.path={sixty_photos(tmp_path / 'photos')}", "device=cpu"]
    planned = plan(tmp_path / "run", *line)
    assert planned.spec.shape == (3, 32, 32) and planned.trainer.batch_size == 60
    assert planned.config["dataset"]["size"] == 32 and planned.config["trainer"]["batch_size"] == 60
    assert "they become 32x32" in planned.notices[0]
    assert planned.notices[1] == "The data hold 60 examples, fewer than a batch of 128: trainer.batch_size=60."
    assert plan(tmp_path / "run", *line, "trainer.accumulate=8").trainer.batch_size == 56
