"""Penalties on the discriminator's input gradients, and the clipping of its weights.

A judge maps a tuple of inputs to outputs of shape [N] or [N, 1, h, w]; an input is any floating tensor whose
first dimension is N (images, latents of a BiGAN pair).  Inputs that are not floating (labels) are passed
through.  The output of a patch discriminator for an image is the mean over its patches.  Networks compute in the
run's precision, the points and norms are float32: in bfloat16 the gradient of wgan_gp's penalty is off by 0.7 to 0.9 %,
like that of the adversarial loss, and by 6 to 37 % from that of another batch (CONTRIBUTING.md, "Speed").
"""

from collections.abc import Callable, Iterable
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from gancli.gradients import inputs_only
from gancli.losses.output import Inputs
from gancli.ranks import shards

Judge = Callable[..., Tensor]  # logits alone


def _float32(inputs: Inputs) -> Inputs:
    return tuple(x.detach().float() if x.is_floating_point() else x for x in inputs)


def squared_gradient_norms(judge: Judge, inputs: Inputs) -> Tensor:
    """Return |grad D(inputs)|^2 for each example, over all floating inputs jointly: [N], differentiable."""
    with torch.enable_grad():
        inputs = tuple(x.requires_grad_() if x.is_floating_point() else x for x in _float32(inputs))
        outputs = judge(*inputs).float().reshape(len(inputs[0]), -1)
        watched = [x for x in inputs if x.is_floating_point()]
        with inputs_only():
            gradients = torch.autograd.grad(outputs.mean(1).sum(), watched, create_graph=True)
        return reduce(add, [gradient.float().square().flatten(1).sum(1) for gradient in gradients])


def interpolate(real: Inputs, fake: Inputs) -> Inputs:
    """Return points drawn uniformly on the lines between pairs of real and fake inputs (Gulrajani 2017, section 4).

    Where there are several times as many fake ones, each real one begins as many lines.
    """
    n = len(fake[0])
    if n > len(real[0]):
        real = tuple(torch.cat([x] * (n // len(real[0]))) for x in real)
    epsilon = shards.rand(n, device=real[0].device)
    points = []
    for x, g in zip(_float32(real), _float32(fake), strict=True):
        points.append(torch.lerp(g, x, epsilon.view(n, *[1] * (x.dim() - 1))) if x.is_floating_point() else x)
    return tuple(points)


def gradient_penalty(judge: Judge, real: Inputs, fake: Inputs, one_sided: bool) -> Tensor:
    """Return E (|grad D| - 1)^2 between real and fake; only norms above 1 count where one-sided (Gulrajani 2017)."""
    norms = (squared_gradient_norms(judge, interpolate(real, fake)) + 1e-12).sqrt()
    excess = norms - 1
    return (excess.relu() if one_sided else excess).square().mean()


def dragan_penalty(judge: Judge, real: Inputs) -> Tensor:
    """Return E (|grad D(x + delta)| - 1)^2 around the data, delta = 0.5 std(x) U(0, 1) (Kodali 2017, algorithm 1)."""
    noisy = tuple(x + 0.5 * shards.std(x) * shards.rand_like(x) if x.is_floating_point() else x for x in _float32(real))
    norms = (squared_gradient_norms(judge, interpolate(real, noisy)) + 1e-12).sqrt()
    return (norms - 1).square().mean()


def zero_centered_penalty(judge: Judge, inputs: Inputs) -> Tensor:
    """Return 1/2 E |grad D|^2 on real inputs (R1) or on generated ones (R2) (Mescheder 2018, eqs. 9, 10)."""
    return 0.5 * squared_gradient_norms(judge, inputs).mean()


@torch.no_grad()
def clip_weights(modules: Iterable[nn.Module], bound: float) -> None:
    """Clip every parameter to [-bound, bound] in place (Arjovsky 2017, algorithm 1)."""
    parameters: list[Tensor] = [parameter for module in modules for parameter in module.parameters()]
    torch._foreach_clamp_min_(parameters, -bound)
    torch._foreach_clamp_max_(parameters, bound)
