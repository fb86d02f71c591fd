"""What a measure needs that a run may lack: told before anything is computed, as a sentence; no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Shape

from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.features.weights import EXTRACTORS, find_weights, is_script
from gancli.metrics.catalog import METRICS
from gancli.metrics.measure import Measure


class Options(Shape):
    """What an evaluator reads of its options."""

    metrics: list[str]
    n: int
    features: str
    features_weights: str | None
    real: int | None


@dataclass(frozen=True)
class Given:
    """What there is to measure with."""

    spec: DataSpec
    latents: bool = False  # the model draws latents and generates from them
    mixture: bool = False  # the data are a toy density whose centers are known
    holdout: bool = False  # there are real examples that the model was not trained on
    conditional: bool = False  # the model generates by labels
    classifies: bool = False  # the model classifies
    second: bool = False  # the model generates two domains, and it is known how the second is made (dataset.second)
    oracle: bool = False  # what drew the data is known
    upscales: bool = False  # the model enlarges images
    fills: bool = False  # the model fills holes
    targets: bool = False  # the model translates among the data's classes
    styles: bool = False  # its translations take a style
    likelihood: bool = False  # the model tells how likely sequences are

    def lack(self, measure: Measure, features: str) -> str:
        """Return what keeps a measure from being computed, as the rest of a sentence; empty where nothing does."""
        spec, tokens = self.spec, self.spec.kind == "tokens"
        if tokens != measure.needs_tokens:
            mine = ",".join(other for other in METRICS if METRICS[other].needs_tokens)
            kind, instead = ("images or points", mine) if tokens else ("tokens", "swd")
            return f"needs {kind} and this data set holds {spec.kind}: give some of metrics=[{instead}]."
        lacks = (
            (measure.needs_oracle and not self.oracle,
             "needs what drew the data, which dataset=oracle alone tells: leave it out."),
            (measure.needs_likelihood and not self.likelihood,
             "asks the model how likely sequences are, and this one cannot tell: leave it out."),
            (measure.needs_points and not self.mixture,
             "needs a toy density whose modes are known (ring, grid, mixture_1d), and this data set is none."),
            ((measure.needs_images or measure.needs_features) and not spec.is_image,
             "needs images and this data set holds points: use metrics=[swd] or, for mixtures, [swd,modes]."),
            (measure.needs_labels and not spec.classes, "needs labels and this data set has none: leave it out."),
            (measure.needs_condition and not self.conditional,
             "asks whether samples are of the class that the model was told, and this one is told none: leave it out."),
            (measure.needs_classify and not self.classifies,
             "looks at a model's own classification, and this one has none: leave it out."),
            (measure.needs_pairs and not spec.paired,
             "compares translations with their true partners, and these data are no pairs: leave it out."),
            (measure.needs_partners and not (spec.paired or self.upscales or self.fills),
             "compares what a model makes with what it should have made: translated pairs, enlarged images or filled holes; "
             "leave it out."),
            (measure.needs_upscale and not self.upscales,
             "compares enlarged images with their originals, and this model enlarges none: leave it out."),
            (measure.needs_holes and not self.fills,
             "compares what a model puts into holes with what was there, and this one fills none: leave it out."),
            (measure.needs_targets and not self.targets,
             "looks at translations among the data's classes, and this model makes none: leave it out."),
            (measure.needs_styles and not self.styles,
             "compares translations in several styles, and this model's have one: leave it out."),
            (measure.needs_latents and not self.latents, "moves latents and this model has none to move: leave it out."),
            (measure.needs_second and not self.second,
             "compares two domains' images of one latent, and needs a model that makes both (cogan) and data with "
             "dataset.second=: leave it out."),
            (measure.needs_holdout and not self.holdout,
             "needs real examples that the model was not trained on, and here are none: leave it out."))
        return next((sentence for missing, sentence in lacks if missing), measure.refuses(features))


def check(options: Options, given: Given, data_dir: Path) -> None:
    """Raise a UserError for a metric that cannot be computed; nothing is read but the existence of weights."""
    spec, features = given.spec, options.features
    for name in options.metrics:
        reason = given.lack(METRICS[name], features)
        if reason:
            raise UserError(f"metrics={name} {reason}")
        _refuse_few(name, options.n, spec.count if options.real is None else min(options.real, spec.count))
    if any(METRICS[name].needs_features for name in options.metrics):
        if features == "classifier" and not spec.classes:
            raise UserError("features=classifier is trained on labels and this data set has none: give "
                            "features=mobilenet_v2 or features=inception, or metrics=[swd], which needs no features.")
        if not is_script(features) and EXTRACTORS[features].weights is not None:
            find_weights(features, options.features_weights, data_dir)
        elif is_script(features) and not Path(features).expanduser().is_file():
            raise UserError(f"There is no file {features}: features= takes {', '.join(EXTRACTORS)}, or a TorchScript file.")
        elif options.features_weights is not None:
            raise UserError(f"features={features} takes no features_weights=: leave that out.")


def _refuse_few(name: str, generated: int, real: int) -> None:
    """Raise a UserError for fewer examples than a measure can work with."""
    least = METRICS[name].least
    for key, count in (("n", generated), *([("real", real)] if METRICS[name].real else [])):
        if count < least:
            raise UserError(f"metrics={name} needs at least {least} examples of each side, and {key} is {count}.")
