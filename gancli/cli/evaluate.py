"""`gan evaluate`: figures of trained generators."""

import sys
from typing import Any

from gancli.cli.thin import thin_command
from gancli.sweeps.jobs import job

EXAMPLES = (
    "gan evaluate ckpt=RUN",
    "gan evaluate ckpt=RUN@all metrics=[swd] n=2000",
    "gan evaluate ckpt=RUN metrics=[fid,nearest] n=1000 out=figures/",
)


@job
def task(cfg: Any) -> None:
    """Measure trained generators.

    The data are those that the run was trained on. Every figure's name says which extractor saw how many generated and
    real images; figures of different names must not be compared.

    ckpt= takes a checkpoint, a run directory, a run's id or a unique part of it, each with @kimg behind it, or @all.
    `gan list metrics` and `gan list extractors` print the choices, `gan evaluate --cfg job` every key.
    """
    from gancli.cli.table import print_table
    from gancli.explore.evaluate import evaluate
    from gancli.metrics.follow import BestFollower, better_word
    from gancli.monitor.durations import in_words
    from gancli.runs.protocols import protocol_words

    report = evaluate(cfg)
    for note in report.notes:
        print(note, file=sys.stderr)
    several, follower = len(report.evaluated) > 1, BestFollower()
    rows = []
    for one in report.evaluated:
        follower.update(round(one.kimg * 1000), one.measured)
        rows += [(*((f"{one.kimg:g}",) if several else ()), each.name, f"{each.value:.5g}", better_word(each.figure))
                 for each in one.measured]
    print_table((*(("kimg",) if several else ()), "figure", "value", "better"), rows)
    if several and follower.summary():
        print(follower.summary())
    for one in report.evaluated[-1:]:
        told = protocol_words(one.measured[0].protocol.as_dict())
        print(f"Protocol: {told}; took {in_words(report.seconds)}")
    for path in report.files:
        print(path)


command = thin_command(task, "evaluate")
