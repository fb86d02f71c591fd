"""How figures look: large enough for the last row, safe for the color-blind, on light and on dark."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gancli.compare.curves import COLORS

SIZE = (14.0, 7.875)  # inches, 16 to 9 as a wall is
LETTERS = 21  # points: a thirtieth of the figure's height


@dataclass(frozen=True)
class Style:
    """Colors of a figure."""

    name: str
    paper: str
    ink: str
    muted: str
    line: str
    colors: tuple[str, ...]
    field: str  # matplotlib's name of the map for surfaces

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let matplotlib draw in this style."""
        import matplotlib

        with matplotlib.rc_context(self._settings()):
            yield

    def figure(self, size: tuple[float, float] = SIZE) -> Any:
        """Return an empty figure with a canvas that draws without a display."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        return figure

    def _settings(self) -> dict[str, Any]:
        from cycler import cycler

        return {"font.size": LETTERS, "axes.labelsize": LETTERS, "axes.titlesize": LETTERS, "legend.fontsize": LETTERS - 3,
                "xtick.labelsize": LETTERS - 2, "ytick.labelsize": LETTERS - 2, "axes.titlelocation": "left",
                "lines.linewidth": 3.5, "lines.markersize": 10, "axes.linewidth": 1.4, "axes.grid": True,
                "axes.axisbelow": True, "grid.linewidth": 1, "axes.spines.top": False, "axes.spines.right": False,
                "legend.frameon": False, "axes.prop_cycle": cycler(color=self.colors), "savefig.dpi": 110,
                "svg.hashsalt": "gancli", "figure.facecolor": self.paper, "axes.facecolor": self.paper,
                "savefig.facecolor": self.paper, "text.color": self.ink, "axes.labelcolor": self.ink,
                "axes.edgecolor": self.muted, "xtick.color": self.ink, "ytick.color": self.ink, "grid.color": self.line}


LIGHT = Style("light", "#ffffff", "#16191d", "#59626d", "#d5dae0", COLORS, "cividis")
DARK = Style("dark", "#14171b", "#eceff2", "#a4aeb8", "#39414a",  # as the pages' dark colors (monitor/page.css)
             ("#4ea8e0", "#ff8a3d", "#2fce9f", "#eb9dc8", "#f2b430", "#86cff5", "#b49bf0", "#b4b4b4"), "cividis")
STYLES = (LIGHT, DARK)
