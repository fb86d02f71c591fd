"""What `precision=` of a trained model changes: how its networks compute."""

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from gancli.config.compose import compose
from gancli.errors import UsageError
from gancli.explore.sample import SampleOptions
from gancli.options import typed
from gancli.precision import COMPUTED, computing

DEVICE = torch.device("cpu")


def test_networks_compute_in_it():
    layer, x = nn.Linear(64, 64), torch.randn(8, 64)
    with torch.no_grad():
        full = layer(x)
        with computing("fp32", DEVICE):
            assert torch.equal(layer(x), full)
        with computing("bf16", DEVICE):
            rounded = layer(x)
    assert rounded.dtype == torch.bfloat16 and 0 < (rounded.float() - full).abs().max() < 0.05
    assert layer.weight.dtype == torch.float32 and len(COMPUTED) == 3


def test_other_words_are_refused():
    values = OmegaConf.to_container(compose("sample", ["ckpt=x"]), resolve=True)
    assert typed(SampleOptions, values, "").precision == "fp32"
    with pytest.raises(UsageError, match="precision"):
        typed(SampleOptions, {**values, "precision": "fp16"}, "")
