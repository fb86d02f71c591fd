"""`gan age`: examples at every value of an ordered label, which is `gan traverse factor=label` on examples."""

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from gancli.explore.factors import LABEL
from gancli.explore.traverse import Traversed, traverse

FIXED = {"factor": LABEL, "method": "ganspace", "range": None, "seeds": None}  # options that this command does not have


def age(values: Mapping[str, Any]) -> Traversed:
    """Show examples over the labels as conf/age.yaml describes; what is wrong is refused as in `traverse`."""
    plain = OmegaConf.to_container(values, resolve=True) if OmegaConf.is_config(values) else dict(values)
    assert isinstance(plain, dict)
    return traverse({**plain, **FIXED}, "age")
