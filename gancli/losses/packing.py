"""Packing: the discriminator judges m examples at once, and sees where they are too much alike (Lin 2018, 1712.04086).

Legend: N batch, m examples of a pack, C channels, H height, W width, P coordinates of a point.
"""

from torch import Tensor

from gancli.errors import UsageError
from gancli.losses.output import Inputs, Judge, Output


def packed(inputs: Inputs, size: int) -> Inputs:
    """Return (x,) [N, C, H, W] as (packs,) [N / m, m C, H, W], [N, P] as [N / m, m P]: neighbors side by side.

    Raises:
        UsageError: a judge takes more than the example, which the paper does not say how to pack.
    """
    if size == 1:
        return inputs
    if len(inputs) != 1:
        raise UsageError(f"loss.packing={size} puts examples side by side, and the discriminator of this model judges each "
                         "together with something else (a label, a latent, another image): leave loss.packing out.")
    return (inputs[0].unflatten(0, (-1, size)).flatten(1, 2),)


def unpacked(inputs: Inputs, size: int) -> Inputs:
    """Return the examples of packs, one by one."""
    if size == 1:
        return inputs
    return (inputs[0].unflatten(1, (size, -1)).flatten(0, 1),)


def judging_packs(judge: Judge, size: int) -> Judge:
    """Return the judge, which must say nothing of single examples."""
    if size == 1:
        return judge

    def found(*inputs: Tensor) -> Tensor | Output:
        output = judge(*inputs)
        if isinstance(output, Output) and output.features:
            raise UsageError(f"loss.packing={size} lets the discriminator judge {size} examples at once, and this model asks "
                             "it about each (its class, its codes): leave loss.packing out.")
        return output

    return found
