"""TensorBoard's event files."""

import io
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer import event_file_writer
from torch.utils.tensorboard import SummaryWriter

from gancli.monitor.loggers import Logger

# The charts of TensorBoard's CUSTOM SCALARS tab: the game at a glance. Each takes the tags that match.
LAYOUT = {"the game": {"losses": ["Multiline", ["Loss/.*"]],
                       "D(x), D(G(z))": ["Multiline", [r"D\(x\).*", r"D\(G\(z\)\)/.*"]]}}


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


class TensorBoard(Logger):
    """An event file in the run's folder."""

    def __init__(self, folder: Path, images: int) -> None:
        leave_errors_to_the_next_write()
        self.events = SummaryWriter(str(folder), purge_step=images + 1 if images else None)
        self.events.add_custom_scalars(LAYOUT)

    def figures(self, images: int, figures: Mapping[str, float]) -> None:
        """Take scalars at a number of images shown."""
        for tag, value in figures.items():
            self.events.add_scalar(event_tag(tag), value, images)

    def picture(self, name: str, images: int, png: bytes) -> None:
        """Take a PNG file as it is; add_image would compress it once more."""
        head = Image.open(io.BytesIO(png))
        picture = Summary.Image(height=head.height, width=head.width, colorspace=len(head.getbands()),
                                encoded_image_string=png)
        self.events.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=picture)]), images)

    def text(self, name: str, images: int, text: str) -> None:
        """Take a text for the TEXT tab."""
        self.events.add_text(name, text, images)

    def settings(self, settings: Mapping[str, Any], figures: Mapping[str, float], differing: Sequence[str]) -> None:
        """Take the final figures for the HPARAMS tab, and what differs in a sweep: the tab sorts by name and hides nothing."""
        told = {name: settings[name] for name in differing} or dict(settings)
        self.events.add_hparams(told, {f"final/{key}": value for key, value in figures.items()}, run_name=".")

    def close(self) -> None:
        """Write everything out."""
        self.events.close()
