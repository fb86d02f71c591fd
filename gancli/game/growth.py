"""Networks over sizes that double, and their growth while they train: level by level, faded in (Karras 2018)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gancli.errors import UserError
from gancli.game.phase import Phase
from gancli.networks.progressive import Size, levels_of, nearest_sizes


def check_doubling(name: str, height: int, width: int) -> None:
    """Raise a UserError unless maps of 4 to 7 pixels become images of that size by doubling."""
    if levels_of(height, width) is None:
        near = " or ".join(f"{h}" if height == width else f"[{h},{w}]" for h, w in nearest_sizes(height, width))
        raise UserError(f"model={name} doubles images of 4 to 7 pixels and cannot grow to {height}x{width}: "
                        f"give dataset.size={near}.")


def sizes_and_widths(options: Any, height: int, width: int) -> tuple[list[Size], list[int]]:
    """Return the maps' sizes from the smallest, and their channels by channel_base and channel_max."""
    sizes = levels_of(height, width)
    assert sizes is not None  # check_doubling has seen to it
    return sizes, [max(1, min(options.channel_base // min(side), options.channel_max)) for side in sizes]


class Growth:
    """Levels of sizes that are faded in one after the other, a function of the images shown.

    How far the networks have grown is one number: k means level k, and k - 1 + a that level k is faded in with a weight of
    0 < a < 1 (gancli.networks.progressive).
    """

    def __init__(self, sizes: Sequence[Size], stable_kimg: float, fade_kimg: float, first: int = 0) -> None:
        """Describe the growth.

        Args:
            stable_kimg: for which each level but the last is trained before the next comes.
            fade_kimg: in which a level is faded in; with both 0 nothing grows.
            first: level that it begins with.
        """
        self.sizes, self.first = sizes, first
        self.stable, self.fade = 1000 * stable_kimg, 1000 * fade_kimg

    def at(self, images: int) -> float:
        """Return how far the networks have grown when so many real images have been shown."""
        level, faded = self._stretch(images)
        return float(level) if faded is None else level + faded

    def phase(self, images: int, default: Phase, batch_sizes: Sequence[int], rates: Sequence[float],
              players: Sequence[str], fresh_optimizers: bool) -> Phase:
        """Return what is played then.

        Args:
            batch_sizes: of each level from the first; the last counts for all larger ones; []: trainer.batch_size.
            rates: of all players likewise; []: optimizer.lr.
            fresh_optimizers: optimizers begin anew with every fade and after it.
        """
        level, faded = self._stretch(images)
        level += faded is not None
        name = "x".join(map(str, self.sizes[level]))
        rate = _of(rates, level - self.first)
        return replace(default, name=name if faded is None else f"fade to {name}",
                       batch_size=_of(batch_sizes, level - self.first),
                       lr={} if rate is None else dict.fromkeys(players, rate), fresh_optimizers=fresh_optimizers)

    def _stretch(self, images: int) -> tuple[int, float | None]:
        """Return the last level that is whole, and how far the next is faded in if it has begun to be."""
        stable, fade, last = self.stable, self.fade, len(self.sizes) - 1 - self.first
        if images >= last * (stable + fade):
            return self.first + last, None
        level, shown = divmod(images, stable + fade)
        return self.first + int(level), (shown - stable) / fade if shown >= stable else None


def _of(values: Sequence, level: int) -> Any:
    """Return the value of a level: the last counts for all larger ones, and none is None."""
    return values[min(level, len(values) - 1)] if values else None
