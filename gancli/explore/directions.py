"""Principal directions of a model's latents: GANSpace's by samples, SeFa's from the weights of the first layer.

Legend: N latents, Z their size, D outputs of the first layer, K directions.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gancli.errors import UserError
from gancli.networks.initialization import WEIGHTED

METHODS = ("ganspace", "sefa")
RELATIVE = 1e-5  # of the largest deviation: along what varies less there is nothing to see


class _Reached(Exception):
    """The first layer has been computed; what follows it need not be."""


def ganspace(z: Tensor, y: Tensor) -> Tensor:
    """Return latents' steps of one standard deviation along the principal components of y, [K, Z], the largest first.

    The components x of activations y [N, D] are mapped back to latents z [N, Z] by the least squares of
    |U x - z|^2 (Harkonen 2020, 2004.02546, section 3); for y = z that is no change.
    """
    centered, latents = _centered(y), _centered(z)
    n, d = centered.shape
    if d > 2 * latents.shape[1]:  # what is linear in latents, or in a function of each of them, has no more dimensions
        random = torch.randn(n, 2 * latents.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        centered = centered @ torch.linalg.qr(centered.t() @ random).Q
    squares, vectors = torch.linalg.eigh(centered.t() @ centered)  # ascending
    coordinates, deviations = centered @ vectors, (squares.clamp_min(0) / (n - 1)).sqrt()
    kept = deviations.flip(0)[:latents.shape[1]]
    count = int((kept > RELATIVE * kept[0]).sum())
    coordinates, deviations = coordinates.flip(1)[:, :count], kept[:count]  # [N, K], [K]
    return _upright(coordinates.t() @ latents / ((n - 1) * deviations[:, None]))  # columns are orthogonal: U is a projection


def sefa(weight: Tensor) -> Tensor:
    """Return the unit vectors n [K, Z] that a weight [D, Z] stretches, the most first (Shen 2021, 2007.06600)."""
    squares, vectors = torch.linalg.eigh(weight.double().t() @ weight.double())
    stretches = squares.clamp_min(0).sqrt().flip(0)
    return _upright(vectors.t().flip(0)[:int((stretches > RELATIVE * stretches[0]).sum())])


def _centered(values: Tensor) -> Tensor:
    values = values.double().flatten(1)
    return values - values.mean(0)


def _upright(directions: Tensor) -> Tensor:
    """Return directions [K, Z] whose largest entry is positive: which of two signs comes out is chance."""
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return directions * largest.sign()


class FirstLayer:
    """The first layer with weights that latents meet."""

    def __init__(self, model: nn.Module, make: Callable[..., Tensor]) -> None:
        """Remember what makes examples of latents (and labels)."""
        self.model, self.make = model, make

    def outputs(self, z: Tensor, *labels: Tensor) -> Tensor:
        """Return the layer's outputs for latents [N, Z], [N, D]."""
        return self._reach(z, *labels)[2].flatten(1)

    def weight(self, size: int, z: Tensor, *labels: Tensor) -> Tensor:
        """Return the layer's weights of latents, [D, Z]: the outputs' change with each latent, whatever kind of layer it is.

        Args:
            size: Z.
            z: two different latents (or styles) at least, by which the layer and its place for them are found.
        """
        layer, seen, _ = self._reach(z, *labels)
        places = self._places(seen)
        if len(places) != size:
            raise UserError(f"The first layer takes {len(places)} numbers of a latent of {size}: its weights say "
                            "nothing of directions in the whole of it; give method=ganspace.")
        basis = torch.zeros(size + 1, seen[0].numel(), device=seen.device, dtype=seen.dtype)
        basis[torch.arange(size), places] = 1
        outputs = layer(basis.unflatten(1, seen.shape[1:])).flatten(1)
        return (outputs[:size] - outputs[size:]).t()

    def inputs(self, z: Tensor, *labels: Tensor) -> Tensor:
        """Return what the layer takes of latents, as it takes them (normalized, say), [N, Z]."""
        seen = self._reach(z, *labels)[1]
        return seen.reshape(len(seen), -1)[:, self._places(seen)]

    def _places(self, seen: Tensor) -> Tensor:
        """Return the places of the layer's input that latents change; labels, if there are any, stand at the others."""
        rows = seen.reshape(len(seen), -1)
        return (rows != rows[:1]).any(0).nonzero().squeeze(1)

    def _reach(self, *inputs: Tensor) -> tuple[nn.Module, Tensor, Tensor]:
        found: list[tuple[nn.Module, Tensor, Tensor]] = []

        def remember(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            found.append((layer, given[0], output))
            raise _Reached

        hooks = [part.register_forward_hook(remember) for part in self.model.modules() if isinstance(part, WEIGHTED)]
        try:
            self.make(*inputs)
        except _Reached:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        if not found:
            raise UserError("No layer with weights meets the latents of this model: there are no principal directions.")
        return found[0]
