"""`gan blend`: a part of one picture in another, as if it belonged there."""

from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan blend ckpt=RUN source=cat.png target=lawn.png mask=mask.png",
    "gan blend ckpt=RUN source=cat.png target=lawn.png mask=mask.png beta=0.5 out=steps/",
)


@job
def task(cfg: Any) -> None:
    """Blend a part of one picture into another.

    The model makes a small image of the copy and paste, and the Gaussian-Poisson equation brings its colors and both
    pictures' gradients to the pictures' own size, whatever that is. out=*.png gets the result, out=FOLDER the steps, too.
    Printed are the mean squared differences of neighboring pixels across the seam, of values from 0 to 1.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    blend: gpgan.
    `gan blend --cfg job` prints every key.
    """
    from gancli.cli.table import print_table
    from gancli.explore.blend import blend

    report = blend(cfg)
    seams = {"copy and paste": report.seam_pasted, "blend": report.seam_blended, "target alone": report.seam_target}
    print_table(("seam of", "energy"), [(name, f"{energy:.5g}") for name, energy in seams.items()],
                title=f"{report.size[1]}x{report.size[0]} pixels")
    for path in report.files:
        print(path)


command = thin_command(task, "blend")
