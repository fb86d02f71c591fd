"""Frechet distance between Gaussians fitted to features (Heusel 2017), from statistics that stream and merge.

Legend: N examples, D features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Moments:
    """Count, mean [D] and scatter [D, D] (the sum of outer products of deviations), in float64.

    Merging is exact (Chan 1979), so that batches may come in any size and from any rank; nothing is lost where the mean
    is large beside the spread, as it is when sums of squares are subtracted.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def empty(cls, features: int, device: torch.device | str = "cpu") -> "Moments":
        """Return the moments of no example; on MPS, which has no float64, they live on the CPU."""
        place = "cpu" if torch.device(device).type == "mps" else device
        return cls(0, torch.zeros(features, dtype=torch.float64, device=place),
                   torch.zeros(features, features, dtype=torch.float64, device=place))

    def update(self, features: Tensor) -> None:
        """Take in a batch [N, D]."""
        n = len(features)
        if not n:
            return
        batch = features.detach().to(self.mean.device).to(torch.float64)
        mean = batch.mean(0)
        shift = mean - self.mean
        rows = batch - mean
        if self.count:  # the shift of the means, weighted, is one more row of deviations
            rows = torch.cat([rows, shift[None] * (self.count * n / (self.count + n)) ** 0.5])
        self.scatter.addmm_(rows.T, rows)
        self.mean += shift * (n / (self.count + n))
        self.count += n

    def merge(self, other: "Moments") -> None:
        """Take in what another accumulator (another rank's) has seen."""
        if not other.count:
            return
        total = self.count + other.count
        shift = other.mean.to(self.mean.device) - self.mean
        self.scatter += other.scatter.to(self.mean.device)
        self.scatter += torch.outer(shift, shift) * (self.count * other.count / total)
        self.mean += shift * (other.count / total)
        self.count = total

    def covariance(self) -> Tensor:
        """Return the unbiased covariance [D, D]; ValueError below two examples."""
        if self.count < 2:
            raise ValueError(f"a covariance needs two examples, not {self.count}")
        return self.scatter / (self.count - 1)

    def state(self) -> dict[str, Tensor]:
        """Return tensors to keep in a file or to gather from ranks; `from_state` reads them back."""
        return {"count": torch.tensor(self.count), "mean": self.mean, "scatter": self.scatter}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "Moments":
        """Read what `state` returned."""
        return cls(int(state["count"]), state["mean"], state["scatter"])


def frechet_distance(real: Moments, generated: Moments) -> float:
    """Return |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) (Heusel 2017, eq. 6), never below 0.

    The trace of the root is the sum of the square roots of the eigenvalues of S^(1/2) S' S^(1/2), which is symmetric:
    exact also where a covariance is singular (fewer examples than features), without the complex remainders and the
    added epsilon that a matrix root of S S' needs there.
    """
    first, second = real.covariance(), generated.covariance()
    shift = real.mean - generated.mean.to(real.mean.device)
    second = second.to(first.device)
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp_min(0).sqrt()  # [D, D]; root @ root.T is S
    products = torch.linalg.eigvalsh(root.T @ second @ root)
    distance = shift @ shift + first.trace() + second.trace() - 2 * products.clamp_min(0).sqrt().sum()
    return max(distance.item(), 0.0)
