"""What a detector says: a failure by name, its evidence, and what to change (torch-free)."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One failure of a run; status.json lists it as an alarm."""

    name: str
    images: int  # real images shown when it began
    evidence: str  # one sentence with the numbers
    advice: str  # one sentence with overrides for a new run

    @property
    def sentence(self) -> str:
        """The finding in one line of the log."""
        return f"Diagnosis: {self.name} since {self.images / 1000:g} kimg. {self.evidence} {self.advice}"

    @property
    def tag(self) -> str:
        """The TensorBoard tag of its text."""
        return f"diagnosis/{self.name.replace(' ', '_')}"

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Finding":
        """Read what `as_dict` wrote."""
        return cls(values["name"], values["images"], values["evidence"], values["advice"])
