"""`gan upscale`: pictures of any size enlarged by a model of super-resolution."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan upscale ckpt=RUN",
    "gan upscale ckpt=RUN input=pictures/ out=large/",
    "gan upscale ckpt=RUN originals=pictures/",
)


@job
def task(cfg: Any) -> None:
    """Enlarge pictures of any size and mode.

    One PNG a picture, under its own name; large pictures go through the network in tiles that overlap, so that none of them
    shows. originals= beside input= are what the enlarged pictures are compared with (files of the same names); originals=
    alone are reduced first and enlarged again. Then figures.csv has PSNR and SSIM of the luminance, with bicubic
    interpolation's beside.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it. The model must
    enlarge images: srgan.
    `gan upscale --cfg job` prints every key.
    """
    from gancli.explore.upscale import upscale

    report = upscale(cfg)
    for note in report.notes:
        print(note, file=sys.stderr)
    print(f"{report.count:,} images, {report.factor} times as large.", file=sys.stderr)
    if report.figures:
        psnr, ssim, bicubic_psnr, bicubic_ssim = report.mean()
        print(f"On Y of {len(report.figures):,} originals: PSNR {psnr:.2f} dB, SSIM {ssim:.4f}; bicubic {bicubic_psnr:.2f} "
              f"dB, {bicubic_ssim:.4f}.", file=sys.stderr)
    for path in report.files:
        print(path)


command = thin_command(task, "upscale")
