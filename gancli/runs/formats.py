"""What older runs and checkpoints hold otherwise, read as today's (torch-free).

Format 2 has what single players have of their own, schemes of updates, phases, and `features_weights` for the file of an
extractor; format 3 the latents of `gan` and where its generator starts.  A run folder's config.yaml has no number of its own:
what is converted can be told by its absence.
"""

from copy import deepcopy
from typing import Any

LATER_OPTIONS: dict[str, dict[str, int | str]] = {"gan": {"prior": "uniform", "marginals": False}, "dcgan": {"kernel": 4},
                                                 "cgan": {"kernel": 4}, "bigan": {"kernel": 4, "layout": "plain"}}
FORMAT = 3  # of checkpoints; raised when an older gancli could not read a new one


def converted(config: dict[str, Any]) -> dict[str, Any]:
    """Return a stored configuration with what its format did not have yet, as it was then; a newer one as it is."""
    config = deepcopy(config)
    if isinstance(optimizer := config.get("optimizer"), dict):
        optimizer.setdefault("players", {})
    if isinstance(trainer := config.get("trainer"), dict):
        for key, value in {"scheme": "alternating", "consensus": 10.0, "unrolled": 0}.items():
            trainer.setdefault(key, value)
    if isinstance(model := config.get("model"), dict):
        for key, value in LATER_OPTIONS.get(str(model.get("name")), {}).items():
            model.setdefault(key, value)
        config.setdefault("augment", {"name": "none"})
    if isinstance(evaluation := config.get("evaluation"), dict) and "weights" in evaluation:
        evaluation["features_weights"] = evaluation.pop("weights")
    return config


def reordered(config: dict[str, Any]) -> bool:
    """Whether a checkpoint of format 1 has convolutional networks whose last layer reads its features in another order.

    That order changed within format 1; checkpoints of before have no trainer.reuse_generated.
    """
    model, trainer = config.get("model"), config.get("trainer")
    if not isinstance(model, dict) or not isinstance(trainer, dict) or "reuse_generated" in trainer:
        return False
    return model.get("name") == "dcgan" or model.get("backbone") == "conv"
