"""The pictures of a run: the same latents and data at every visit, as PNG grids and at last as an animation; or its texts."""

import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gancli.engine.averages import Average
from gancli.game.abilities import able
from gancli.game.looking import evaluating
from gancli.game.model import Fixed, Model
from gancli.monitor.captions import captioned
from gancli.monitor.grids import Picture, grid_size, image_grid, preview_zoom, quick_png, save_gif, scatter
from gancli.runs.checkpoint import kimg_name
from gancli.runs.files import SAMPLES
from gancli.seeds import mix

GALLERY_STREAM = 1 << 34
EXAMPLES, COLUMNS = 64, 8
POINTS = 2000
LARGEST_CLASSES = 16  # rows of a conditional model's grid
LONGEST_ANIMATION = 60  # frames
HOLD_S = 3.0  # that the film's last frame is held
PADDING = 2  # pixels between images, before the zoom


class Gallery:
    """Hangs pictures in <run>/samples."""

    def __init__(self, run_dir: Path, model: Model, average: Average | None, data, seed: int,
                 title: str) -> None:
        """Make the folder and choose what is shown.

        Args:
            title: of the run, on its pictures.
        """
        self.folder, self.title = run_dir / SAMPLES, title
        self.folder.mkdir(exist_ok=True)
        self.model = average.model if average is not None else model
        self.spec, self.tokens = data.spec, data.spec.kind == "tokens"
        self.points = data.first(min(POINTS, data.spec.count)).real if data.spec.kind == "points" else None
        self.fixed = self._fixed(model, data, seed)
        self.last: Path = self.folder

    def _fixed(self, model: Model, data, seed: int) -> Fixed:
        classes = min(len(data.spec.classes), LARGEST_CLASSES) if model.needs.labels else 0
        n = classes * COLUMNS if classes else POINTS if data.spec.kind == "points" else EXAMPLES
        device = next(model.parameters()).device
        z = None
        if able(model, "sample"):
            generator = torch.Generator().manual_seed(mix(seed, GALLERY_STREAM))
            z = model.draw_latents(n, generator).to(device)
        labels = torch.arange(n, device=device) // COLUMNS if classes else None
        batch = data.first(min(n, POINTS if data.spec.kind == "points" else 2 * COLUMNS, data.spec.count))
        return Fixed(z, labels, batch, COLUMNS)

    @torch.no_grad()
    def hang(self, images: int) -> dict[str, bytes]:
        """Make, save and return the pictures after so many images, PNG files' bytes by name; tokens are no picture."""
        if self.tokens:
            return {}
        pictures, shown = {}, self._shown()
        for name, examples in shown.items():
            pictures[name] = quick_png(self._captioned(name, examples.float(), images))
            self._keep(name, images, ".png", pictures[name], alone=len(shown) == 1)
        return pictures

    def _captioned(self, name: str, examples: Tensor, images: int) -> Picture:
        """Return a grid, or plot, of examples with what it shows, when, and what its rows are."""
        heading = f"{images / 1000:g} kimg: {name} of {self.title}"
        if examples.dim() != 4:
            return captioned(scatter(examples, self.points), heading)
        zoom = preview_zoom(*grid_size(*examples.shape[2:], len(examples), self.fixed.columns))
        grid = image_grid(examples, self.fixed.columns, PADDING, zoom)
        return captioned(grid, heading, self._rows(name, len(examples)), PADDING * zoom)

    def _rows(self, name: str, count: int) -> list[str]:
        """Return the names of a grid's rows: classes where each row has one, bands of what belongs together, else none."""
        rows = -(-count // self.fixed.columns)
        if name == "samples" and self.fixed.labels is not None and rows * COLUMNS == len(self.fixed.labels):
            return [self.spec.classes[label] for label in self.fixed.labels[::COLUMNS].tolist()]
        bands = self.model.bands(name, self.fixed)
        return [bands[row % len(bands)] for row in range(rows)] if bands else []

    @torch.no_grad()
    def write(self, images: int) -> dict[str, list[str]]:
        """Make, save and return the texts after so many images, by name; a text a line, none of what is no tokens."""
        if not self.tokens:
            return {}
        shown = self._shown()
        texts = {name: self.spec.texts(tokens) for name, tokens in shown.items()}
        for name, lines in texts.items():
            self._keep(name, images, ".txt", "".join(f"{line}\n" for line in lines).encode(), alone=len(shown) == 1)
        return texts

    def _shown(self) -> dict[str, Tensor]:
        with evaluating(self.model):
            return self.model.showcase(self.fixed)

    @torch.no_grad()
    def timed(self) -> tuple[float, float]:
        """Return the seconds that the first visit would take again, and those that making one of its examples takes."""
        begun = time.monotonic()
        count = sum(map(len, self._shown().values()))
        made = time.monotonic()
        self.hang(0)
        return time.monotonic() - made, (made - begun) / max(1, count)

    def _keep(self, name: str, images: int, ending: str, data: bytes, alone: bool) -> None:
        """Write one of the files of a visit."""
        stem = kimg_name(images) if name == "samples" else f"{name}-{kimg_name(images)}"
        path = self.folder / f"{stem}{ending}"
        path.write_bytes(data)
        if name == "samples" or alone or self.last == self.folder:
            self.last = path

    def animate(self) -> Path | None:
        """Make a GIF of the grids so far, at most LONGEST_ANIMATION of them, evenly spread; None for fewer than two."""
        stem = self.last.stem.rpartition("kimg-")[0]
        pictures = sorted(self.folder.glob(f"{stem}kimg-*.png"))
        if len(pictures) < 2:
            return None
        step = max(1, -(-len(pictures) // LONGEST_ANIMATION))
        chosen = [*pictures[:-1:step], pictures[-1]]
        target = self.folder / f"{stem}progress.gif"
        frames = [np.asarray(Image.open(path).convert("RGB")) for path in chosen]
        same = [frame for frame in frames if frame.shape == frames[-1].shape]  # an older version may have begun the run
        save_gif(target, same, fps=8, hold=HOLD_S)
        return target
