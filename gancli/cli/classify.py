"""`gan classify`: classes of images, by a trained model."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan classify ckpt=RUN",
    "gan classify ckpt=RUN input=~/pictures out=classes.csv",
    "gan classify ckpt=RUN@latest dataset.split=test",
)
SHOWN = 20  # classes of a confusion matrix that is printed


@job
def task(cfg: Any) -> None:
    """Classify images with a trained model.

    A CSV of classes and probabilities; accuracy and a confusion matrix (printed, and a PNG) where the classes are known, as
    those of the run's held-out examples are.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it.
    `gan classify --cfg job` prints every key.
    """
    from gancli.cli.table import print_table
    from gancli.explore.classify import classify

    report = classify(cfg)
    verdicts = report.verdicts
    for note in report.notes:
        print(note, file=sys.stderr)
    if verdicts.matrix is not None and len(verdicts.classes) <= SHOWN:
        print_table(("class", *verdicts.columns, "right"), verdicts.rows(), "Examples by class (rows) and by the one given")
    print(verdicts.summary())
    print(f"The model has learned from {report.taught}.")
    for path in report.files:
        print(path)


command = thin_command(task, "classify")
