"""Curves of several runs: which tags, smoothing, thinning, and one PNG a tag."""

import io
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from gancli.compare.reading import Curve, Run
from gancli.errors import UsageError, near
from gancli.runs.stats import METRIC_TAG

DEFAULT = (f"{METRIC_TAG}*", "loss/*", "D(x)", "D(x)/*", "D(G(z))/*")
COMMA = re.compile(r",(?![^(]*\))")  # not inside fid(classifier,2000/60000)
MOST_POINTS, FEWEST_POINTS = 1000, 100  # of one curve in a picture
MOST_IN_PICTURE = 30_000  # points of all curves
MOST_IN_LEGEND = 24
LABEL_LENGTH = 60

# Okabe and Ito's colors, without yellow (invisible on white), the page's --c0 ... --c7; dashes tell the rest apart.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f5fc7", "#666666")
DASHES = ((), (6, 3), (2, 2), (8, 3, 2, 3))


def all_tags(runs: Sequence[Run]) -> list[str]:
    """Return every tag that a run has, in the order in which the engine writes them."""
    return list(dict.fromkeys(tag for run in runs for tag in run.curves))


def choose_tags(wanted: Iterable[str] | None, runs: Sequence[Run]) -> list[str]:
    """Return the tags that are meant: whole tags, `loss/*`, a folder (`loss`), a metric's name (`fid`), with commas between.

    Raises:
        UsageError: a word means no tag; the message names the nearest.
    """
    known = all_tags(runs)
    if wanted is None:
        return list(dict.fromkeys(tag for pattern in DEFAULT for tag in known if fnmatchcase(tag, pattern)))
    chosen: list[str] = []
    for word in (part.strip() for text in wanted for part in COMMA.split(text)):
        meant = _meant(word, known)
        if not meant:
            folders = {tag.partition("/")[0] for tag in known}
            raise UsageError(f"No run has a curve called {word}; {near(word, {*known, *folders})}")
        chosen += meant
    return list(dict.fromkeys(chosen))


def _meant(word: str, known: Sequence[str]) -> list[str]:
    if word in known:
        return [word]
    patterns = [word] if "*" in word else [f"{word}/*", f"{METRIC_TAG}{word}", f"{METRIC_TAG}{word}(*"]
    return [tag for tag in known if word and any(fnmatchcase(tag, pattern) for pattern in patterns)]


def smooth(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Return an exponential moving average without its bias towards the start, as TensorBoard's; NaN stay where they are.

    Args:
        values: [T].
        weight: of the past, in [0, 1).
    """
    if not weight:
        return values
    smoothed, mean, total = np.full(len(values), np.nan), 0.0, 0.0
    for i, value in enumerate(values.tolist()):
        if value == value:
            mean, total = weight * mean + (1 - weight) * value, weight * total + 1 - weight
            smoothed[i] = mean / total
    return smoothed


def thin(curve: Curve, most: int) -> Curve:
    """Return at most `most` points of a curve: the lowest and the highest of each stretch, so that no spike is lost."""
    count = len(curve.values)
    if count <= most:
        return curve
    width = -(-count // max(1, (most - 2) // 2))  # of a stretch
    padded = np.full(-(-count // width) * width, np.nan)
    padded[:count] = curve.values
    stretches = padded.reshape(-1, width)
    starts = np.arange(len(stretches)) * width
    lowest = starts + np.where(np.isnan(stretches), np.inf, stretches).argmin(1)  # the first where all are NaN: the gap stays
    highest = starts + np.where(np.isnan(stretches), -np.inf, stretches).argmax(1)
    places = np.unique([0, *lowest, *highest, count - 1])
    return Curve(curve.kimg[places], curve.values[places])


def draw(tag: str, runs: Sequence[Run], names: Sequence[str], weight: float = 0.0) -> bytes:
    """Return a PNG of one tag's curves against kimg, those of all runs overlaid; smoothed ones over the pale originals.

    Metrics are not smoothed: each is a figure over many samples already, and its best is a point of the curve.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    weight = 0.0 if tag.startswith(METRIC_TAG) else weight
    figure = Figure(figsize=(9, 4.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    shown, most = 0, min(MOST_POINTS, max(FEWEST_POINTS, MOST_IN_PICTURE // len(runs)))
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        curve = run.curves.get(tag)
        if curve is None:
            continue
        shown += 1
        curve, average = thin(curve, most), thin(Curve(curve.kimg, smooth(curve.values, weight)), most)
        color, dash = COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
        style = {"color": color, "marker": "o" if len(curve.values) <= 30 else None, "markersize": 3.5}
        if weight:
            axes.plot(curve.kimg, curve.values, color=color, alpha=0.2, linewidth=1)
        axes.plot(average.kimg, average.values, linewidth=1.8, label=_plain(shortened(name)),
                  linestyle=(0, dash) if dash else "-", **style)
    axes.set_title(_plain(tag.removeprefix(METRIC_TAG)), loc="left", fontsize=13)
    axes.set_xlabel("real images shown, thousands (kimg)")
    axes.grid(color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if 0 < shown <= MOST_IN_LEGEND:
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def file_name(tag: str) -> str:
    """Return a name for the tag's PNG that every file system takes: `loss-generator.png`."""
    return re.sub(r"[^\w.]+", "-", tag.replace("/", "-")).strip("-.")[:100] + ".png"


def shortened(text: str) -> str:
    """Return a text of at most LABEL_LENGTH characters."""
    return text if len(text) <= LABEL_LENGTH else text[:LABEL_LENGTH - 1] + "…"


def _plain(text: str) -> str:
    """Return text that matplotlib takes literally: dollars enclose no mathematics, a leading _ hides no legend entry."""
    printable = "".join(c if c.isprintable() else "?" for c in text).replace("$", r"\$")
    return f" {printable}" if printable.startswith("_") else printable
