"""How weights start, and the stabilizers that wrap them; used by every backbone and by game/build.py."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrizations

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)
NORMALIZING = (_BatchNorm, nn.GroupNorm, nn.InstanceNorm2d)


def normal_init(module: nn.Module, std: float = 0.02) -> None:
    """Weights N(0, std), gains of norms N(1, std), biases 0 (Radford 2016, section 4; its code for the gains)."""
    for part in module.modules():
        if isinstance(part, WEIGHTED):
            nn.init.normal_(part.weight, 0.0, std)
        elif isinstance(part, NORMALIZING) and part.weight is not None:
            nn.init.normal_(part.weight, 1.0, std)
        else:
            continue
        if getattr(part, "bias", None) is not None:
            nn.init.zeros_(part.bias)


def uniform_init(module: nn.Module, bound: float) -> None:
    """Weights uniform in [-bound, bound], biases 0 (the `irange` of Goodfellow 2014's published settings)."""
    for part in module.modules():
        if isinstance(part, WEIGHTED):
            nn.init.uniform_(part.weight, -bound, bound)
            if getattr(part, "bias", None) is not None:
                nn.init.zeros_(part.bias)


def he_init(module: nn.Module) -> None:
    """Weights uniform with variance 2 / inputs, biases 0 (He 2015, 1502.01852, eq. 10)."""
    for part in module.modules():
        if isinstance(part, WEIGHTED):
            nn.init.kaiming_uniform_(part.weight, nonlinearity="relu")
            if getattr(part, "bias", None) is not None:
                nn.init.zeros_(part.bias)


def he_normal_init(module: nn.Module) -> None:
    """Weights N(0, 2 / inputs), biases 0 (He 2015, eq. 10); norms keep what they have."""
    for part in module.modules():
        if isinstance(part, WEIGHTED):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if getattr(part, "bias", None) is not None:
                nn.init.zeros_(part.bias)


def xavier_init(module: nn.Module, gain: float, bias: float = 0.0) -> None:
    """Weights uniform with variance 2 gain^2 / (inputs + outputs) (Glorot & Bengio 2010, eq. 16), biases all alike."""
    for part in module.modules():
        if isinstance(part, WEIGHTED):
            nn.init.xavier_uniform_(part.weight, gain)
            if getattr(part, "bias", None) is not None:
                nn.init.constant_(part.bias, bias)


def orthogonal_init(module: nn.Module) -> None:
    """Make every weight matrix (a convolution's flattened per output) orthogonal, gain 1 (Saxe 2014; Brock 2019)."""
    for part in module.modules():
        gain = 1 / getattr(part, "scale", 1.0)  # equalized layers multiply their weight by their scale
        if isinstance(part, nn.ConvTranspose2d):  # its weight has the inputs first
            weight = part.weight.data.transpose(0, 1)
            weight.copy_(nn.init.orthogonal_(torch.empty_like(weight, memory_format=torch.contiguous_format), gain))
        elif isinstance(part, WEIGHTED):
            nn.init.orthogonal_(part.weight, gain)


def start_at_zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Set a layer's weight to 0, as residual branches may begin (Zhang 2019), and note that it has no direction."""
    nn.init.zeros_(layer.weight)
    layer.starts_at_zero = True
    return layer


def starts_at_zero(modules: Iterable[nn.Module]) -> bool:
    """Whether a weight in the modules begins at 0, which has no largest singular value to be divided by."""
    return any(getattr(part, "starts_at_zero", False) for module in modules for part in module.modules())


def spectral_norm(modules: Iterable[nn.Module]) -> None:
    """Divide every weight by its largest singular value, one power iteration a pass (Miyato 2018, algorithm 1)."""
    for module in modules:
        for part in [part for part in module.modules() if isinstance(part, WEIGHTED)]:
            parametrizations.spectral_norm(part)
            if hasattr(part, "scale"):  # equalized: what is normalized needs no scale
                part.scale = 1.0
