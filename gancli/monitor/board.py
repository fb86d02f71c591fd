"""The figures of a run on disk: a TensorBoard event file and one JSON line per tick (stats.jsonl)."""

import io
import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer import event_file_writer
from torch.utils.tensorboard import SummaryWriter

# The charts of TensorBoard's CUSTOM SCALARS tab: the game at a glance. Each takes the tags that match.
LAYOUT = {"the game": {"losses": ["Multiline", ["Loss/.*"]],
                       "D(x), D(G(z))": ["Multiline", [r"D\(x\).*", r"D\(G\(z\)\)/.*"]]}}


def tag_of(name: str, discriminators: Sequence[str]) -> str:
    """Return the TensorBoard tag of a recorded scalar `player/name`: figures of one kind share a folder.

    D(x) is a discriminator's mean output on real data during its turns, D(G(z))/discriminator_turn that on
    generated data; before and after_generator_turn are on the same latents before and after a generator step (the
    latter is a turn played again, one with each sample grid).

    Args:
        discriminators: the players that discriminate; where there are several, D(x)/<player> is that of each.
    """
    player, _, figure = name.partition("/")
    if figure in ("loss", "gradient_norm", "lr"):
        return f"{figure}/{player}"
    if figure == "D(x)" and player in discriminators:
        return "D(x)" if len(discriminators) == 1 else f"D(x)/{player}"
    if figure == "D(G(z))":
        return f"D(G(z))/{player}_turn" if player in discriminators else f"D(G(z))/before_{player}_turn"
    if figure == "D(G(z)) after":
        return f"D(G(z))/after_{player}_turn"
    return name


def event_tag(tag: str) -> str:
    """Return a tag as the event file has it: TensorBoard sorts by name, capitals first, and opens on the first ones."""
    return f"L{tag[1:]}" if tag.startswith("loss/") else tag


def leave_errors_to_the_next_write() -> None:
    """Keep the thread that writes an event file from printing its traceback: the next write raises the same error."""
    told = threading.excepthook
    if getattr(told, "leaves_writers", False):
        return

    def tell(failed: threading.ExceptHookArgs) -> None:
        if type(failed.thread).__module__ != event_file_writer.__name__:
            told(failed)

    tell.leaves_writers = True  # type: ignore[attr-defined]
    threading.excepthook = tell


class Board:
    """Writes figures and pictures of a run; in the event file, what was written after `images` is void."""

    def __init__(self, folder: Path, stats: Path, images: int) -> None:
        """Open the event file in `folder` and the lines in `stats` after so many images."""
        leave_errors_to_the_next_write()
        self.stats = stats
        self.events = SummaryWriter(str(folder), purge_step=images + 1 if images else None)
        self.events.add_custom_scalars(LAYOUT)
        self.last: dict[str, float] = {}

    def figures(self, images: int, figures: dict[str, float]) -> None:
        """Record scalars at a number of images shown."""
        self.last = {**self.last, **figures}
        for tag, value in figures.items():
            self.events.add_scalar(event_tag(tag), value, images)
        finite = {tag: value if math.isfinite(value) else None for tag, value in figures.items()}
        with open(self.stats, "a", encoding="utf-8") as file:
            file.write(json.dumps({"images": images, **finite}) + "\n")

    def picture(self, name: str, images: int, png: bytes) -> None:
        """Record a picture that is a PNG file already; add_image would compress it once more."""
        head = Image.open(io.BytesIO(png))
        picture = Summary.Image(height=head.height, width=head.width, colorspace=len(head.getbands()),
                                encoded_image_string=png)
        self.events.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=picture)]), images)

    def text(self, name: str, images: int, text: str) -> None:
        """Record a sentence for TensorBoard's TEXT tab."""
        self.events.add_text(name, text, images)

    def lines(self, name: str, images: int, lines: Sequence[str]) -> None:
        """Record texts, one a line, as they are: in the TEXT tab, whose Markdown would join and style them."""
        self.events.add_text(name, "".join(f"    {line}\n" for line in lines), images)

    def hparams(self, settings: dict, figures: dict[str, float]) -> None:
        """Record the settings with the final figures, so that runs can be compared in TensorBoard's HPARAMS tab."""
        plain = {key: value if isinstance(value, (bool, int, float, str)) else str(value) for key, value in settings.items()}
        self.events.add_hparams(plain, {f"final/{key}": value for key, value in figures.items()}, run_name=".")

    def close(self) -> None:
        """Write everything out."""
        self.events.close()
