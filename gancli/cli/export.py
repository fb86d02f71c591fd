"""`gan export`: a trained generator as a file for programs without gancli."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan export ckpt=RUN",
    "gan export ckpt=RUN out=model.onnx",
    "gan export ckpt=RUN@latest out=model.pt2 license=CC-BY-4.0",
)


@job
def task(cfg: Any) -> None:
    """Export what makes images of latents (and labels) for programs without gancli.

    The ending of out= decides the format: *.onnx for onnxruntime, *.pt2 for torch.export.load, or *.html, a page on which a
    point in a plane of latents is dragged while the browser draws, offline (runtime= has the files of onnxruntime-web).
    Batches may have any size; fixed noise maps are part of the file. Before it is written it is compared with the model,
    image by image, and refused beyond 1e-4. A card stands beside it, for programs (*.json) and for people (*.md).

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    sample images. ONNX and the page need pip install 'gancli[export]'.
    `gan export --cfg job` prints every key.
    """
    from gancli.explore.export import export

    report = export(cfg)
    print(f"{report.bytes:,} bytes; at most {report.difference:.2g} away from the model's images on values from -1 to 1 "
          f"({report.by}).", file=sys.stderr)
    for path in report.files:
        print(path)


command = thin_command(task, "export")
