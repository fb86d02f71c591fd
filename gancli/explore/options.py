"""What the commands on trained models have in common; each command's own options stand beside it, defaults in conf/."""

from dataclasses import dataclass
from typing import Any

from gancli.errors import check_choice, check_range

WEIGHTS = ("ema", "raw")
FARTHEST_PSI = 2.0  # that styles are moved from their average, over their distance from it


@dataclass
class FileOptions:
    """Which trained model, and where the results go."""

    ckpt: str | None  # a checkpoint or a run; required
    weights: str  # one of WEIGHTS
    out: str | None  # a file or a folder; None: a new one under outputs/<command>
    overwrite: bool

    def __post_init__(self) -> None:
        if self.ckpt is None:
            raise ValueError("ckpt has no value: give ckpt=RUN (gan list runs shows the runs) or ckpt=FILE")
        check_choice("weights", self.weights, WEIGHTS)


@dataclass
class RunOptions(FileOptions):
    """The same for a command that computes."""

    device: str


@dataclass
class CommandOptions(RunOptions):
    """The same for a command that makes many examples."""

    batch_size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("batch_size", self.batch_size, 1)


@dataclass
class PictureOptions(CommandOptions):
    """The same for a command that shows images."""

    zoom: int | None  # None: until a preview is large enough

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("zoom", self.zoom, 1, 64)


@dataclass
class StyleOptions(PictureOptions):
    """The same for a command whose images may be made of changed styles, where the model has some."""

    truncation: float | None  # psi: styles are moved to their average, w = mean + psi (w - mean); None: not
    truncation_layers: Any  # of which layers, as in layers=; None: of all
    noise: Any  # true: the fixed maps; false: none; a height of maps or a list of them: at these sizes alone
    noise_seed: int | None  # of other maps than the fixed ones

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("truncation", self.truncation, -FARTHEST_PSI, FARTHEST_PSI)
        check_range("noise_seed", self.noise_seed, 0)
        if self.truncation_layers is not None and self.truncation is None:
            raise ValueError("truncation_layers needs a truncation: give truncation=0.7, or leave it out")

    @property
    def changes_styles(self) -> bool:
        """Whether anything is asked for that needs styles."""
        return self.truncation is not None or self.noise is not True or self.noise_seed is not None
