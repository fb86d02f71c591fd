"""The pictures of a run: the same latents and data at every visit, as PNG grids and at last as an animation."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gancli.engine.averages import Average
from gancli.game.abilities import able
from gancli.game.looking import evaluating
from gancli.game.model import Fixed, Model
from gancli.monitor.grids import image_grid, preview_zoom, quick_png, save_gif, scatter
from gancli.runs.checkpoint import kimg_name
from gancli.runs.files import SAMPLES
from gancli.seeds import mix

GALLERY_STREAM = 1 << 34
EXAMPLES, COLUMNS = 64, 8
POINTS = 2000
LARGEST_CLASSES = 16  # rows of a conditional model's grid
LONGEST_ANIMATION = 60  # frames


class Gallery:
    """Hangs pictures in <run>/samples."""

    def __init__(self, run_dir: Path, model: Model, average: Average | None, data, seed: int) -> None:
        self.folder = run_dir / SAMPLES
        self.folder.mkdir(exist_ok=True)
        self.model = average.model if average is not None else model
        self.points = None if data.spec.is_image else data.first(min(POINTS, data.spec.count)).real
        self.fixed = self._fixed(model, data, seed)
        self.tokens = data.spec.kind == "tokens"
        self.samples = self.fixed.z is not None  # whether the model draws any
        self.last: Path = self.folder

    def _fixed(self, model: Model, data, seed: int) -> Fixed:
        classes = min(len(data.spec.classes), LARGEST_CLASSES) if model.needs.labels else 0
        n = classes * COLUMNS if classes else EXAMPLES if data.spec.is_image else POINTS
        device = next(model.parameters()).device
        z = None
        if able(model, "sample"):
            generator = torch.Generator().manual_seed(mix(seed, GALLERY_STREAM))
            z = model.draw_latents(n, generator).to(device)
        labels = torch.arange(n, device=device) // COLUMNS if classes else None
        batch = data.first(min(n, 2 * COLUMNS if data.spec.is_image else POINTS, data.spec.count))
        return Fixed(z, labels, batch, COLUMNS)

    @torch.no_grad()
    def hang(self, images: int) -> dict[str, bytes]:
        """Make, save and return the pictures after so many images, PNG files' bytes by name; tokens are no picture."""
        if self.tokens:
            return {}
        with evaluating(self.model):
            shown = self.model.showcase(self.fixed)
        pictures = {}
        for name, examples in shown.items():
            if examples.dim() == 4:
                grid = image_grid(examples.float(), self.fixed.columns)
                grid = image_grid(examples.float(), self.fixed.columns, zoom=preview_zoom(*grid.shape[:2]))
            else:
                grid = scatter(examples.float(), self.points)
            stem = kimg_name(images) if name == "samples" else f"{name}-{kimg_name(images)}"
            pictures[name] = quick_png(grid)
            (self.folder / f"{stem}.png").write_bytes(pictures[name])
            if name == "samples" or len(shown) == 1 or self.last == self.folder:
                self.last = self.folder / f"{stem}.png"
        return pictures

    def animate(self) -> Path | None:
        """Make a GIF of the grids so far, at most LONGEST_ANIMATION of them, evenly spread; None for fewer than two."""
        stem = self.last.stem.rpartition("kimg-")[0]
        pictures = sorted(self.folder.glob(f"{stem}kimg-*.png"))
        if len(pictures) < 2:
            return None
        step = max(1, -(-len(pictures) // LONGEST_ANIMATION))
        chosen = [*pictures[:-1:step], pictures[-1]]
        target = self.folder / f"{stem}progress.gif"
        save_gif(target, (np.asarray(Image.open(path).convert("RGB")) for path in chosen), fps=8)
        return target
