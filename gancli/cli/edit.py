"""`gan edit`: an image changed by strokes of a brush, as a generator would have it."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan edit ckpt=RUN seed=3 page=edit.html",
    "gan edit ckpt=RUN seed=3 strokes=strokes.json",
    "gan edit ckpt=RUN input=pictures/0.png strokes=strokes.png n=4 out=edited/",
)


@job
def task(cfg: Any) -> None:
    """Change an image by strokes, to images that the generator can make.

    page=edit.html writes a page on which strokes are painted; it saves the JSON or PNG that strokes= takes. A search from the
    image's latents then makes several candidates, the one of least energy first; away from the strokes they stay near
    to what was there. Written are edit.png with all of them, result.png, latents.npz and the way as film.gif.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    sample images.
    `gan edit --cfg job` prints every key.
    """
    from gancli.explore.edit import edit

    done = edit(cfg)
    for note in done.notes:
        print(note, file=sys.stderr)
    if done.candidates:
        said = [f"{done.candidates} candidate{'s' * (done.candidates > 1)}."]
        if done.strokes is not None:
            said.append(f"The best one's error within strokes of color: {done.strokes[1]:.4f}, {done.strokes[0]:.4f} before.")
        if done.elsewhere is not None:
            said.append(f"Its change elsewhere: {done.elsewhere:.4f}.")
        print(" ".join(said), file=sys.stderr)
    for path in done.files:
        print(path)


command = thin_command(task, "edit")
