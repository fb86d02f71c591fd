"""The figures of a run on disk: a TensorBoard event file and one JSON line per tick (stats.jsonl)."""

import io
import json
import math
from pathlib import Path

from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter


def tag_of(name: str) -> str:
    """Return the TensorBoard tag of a recorded scalar `player/name`: figures of one kind share a folder.

    D(x) is the discriminator's mean output on real data during its turns, D(G(z))/discriminator_turn that on
    generated data; before and after_generator_turn are on the same latents before and after a generator step (the
    latter is a turn played again, one with each sample grid).
    """
    player, _, figure = name.partition("/")
    if figure in ("loss", "gradient_norm", "lr"):
        return f"{figure}/{player}"
    if figure == "D(x)" and player == "discriminator":
        return "D(x)"
    if figure == "D(G(z))":
        return "D(G(z))/discriminator_turn" if player == "discriminator" else f"D(G(z))/before_{player}_turn"
    if figure == "D(G(z)) after":
        return f"D(G(z))/after_{player}_turn"
    return name


class Board:
    """Writes figures and pictures of a run; in the event file, what was written after `images` is void."""

    def __init__(self, run_dir: Path, images: int) -> None:
        self.stats = run_dir / "stats.jsonl"
        self.events = SummaryWriter(str(run_dir), purge_step=images + 1 if images else None)
        self.last: dict[str, float] = {}

    def figures(self, images: int, figures: dict[str, float]) -> None:
        """Record scalars at a number of images shown."""
        self.last = {**self.last, **figures}
        for tag, value in figures.items():
            self.events.add_scalar(tag, value, images)
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

    def hparams(self, settings: dict, figures: dict[str, float]) -> None:
        """Record the settings with the final figures, so that runs can be compared in TensorBoard's HPARAMS tab."""
        plain = {key: value if isinstance(value, (bool, int, float, str)) else str(value) for key, value in settings.items()}
        self.events.add_hparams(plain, {f"final/{key}": value for key, value in figures.items()}, run_name=".")

    def close(self) -> None:
        """Write everything out."""
        self.events.close()
