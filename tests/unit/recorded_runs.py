"""Run directories as the engine leaves them, written without training: config, status, figures and grids."""

import json
import socket
from pathlib import Path

import numpy as np
from PIL import Image

CONFIG = """model: {name: %(model)s, width: %(width)s, recipe: {kimg: %(width)s}}
loss: {name: %(loss)s, rule: %(loss)s}
dataset: {name: digits, size: 8}
trainer: {kimg: 4, ema_kimg: %(ema)s}
seed: %(seed)s
"""


def record_run(path: Path, lines: list[dict] | None = None, status: dict | None = None, grids: tuple[int, ...] = (4,),
               model: str = "dcgan", loss: str = "wgan_gp", width: int = 8, ema: str = "null", seed: int = 0,
               gray: int = 90) -> Path:
    """Write one run's record; `grids` are the kimg at which it drew samples."""
    path.mkdir(parents=True)
    values = {"model": model, "loss": loss, "width": width, "ema": ema, "seed": seed}
    (path / "config.yaml").write_text(CONFIG % values)
    if lines is None:
        lines = [{"images": 1000 * i, "loss/generator": 1.0 * seed + i, "D(x)": 0.5, "D(G(z))/discriminator_turn": 0.25,
                  "speed/images_per_s": 100.0, "time/training_s": 10.0 * i + seed} for i in range(1, 5)]
    (path / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    known = {"status": "finished", "images": 4000, "overrides": [f"loss={loss}", f"seed={seed}", f"run_dir={path}"],
             "host": socket.gethostname(), "started": f"2026-01-01T00:00:0{seed}+00:00"}
    (path / "status.json").write_text(json.dumps({**known, **(status or {})}))
    (path / "provenance.json").write_text(json.dumps({"device": "cpu", "versions": {"torch": "2.11"}, "seed": seed}))
    (path / "samples").mkdir()
    for kimg in grids:
        Image.fromarray(np.full((24, 16), gray + kimg, np.uint8)).save(path / f"samples/kimg-{kimg:06d}.png")
    return path


def with_metrics(**figures: list[float | None]) -> list[dict]:
    """Return lines of stats.jsonl with figures by tag, one value a line; the key `fid` stands for a full name."""
    names = {"fid": "metrics/fid(classifier,2000/60000)", "other_fid": "metrics/fid(inception,2000/60000)",
             "coverage": "metrics/coverage(classifier,2000/60000)", "own": "metrics/own(7/7)"}
    count = max(map(len, figures.values()))
    return [{"images": 1000 * (i + 1), "loss/generator": 1.0} | {names[key]: values[i] for key, values in figures.items()
                                                               if i < len(values)} for i in range(count)]
