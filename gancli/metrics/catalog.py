"""The measures by name: what each needs, which figures it yields and which of them is better; imports no torch."""

from dataclasses import dataclass


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
class Measure:
    """One entry of `metrics=[...]`: a family of figures that are computed together.

    `decides` names the figure that `best`, patience and a sweep's objective follow; None: the measure cannot decide.
    """

    name: str
    figures: tuple[Figure, ...]
    decides: str | None
    text: str
    paper: str
    needs_features: bool = False  # an extractor's feature vectors; without it, no extractor stands in the figure's name
    needs_classifier: bool = False  # an extractor's class logits
    needs_labels: bool = False  # the real examples' labels
    needs_images: bool = False  # pixels, [N, C, H, W]
    needs_points: bool = False  # a toy density whose centers are known
    needs_latents: bool = False  # a generator whose latents can be moved: `draw_latents` and `generate`
    needs_holdout: bool = False  # real examples that the generator was not trained on
    has_grid: bool = False  # yields a picture

    @property
    def lower_is_better(self) -> bool | None:
        """Whether the deciding figure improves downwards; None where no figure decides."""
        return None if self.decides is None else self.figure(self.decides).lower_is_better

    def figure(self, name: str) -> Figure:
        """Return the figure of that name; KeyError if the measure has none."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)


MEASURES = (
    Measure("swd", (Figure("swd", True, "mean over projections (and pyramid levels), x 1000 for images"),), "swd",
            "Sliced Wasserstein distance: of 7x7 patches at every scale for images, of the points themselves for points.",
            "Rabin 2012; Karras 2018, section 5"),
    Measure("fid", (Figure("fid", True, "squared distance of two Gaussians"),), "fid",
            "Frechet distance between Gaussians fitted to the features of real and generated images.",
            "Heusel 2017, section 3, eq. 6", needs_features=True, needs_images=True),
    Measure("kid", (Figure("kid", True, "unbiased squared MMD, mean over subsets"),
                    Figure("kid_std", None, "standard deviation over subsets")), "kid",
            "Kernel distance: squared maximum mean discrepancy of the features under a cubic polynomial kernel.",
            "Binkowski 2018, section 4", needs_features=True, needs_images=True),
    Measure("is", (Figure("is", False, "exp of the mean KL divergence, between 1 and the number of classes"),
                   Figure("is_std", None, "standard deviation over splits")), "is",
            "Inception score: samples that are each of one class, all together of every class.",
            "Salimans 2016, section 4", needs_features=True, needs_classifier=True, needs_images=True),
    Measure("prdc", (Figure("precision", False, "share of samples inside the real manifold"),
                     Figure("recall", False, "share of real images inside the generated manifold"),
                     Figure("density", False, "how many real neighborhoods hold a sample, over k; may exceed 1"),
                     Figure("coverage", False, "share of real images with a sample in their neighborhood")), "coverage",
            "Precision, recall, density and coverage: quality and diversity apart, by nearest neighbors of the features.",
            "Kynkaanniemi 2019, eq. 1 and 2; Naeem 2020, section 3", needs_features=True, needs_images=True),
    Measure("ppl", (Figure("ppl", True, "mean squared feature distance over epsilon squared"),), "ppl",
            "Perceptual path length: how far the image moves for a small step in the latent space.",
            "Karras 2019, section 4.1", needs_features=True, needs_images=True, needs_latents=True),
    Measure("ms_ssim", (Figure("ms_ssim", None, "mean over pairs of samples, 1: all alike"),
                        Figure("ms_ssim_real", None, "the same of pairs of real images, to compare with")), None,
            "Multi-scale structural similarity between samples: far above the data's, the samples are too alike.",
            "Wang 2003; Odena 2017, section 4.2", needs_images=True),
    Measure("parzen", (Figure("parzen", False, "mean over test examples, in nats"),
                       Figure("parzen_se", None, "standard error over test examples, in nats")), "parzen",
            "Log-likelihood of test examples under Gaussians around the samples, their width chosen on a validation set.",
            "Breuleux 2009; Goodfellow 2014, section 5", needs_holdout=True),
    Measure("modes", (Figure("modes", False, "centers with at least one good sample"),
                      Figure("good_share", False, "share of samples within 3 standard deviations of a center"),
                      Figure("modes_kl", True, "KL divergence of the good samples' modes from the density's, in nats"),
                      Figure("modes_held", False, "modes with at least a tenth of their share of good samples")),
            "modes_held",  # a collapsed generator's samples are all good, and one stray sample catches a mode
            "Modes of a toy density that the generator catches, and how many of its samples are good.",
            "Metz 2017; Srivastava 2017, section 4.1", needs_points=True),
    Measure("classes", (Figure("classes", False, "classes (modes) that at least one sample is assigned to"),
                        Figure("classes_kl", True, "KL divergence of the samples' classes from the data's, in nats")),
            "classes_kl",
            "Histogram of the classes that a classifier sees in the samples; of 1,000 modes for stacked digits.",
            "Metz 2017; Srivastava 2017, section 4.1", needs_features=True, needs_classifier=True, needs_labels=True,
            needs_images=True),
    Measure("nearest", (Figure("memorization", None, "distance to the training data over that of held-out real images; "
                               "near 0: copies"),
                        Figure("nearer_share", None, "chance that a sample is nearer to the training data than a held-out "
                               "real image: about a half; 1: all copies")), None,
            "The training images nearest to the samples, side by side: does the generator copy?",
            "Meehan 2020 (the share)", has_grid=True),
)

METRICS: dict[str, Measure] = {measure.name: measure for measure in MEASURES}
FIGURES: dict[str, Figure] = {figure.name: figure for measure in MEASURES for figure in measure.figures}
