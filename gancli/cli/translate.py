"""`gan translate`: images of one domain as another one would show them."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan translate ckpt=RUN",
    "gan translate ckpt=RUN input=pictures/ out=translated/",
    "gan translate ckpt=RUN n=32 out=pairs.png",
    "gan translate ckpt=RUN to=all out=classes.png",
)


@job
def task(cfg: Any) -> None:
    """Translate images into another domain, class or attribute.

    PNGs of each image, under its own name (out= is a folder), or a grid with each image above its translations (out=*.png).
    Images are brought to the size and the channels that the model was trained on, and files that cannot be read are named
    and skipped. Without input= held-out images of the run are taken, but for those that are what to= names already; files
    of input= are all translated, whatever they show.

    Models with styles take them from the images of style=, of the domain that to= names, or from latents of seed=.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    translate: cyclegan, pix2pix, stargan, stargan_v2 (the last with styles).
    `gan translate --cfg job` prints every key.
    """
    from gancli.explore.translate import translate

    report = translate(cfg)
    for note in report.notes:
        print(note, file=sys.stderr)
    print(f"{report.count:,} images as {report.domain}.", file=sys.stderr)
    for path in report.files:
        print(path)


command = thin_command(task, "translate")
