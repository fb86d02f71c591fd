"""A history of generated images for the discriminator (Shrivastava 2017; Zhu 2017, section 4)."""

import torch
from torch import Tensor, nn

from gancli.ranks import shards


class ImagePool(nn.Module):
    """Up to `size` generated images; they are buffers, so that a resumed run meets the same history.

    Everything happens on the device: nothing waits for the number of images held.
    """

    images: Tensor
    held: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, new: Tensor) -> Tensor:
        """Return a batch like `new`, each of its images either new or, half the time once the pool is full, old.

        An image that finds room is kept and returned.  Otherwise, with probability 1/2, it takes the place of a
        random one in the pool, which is returned instead.  Images of one batch take different places.
        """
        if not self.size:
            return new
        whole = shards.gathered(new.float())  # every rank has the same pool
        return shards.mine(torch.cat([self._exchange(part) for part in whole.split(self.size)]))

    def _exchange(self, new: Tensor) -> Tensor:  # [n, ...] with n <= size
        n, device = len(new), new.device
        order = torch.arange(n, device=device)
        room = self.size - self.held
        fresh = order < room
        slots = torch.where(fresh, self.held + order, self._places(n)[(order - room).clamp(min=0)])
        keep = fresh | (torch.rand(n, device=device) < 0.5)
        old = self.images[slots]
        wide = (n, *[1] * (new.dim() - 1))
        self.images.index_copy_(0, slots, torch.where(keep.view(wide), new, old))
        self.held.add_(n).clamp_(max=self.size)
        return torch.where((keep & ~fresh).view(wide), old, new)

    def _places(self, n: int) -> Tensor:
        """Return n distinct places in random order, those that this batch fills for the first time last."""
        keys = torch.rand(self.size, device=self.images.device)
        keys = keys + (torch.arange(self.size, device=keys.device) >= self.held)
        return keys.argsort()[:n]
