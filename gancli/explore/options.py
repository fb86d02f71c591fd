"""What the commands on trained models have in common; each command's own options stand beside it, defaults in conf/."""

from dataclasses import dataclass

from gancli.errors import check_choice, check_range

WEIGHTS = ("ema", "raw")


@dataclass
class CommandOptions:
    """Which trained model, where it runs, and where the results go."""

    ckpt: str | None  # a checkpoint or a run; required
    weights: str  # one of WEIGHTS
    device: str
    batch_size: int
    out: str | None  # a file or a folder; None: a new one under outputs/<command>
    overwrite: bool

    def __post_init__(self) -> None:
        if self.ckpt is None:
            raise ValueError("ckpt has no value: give ckpt=RUN (gan list runs shows the runs) or ckpt=FILE")
        check_choice("weights", self.weights, WEIGHTS)
        check_range("batch_size", self.batch_size, 1)


@dataclass
class PictureOptions(CommandOptions):
    """The same for a command that shows images."""

    zoom: int | None  # None: until a preview is large enough

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("zoom", self.zoom, 1, 64)
