"""The animation of an experiment: all recorded runs of its first scene side by side, played once through."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gancli.lab.frame.moving import Scene
from gancli.lab.frame.style import LETTERS, LIGHT, SIZE
from gancli.monitor.grids import save_gif

FRAMES, FPS, DPI = 48, 12.0, 68
MOST = 6  # runs in one picture


def save_film(path: Path, scene: Scene) -> None:
    """Write the scene as a GIF."""
    save_gif(path, frames(scene), FPS)


def frames(scene: Scene) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures [H, W, 3]; the last one stays for a second."""
    runs = scene.runs[:MOST]
    rows = 1 if len(runs) <= 3 else 2
    columns = math.ceil(len(runs) / rows)
    with LIGHT.used():
        figure = LIGHT.figure(SIZE)
        figure.set_dpi(DPI)
        figure.suptitle(scene.title, fontsize=LETTERS)
        shows = []
        for number, run in enumerate(runs):
            axes = figure.add_subplot(rows, columns, number + 1, xlim=scene.xlim, ylim=scene.ylim, title=run.name)
            if number // columns == rows - 1:
                axes.set_xlabel(scene.xlabel)
            if number % columns == 0:
                axes.set_ylabel(scene.ylabel)
            shows.append((run, run.what.artists(axes, LIGHT, number)))
            if number == 0 and axes.get_legend_handles_labels()[1]:
                axes.legend(loc="upper right", fontsize=LETTERS - 7)
        clock = figure.text(0.995, 0.985, "", ha="right", va="top", fontsize=LETTERS - 3)
        for frame in range(FRAMES):
            times = max((run.times for run in runs), key=len)
            clock.set_text(f"{scene.clock} {times[round(frame / (FRAMES - 1) * (len(times) - 1))]:g}")
            for run, show in shows:
                show(round(frame / (FRAMES - 1) * (len(run.times) - 1)))
            figure.canvas.draw()
            picture = np.asarray(figure.canvas.buffer_rgba())[:, :, :3].copy()
            yield from [picture] * (int(FPS) if frame == FRAMES - 1 else 1)
