"""Options of the commands on trained models; their defaults stand in conf/sample.yaml and conf/interpolate.yaml."""

from dataclasses import dataclass
from typing import Any

from gancli.errors import check_choice, check_range

WEIGHTS = ("ema", "raw")
PATHS = ("spherical", "linear")


@dataclass
class SampleOptions:
    """What `gan sample` draws and where it puts it."""

    ckpt: str | None  # a checkpoint or a run; required
    n: int  # images
    seed: int
    label: Any  # a class (name or index), a list of classes, or None for every class of a conditional model
    out: str | None
    overwrite: bool
    weights: str  # one of WEIGHTS
    device: str
    batch_size: int
    columns: int | None
    zoom: int | None

    def __post_init__(self) -> None:
        _check_common(self)
        check_range("n", self.n, 1)
        check_range("columns", self.columns, 1)


@dataclass
class InterpolateOptions:
    """Which path `gan interpolate` walks and where it puts the images."""

    ckpt: str | None  # a checkpoint or a run; required
    seeds: list[int] | None  # points of one path; None for n paths of two points each
    n: int
    seed: int
    steps: int | None  # images from one point to the next, both included
    path: str  # one of PATHS
    loop: bool
    label: Any  # a class, a list of classes to blend from point to point, or None
    out: str | None
    overwrite: bool
    fps: float
    weights: str  # one of WEIGHTS
    device: str
    batch_size: int
    zoom: int | None

    def __post_init__(self) -> None:
        _check_common(self)
        check_range("n", self.n, 1)
        check_range("steps", self.steps, 2)
        check_range("fps", self.fps, 0.5, 50)
        check_choice("path", self.path, PATHS)
        labels = len(self.label) if isinstance(self.label, list) else 1
        if self.seeds is not None and max(len(self.seeds), labels) < 2:
            raise ValueError("seeds needs two points or more, or one and several labels: give seeds=[0,1]")


def _check_common(options: SampleOptions | InterpolateOptions) -> None:
    if options.ckpt is None:
        raise ValueError("ckpt has no value: give ckpt=RUN (gan list runs shows the runs) or ckpt=FILE")
    check_choice("weights", options.weights, WEIGHTS)
    check_range("batch_size", options.batch_size, 1)
    check_range("zoom", options.zoom, 1, 64)
    for seed in [options.seed, *(getattr(options, "seeds", None) or [])]:
        check_range("seed", seed, 0)
