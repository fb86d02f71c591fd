"""What a run downloads, before it creates anything: without it there is no run."""

from gancli.data.dataset import open_source
from gancli.engine.plan import Plan
from gancli.features.weights import EXTRACTORS, require_weights
from gancli.metrics.catalog import METRICS
from gancli.ranks.agreeing import made_by_first


def fetch(plan: Plan) -> None:
    """Download the data and weights that the run reads and that are not there; rank 0 does, and the others wait.

    Raises:
        UserError: they cannot be had; nothing has been created.
    """
    made_by_first(lambda: _fetch(plan))


def _fetch(plan: Plan) -> bool:
    for dataset in (plan.dataset, plan.holdout):
        if plan.absent and dataset is not None:
            open_source(dataset, plan.data_dir).prepare()
    evaluation = plan.evaluation
    if evaluation.on and any(METRICS[name].needs_features for name in evaluation.metrics) and (
            evaluation.features in EXTRACTORS and EXTRACTORS[evaluation.features].weights is not None):
        require_weights(evaluation.features, evaluation.features_weights, plan.data_dir)
    return True
