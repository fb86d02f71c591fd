"""The order in which examples are shown: a pure function of (seed, domain, position), so that resuming is free."""

import torch
from torch import Tensor

from gancli.seeds import mix

LABELED = 2  # the number of the few labeled examples' own order, after those of two domains
AT_ONCE = 4096  # positions drawn at once where few examples go round, that a batch does not cost a draw for every pass


class Order:
    """The endless order of one domain: a new permutation, and new coin flips, every epoch.

    Both are drawn on the CPU, so that a seed means the same on every device; the last two epochs are kept (a
    batch may straddle them, and players may come back to it), and taking a batch only slices them.
    """

    def __init__(self, count: int, seed: int, domain: int, device: torch.device, flips: bool,
                 among: Tensor | None = None) -> None:
        """Order the rows below `count`, or those of `among` [count]; then an epoch here is as many passes as AT_ONCE holds."""
        self._among = among
        self._passes = 1 if among is None else max(1, AT_ONCE // count)
        self.count = count * self._passes
        self._seed, self._domain = seed, domain
        self._device = device
        self._flips = flips
        self._epochs: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}

    def take(self, images: int, n: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return rows [n] on the CPU, the same on the device, and flips [n] bool on the device (or None)."""
        parts = []
        while n > 0:
            epoch, start = divmod(images, self.count)
            taken = min(n, self.count - start)
            window = slice(start, start + taken)
            parts.append([None if tensor is None else tensor[window] for tensor in self._drawn(epoch)])
            images, n = images + taken, n - taken
        if len(parts) == 1:
            return tuple(parts[0])
        return tuple(None if pieces[0] is None else torch.cat(pieces) for pieces in zip(*parts, strict=True))

    def _drawn(self, epoch: int) -> tuple[Tensor, Tensor, Tensor | None]:
        if epoch not in self._epochs:
            generator = torch.Generator().manual_seed(mix(self._seed, epoch, self._domain))
            rows = self._rows(generator)
            flips = torch.rand(self.count, generator=generator) < 0.5 if self._flips else None
            while len(self._epochs) > 1:
                del self._epochs[next(iter(self._epochs))]
            self._epochs[epoch] = (rows, rows.to(self._device), None if flips is None else flips.to(self._device))
        return self._epochs[epoch]

    def _rows(self, generator: torch.Generator) -> Tensor:
        """Return the rows of an epoch."""
        return torch.randperm(self.count, generator=generator) if self._among is None else self._rounds(generator)

    def _rounds(self, generator: torch.Generator) -> Tensor:
        """Return the rows of some passes over `among`, each a permutation of its own."""
        permutations = [torch.randperm(len(self._among), generator=generator) for _ in range(self._passes)]
        return self._among[torch.cat(permutations)]


class Draws(Order):
    """Endless independent draws, of which some may be equal: for examples that are too many to be permuted."""

    def __init__(self, total: int, seed: int, domain: int, device: torch.device, flips: bool) -> None:
        super().__init__(AT_ONCE, seed, domain, device, flips)
        self._total = total

    def _rows(self, generator: torch.Generator) -> Tensor:
        return torch.randint(self._total, (self.count,), generator=generator)
