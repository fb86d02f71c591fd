"""How a figure was measured: without that it means nothing, so that it stands in its name and in full beside it."""

import math
from dataclasses import dataclass
from typing import Any

from gancli.features.cache import fingerprint
from gancli.metrics.catalog import METRICS


@dataclass(frozen=True)
class Protocol:
    """Everything that a figure depends on besides the model."""

    metric: str  # the measure, a name of the catalog
    generated: int  # examples that entered
    real: int | None  # real examples that entered; None where the measure needs none
    seed: int  # of latents and random choices
    data: dict[str, Any]  # fingerprint, split, domain
    extractor: dict[str, Any] | None  # its facts: name, weights' SHA-256, resize, normalization
    details: dict[str, Any]  # of the measure: neighbors, subsets, ...

    def figure_name(self, figure: str) -> str:
        """Return `fid(classifier,2000/60000)`: the figure, its extractor, and the counts of generated and real examples."""
        counts = f"{self.generated}" if self.real is None else f"{self.generated}/{self.real}"
        return f"{figure}({counts})" if self.extractor is None else f"{figure}({self.extractor['extractor']},{counts})"

    def as_dict(self) -> dict[str, Any]:
        """Return the protocol in JSON types, with a hash of all of it."""
        values = dict(vars(self))
        return {**values, "hash": fingerprint(values)}


@dataclass(frozen=True)
class Measured:
    """One figure, with how it was measured."""

    figure: str  # of the catalog: fid, kid_std, precision, ...
    value: float  # may be infinite; NaN where the examples were not finite
    protocol: Protocol

    @property
    def name(self) -> str:
        """The name under which it is recorded; figures of different names are never compared."""
        return self.protocol.figure_name(self.figure)

    @property
    def lower_is_better(self) -> bool | None:
        """Which side is better; None for figures without one."""
        return METRICS[self.protocol.metric].figure(self.figure).lower_is_better

    @property
    def decides(self) -> bool:
        """Whether it is the figure of its measure that `best` follows."""
        return METRICS[self.protocol.metric].decides == self.figure

    def as_dict(self) -> dict[str, Any]:
        """Return JSON types; a value that is not finite becomes None."""
        return {"name": self.name, "value": self.value if math.isfinite(self.value) else None,
                "lower_is_better": self.lower_is_better, "protocol": self.protocol.as_dict()}
