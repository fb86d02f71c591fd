"""Scalars of many turns, summed where they are and read once per tick."""

import torch
from torch import Tensor


class Scalars:
    """Means of named scalars; adding never waits for the device, reading does."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    @torch.no_grad()
    def add(self, prefix: str, scalars: dict[str, Tensor]) -> None:
        """Add one turn's scalars under `prefix/name`."""
        new = {f"{prefix}/{name}": value for name, value in scalars.items()}
        known = [name for name in new if name in self._sums]
        if known:
            torch._foreach_add_([self._sums[name] for name in known], [new[name].float() for name in known])
        for name, value in new.items():
            if name not in self._sums:
                self._sums[name] = value.detach().float().clone()
            self._counts[name] = self._counts.get(name, 0) + 1

    def read(self) -> dict[str, float]:
        """Return the means since the last reading and start anew."""
        if not self._sums:
            return {}
        values = torch.stack(list(self._sums.values())).tolist()
        means = {name: value / self._counts[name] for name, value in zip(self._sums, values, strict=True)}
        self._sums, self._counts = {}, {}
        return means
