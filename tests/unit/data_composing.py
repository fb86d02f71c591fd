"""Data sets from the real conf files, without Hydra."""

from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from PIL import Image

from gancli.data.dataset import Data, load_data

CONF = Path(__file__).parents[2] / "conf"
DATASETS = sorted(path.stem for path in (CONF / "dataset").glob("*.yaml"))


def read_group(path: Path) -> dict:
    """Return a conf file's values on top of those of its defaults list (which may choose for another group, too)."""
    values = OmegaConf.to_container(OmegaConf.load(path))
    merged = {}
    for default in values.pop("defaults", []):
        if isinstance(default, str) and default != "_self_":
            merged |= read_group(CONF / f"{default.split('@')[0].strip('/')}.yaml")
    return merged | values


def dataset_values(name: str, **changes) -> dict:
    """Return the options of conf/dataset/`name`.yaml, changed."""
    return read_group(CONF / f"dataset/{name}.yaml") | changes


def load(name: str, data_dir: Path, seed: int = 0, **changes) -> Data:
    """Return the data set on the CPU."""
    return load_data(dataset_values(name, **changes), data_dir, "cpu", seed)


def save_images(folder: Path, names: list[str], size: tuple[int, int] = (16, 16), mode: str = "RGB") -> None:
    """Write a random image of (width, height) for each name; equal names in equal order give equal images."""
    random = np.random.default_rng(len(names))
    bands = len(Image.new(mode, (1, 1)).getbands())
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
        Image.fromarray(pixels.squeeze()).save(path)
