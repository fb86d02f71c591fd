"""What a measure is: the figures that it yields, what it needs, what is collected for it, how it is computed; no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gancli.metrics.context import Context, Pool


@dataclass(frozen=True)
class Figure:
    """One number that a measure yields.

    `lower_is_better` is None for a number that has no better side (a spread, a diversity that is to equal the
    data's): it is recorded, but never decides which checkpoint is best.
    """

    name: str
    lower_is_better: bool | None
    text: str


@dataclass(frozen=True)
class Score:
    """The figures of one measure, the numbers of examples that entered, and what else the protocol must say."""

    values: dict[str, float]
    generated: int
    real: int | None
    details: dict[str, Any]


def whole(real: "Pool", context: "Context") -> "Pool":
    """Keep what was collected of the real examples as it is."""
    return real


def suits_all(features: str) -> str:
    """Refuse no extractor."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One entry of `metrics=[...]`: a family of figures that are computed together.

    `decides` names the figure that `best`, patience and a sweep's objective follow; None: the measure cannot decide.

    `score` gets what `digest` made of the real side, once for all evaluations, the collectors of the generated side, and
    the context; it is called on one rank.
    """

    name: str
    figures: tuple[Figure, ...]
    decides: str | None
    text: str
    paper: str
    score: Callable[[Any, "Pool", "Context"], Score]
    real: tuple[str, ...] = ()  # kinds of collectors (collectors.py) that see the real examples
    fake: tuple[str, ...] = ()  # kinds that see the generated ones; of points, `images` takes the place of `patches`
    digest: Callable[["Pool", "Context"], Any] = whole
    least: int = 1  # generated examples that it can work with, and real ones where some are collected
    refuses: Callable[[str], str] = suits_all  # why not with these `features=`, as the rest of a sentence; empty: it can
    needs_features: bool = False  # an extractor's features or logits; without it, no extractor stands in the figure's name
    needs_labels: bool = False  # the real examples' labels
    needs_condition: bool = False  # a generator that is told a label
    needs_classify: bool = False  # a model that classifies
    needs_pairs: bool = False  # two domains whose examples correspond, and a model that translates
    needs_partners: bool = False  # a model that makes examples of which it is known what they should be
    needs_upscale: bool = False  # a model that enlarges images
    needs_holes: bool = False  # a model that fills holes
    needs_targets: bool = False  # a model that translates among the data's classes
    needs_styles: bool = False  # a model whose translations take a style
    needs_images: bool = False  # pixels, [N, C, H, W]
    needs_points: bool = False  # a toy density whose centers are known
    needs_tokens: bool = False  # sequences of tokens; all others are of images or points
    needs_oracle: bool = False  # what drew the sequences, which tells how likely others are
    needs_likelihood: bool = False  # a generator that tells how likely sequences are
    needs_latents: bool = False  # a generator whose latents can be moved: `draw_latents` and `generate`
    needs_second: bool = False  # a model of two domains, and data of which the second is made of the first's kind
    needs_holdout: bool = False  # real examples that the generator was not trained on
    likes_holdout: bool = False  # such examples where there are some; it can do without

    @property
    def lower_is_better(self) -> bool | None:
        """Whether the deciding figure improves downwards; None where no figure decides."""
        return None if self.decides is None else self.figure(self.decides).lower_is_better

    @property
    def reads_holdout(self) -> bool:
        """Whether it looks at examples that the generator was not trained on, where there are some."""
        return self.needs_holdout or self.likes_holdout

    @property
    def knows_the_truth(self) -> bool:
        """Whether it compares what a model makes with what it should have made."""
        return self.needs_pairs or self.needs_partners or self.needs_upscale or self.needs_holes

    def figure(self, name: str) -> Figure:
        """Return the figure of that name; KeyError if the measure has none."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)

    def kinds(self, real: bool, is_image: bool) -> tuple[str, ...]:
        """Return the kinds of collectors that it needs on one side; points are kept as they are."""
        kinds = self.real if real else self.fake
        return kinds if is_image else tuple("images" if kind == "patches" else kind for kind in kinds)
