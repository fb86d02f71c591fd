"""One small pure function for each failure: a run's history and setting in, a finding or nothing out (torch-free).

Where the thresholds come from: `scripts/calibrate_diagnosis` makes sixteen kinds of runs fail on purpose and trains
ten healthy ones, on 8x8 and 16x16 digits and on points.  Beside each threshold stands what was seen on both
sides of it there, on seeds 0 and 1; the table on seeds 2 to 4 is in CONTRIBUTING.md.  A detector that has no
meaning for a loss or a model (no D(x) on a known scale, no samples) is silent.

Durations are counted in looks at samples (trainer.sample_kimg) and ticks of figures (trainer.record_kimg), not in images:
the thresholds were seen with a look every 2 kimg and a tick every 0.5, and a run with the default 10 and 1 is judged after
as many looks and ticks, hence more images.  A detector that waits for looks stays silent in a run that is too short to have
them.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gancli.diagnosis import advice
from gancli.diagnosis.finding import Finding
from gancli.diagnosis.history import History
from gancli.diagnosis.setting import LOGIT_GAP, MARGIN, Setting
from gancli.diagnosis.windows import WINDOW, blocks, medians, rising, trailing

REAL = "D(x)"  # and D(x)/<player> where several discriminate
GENERATOR_GRADIENT = "gradient_norm/generator"
SIGNAL = "diagnosis/"

# Discriminator too strong.  Healthy runs are sure for a while: 0.96 (DCGAN) and 0.996 (LSGAN) for 15 kimg early on, while
# the generator learns; so that being sure is a failure only where the generator stands still or where it lasts.
SURE = 0.99  # of its verdicts; failing runs 0.999
SURE_TICKS = 10  # this long together with a generator that stands still
SURE_LONG_TICKS, SURE_LONG_SHARE = 50, 0.5  # this long, and this share of the run, alone; LSGAN, healthy: 20 ticks
VANISHED = 0.02  # of its largest median is left of the generator's gradient norm; failing 1e-4, healthy 0.3
STILL = 0.01  # drift of samples between looks; failing 0.002, the slowest healthy run (WGAN-GP) 0.02

# Discriminator too weak.  A BiGAN and a ring start at chance for some kimg, but not below it for long.
CHANCE = 0.5  # verdicts right in the mean of WEAK_TICKS; failing 0.30 and 0.497, healthy 0.503 and more
WEAK_TICKS = 24
TOLD_APART = 0.95  # two-sample accuracy: the samples are nothing like the data
MISSED = 0.25  # share of real points that no generated point is near

# Mode collapse.  Untrained networks, too, give nearly one image: 0.09 to 0.2 of the data's diversity for the first
# 10 kimg of healthy runs.  Collapse is to lose diversity, or to move for long without gaining it.
LOW_DIVERSITY, FALLEN = 0.35, 0.5  # of the data's; and of the run's own best
HOPPING_DIVERSITY, HOPPING_DRIFT = 0.25, 0.4  # healthy early runs drift by 0.3 at such a diversity, hopping ones by 0.7,
HOPPING_LOOKS = 10  # as do MLPs that turn out healthy, for their first 7 looks
NOTHING_LEFT = 0.03  # of the data's diversity
LOOKS = 5  # that agree
POINTS_MISSED = 0.5  # share of real points missed after LATE_LOOKS; failing 0.87, healthy 0
LATE_LOOKS = 10
FEW_CLASSES, DEVELOPED = 0.35, 0.5  # share of the classes seen; only where samples have this diversity
LOW_CLASS_DIVERSITY = 0.15  # within a class; failing 0.03 and less, healthy 0.2 at first and 0.85 later

# Labels ignored.  The signal is 0 where labels change nothing and 1 where they change what they do in the data.  Of 128 real
# MNIST and Fashion-MNIST images it is 0.76 to 1.21, with labels shuffled -0.04 to 0.06, with half shuffled 0.17 to 0.35 (30
# draws each); a cgan whose discriminator sees no label: 0.01 to 0.03.
LITTLE_EFFECT = 0.12
LABEL_LOOKS = 6  # that agree, of samples that have developed

# Oscillation.
RESTLESS = 0.45  # mean drift of RESTLESS_LOOKS, from LATE_LOOKS on; failing 0.5 to 1.5, healthy 0.1 to 0.3, and an MLP's
RESTLESS_LOOKS = 6  # 0.38 at that time where looks are 10 kimg apart
SWING, SWING_TICKS, CROSSINGS = 0.35, 20, 4  # of D(G(z)) between its 10 % and 90 % quantiles; healthy below 0.2

# Divergence.
BLOCKS, GROWTH_TICKS = 4, 40  # the second half of so many ticks at least, in blocks that must rise
GROWTH = 2.5  # from the first block to the last, of a loss and of a gradient norm
LARGE_LOSS, LARGE_GRADIENT = 20.0, 200.0  # failing 68 and 3,400; healthy WGAN-GP 12 and falling

# Memorization.
COPIED = 0.5  # share of samples nearer to a training image than half the distance from real to real; healthy 0
NEAR, MIXED = 0.95, 0.4  # distance to training data, from real to real = 1; two-sample accuracy. Healthy 1.4, 0.8
MEMORY_LOOKS = 4

# Dead units.
DEAD = 0.75  # share of a layer's units; healthy 0.1, and 0.35 in the cGAN's MLPs from the start


class Judge(NamedTuple):
    """The figures of one player that discriminates."""

    prefix: str  # of the evidence, where there are several
    real: str  # tags: D(x),
    fake: str  # D(G(z)) on its own turns, and
    opponent: str  # the gradient norm of its opponent


def judges(history: History, setting: Setting) -> Iterator[Judge]:
    """Yield the figures of every discriminator; the opponent of several is the generator of the same name, if there is one."""
    for player in setting.discriminators:
        own = f"gradient_norm/{player.replace('discriminator', 'generator')}"
        opponent = own if own in history.tags() else GENERATOR_GRADIENT
        if len(setting.discriminators) == 1:
            yield Judge("", REAL, f"D(G(z))/{player}_turn", opponent)
        else:
            yield Judge(f"{player}: ", f"{REAL}/{player}", f"D(G(z))/{player}_turn", opponent)


def first(check: Callable[[History, Setting, Judge], Finding | None], history: History, setting: Setting) -> Finding | None:
    """Return what is found with the first discriminator with which anything is."""
    found = (check(history, setting, judge) for judge in judges(history, setting))
    return next((finding for finding in found if finding is not None), None)


def certainty(setting: Setting, real: NDArray, fake: NDArray) -> NDArray:
    """Return how right the discriminator is: 1 for all verdicts right, 1/2 for chance, as far as the loss tells."""
    if setting.reading == LOGIT_GAP:
        return 1 / (1 + np.exp(-np.clip(real - fake, -50, 50)))
    if setting.reading == MARGIN:
        return np.clip(0.5 + (real - fake) / 4, 0, 1)  # beyond the hinges, at -1 and 1, there is nothing to gain
    return (np.clip(real, 0, 1) + 1 - np.clip(fake, 0, 1)) / 2


def discriminator_too_strong(history: History, setting: Setting) -> Finding | None:
    """D(x) -> 1 and D(G(z)) -> 0 while the generator's gradient vanishes (Goodfellow 2014, section 3; Arjovsky 2017a)."""
    return first(_too_strong, history, setting)


def _too_strong(history: History, setting: Setting, judge: Judge) -> Finding | None:
    images, real, fake, gradient = history.series(judge.real, judge.fake, judge.opponent)
    if setting.reading is None or len(images) < WINDOW:
        return None
    lasted = trailing(medians(certainty(setting, real, fake)) >= SURE)
    if lasted < SURE_TICKS:
        return None
    norms = medians(gradient)
    peak = int(np.argmax(norms))
    drift_images, drift = history.series(SIGNAL + "drift")
    recent = drift[drift_images >= images[-lasted]][-3:]
    evidence = f"{judge.prefix}D(x) is {real[-1]:.4g} and D(G(z)) {fake[-1]:.3g}"
    if norms[-1] <= VANISHED * norms[peak]:
        evidence += (f", and the generator's gradient norm fell from {norms[peak]:.3g} (at {images[peak] / 1000:g} kimg) to "
                     f"{norms[-1]:.3g}: it has vanished.")
    elif len(recent) == 3 and recent.max() < STILL:
        evidence += f", and the samples stand still: from look to look they move by {recent.max():.1g} of the data's spread."
    elif lasted >= max(SURE_LONG_TICKS, SURE_LONG_SHARE * len(images)):
        evidence += ", for most of the run: the generator does not catch up."
    else:
        return None
    return Finding("discriminator too strong", int(images[-lasted - WINDOW // 2]), evidence, advice.weaken(setting))


def discriminator_too_weak(history: History, setting: Setting) -> Finding | None:
    """D does no better than chance on samples that are nothing like the data."""
    return first(_too_weak, history, setting)


def _too_weak(history: History, setting: Setting, judge: Judge) -> Finding | None:
    images, real, fake = history.series(judge.real, judge.fake)
    if setting.reading is None or len(images) < WEAK_TICKS:
        return None
    right = certainty(setting, real, fake)
    means = np.convolve(right, np.full(WEAK_TICKS, 1 / WEAK_TICKS), "valid")
    lasted = trailing(means < CHANCE)
    _, apart = history.series(SIGNAL + "two_sample")
    _, missed = history.series(SIGNAL + "missed")
    if not lasted or not len(apart) or apart[-1] < TOLD_APART or (len(missed) and missed[-1] < MISSED):
        return None
    evidence = (f"{judge.prefix}Its verdicts are right in {means[-1]:.1%} (D(x) {real[-1]:.3g}, D(G(z)) {fake[-1]:.3g}), no "
                f"better than chance, while nearest neighbors tell samples from data in {apart[-1]:.0%}.")
    return Finding("discriminator too weak", int(images[-lasted - WEAK_TICKS + 1]), evidence, advice.strengthen(setting))


def mode_collapse(history: History, setting: Setting) -> Finding | None:
    """Samples of different latents are alike, or whole modes or classes of the data are missing."""
    images, diversity = history.series(SIGNAL + "diversity")
    _, moved, drift = history.series(SIGNAL + "diversity", SIGNAL + "drift")
    if len(images) < LOOKS:
        return None
    best = np.maximum.accumulate(diversity)
    fallen = trailing((diversity < LOW_DIVERSITY) & (diversity < FALLEN * best))
    empty = trailing(diversity < NOTHING_LEFT)
    hops = trailing(moved < HOPPING_DIVERSITY)
    about = f"Samples of different latents differ by {diversity[-1]:.2g} of the data's mean distance"
    if empty >= LOOKS:
        return _collapse(images[-empty], f"{about}: they are all the same.", setting)
    if fallen >= 3:
        return _collapse(images[-fallen], f"{about}; it was {best[-1]:.2g}.", setting)
    restless = drift[-HOPPING_LOOKS:].mean() if hops >= HOPPING_LOOKS else 0.0
    if restless > HOPPING_DRIFT:
        return _collapse(images[-hops], f"{about}, and from look to look all of them change together, by {restless:.2g}.",
                         setting)
    return _missing(history, setting)


def _missing(history: History, setting: Setting) -> Finding | None:
    """Modes of points without a sample, or classes of labeled images that no sample looks like."""
    images, missed = history.series(SIGNAL + "missed")
    lost = trailing(missed > POINTS_MISSED)
    if len(images) >= LATE_LOOKS and lost >= 3:
        return _collapse(images[-lost], f"{missed[-1]:.0%} of the real points have no generated point near them.", setting)
    images, classes, diversity = history.series(SIGNAL + "classes", SIGNAL + "diversity")
    few = trailing((classes < FEW_CLASSES) & (diversity > DEVELOPED))
    if few >= LOOKS:
        return _collapse(images[-few], f"By their nearest training images, the samples are as varied as {classes[-1]:.0%} of "
                         "the classes.", setting)
    return None


def _collapse(images: float, evidence: str, setting: Setting) -> Finding:
    return Finding("mode collapse", int(images), evidence, advice.spread(setting))


def collapse_within_classes(history: History, setting: Setting) -> Finding | None:
    """A conditional model gives one example for each label, whatever the latent."""
    images, within = history.series(SIGNAL + "class_diversity")
    lasted = trailing(within < LOW_CLASS_DIVERSITY)
    if lasted < LOOKS:
        return None
    evidence = f"Samples of one class differ by {within[-1]:.2g} of what real examples of a class do."
    return Finding("collapse within classes", int(images[-lasted]), evidence, advice.spread(setting))


def labels_ignored(history: History, setting: Setting) -> Finding | None:
    """A conditional model draws the same whatever the label: samples of a class differ as much as those of any."""
    images, effect, diversity = history.series(SIGNAL + "label_effect", SIGNAL + "diversity")
    lasted = trailing((effect < LITTLE_EFFECT) & (diversity > DEVELOPED))
    if lasted < LABEL_LOOKS:
        return None
    evidence = (f"A label changes samples by {max(0.0, effect[-1]):.0%} of what it changes in the data: those of one class "
                "differ as much as those of any.")
    return Finding("labels ignored", int(images[-lasted]), evidence, advice.use_labels(setting))


def oscillation(history: History, setting: Setting) -> Finding | None:
    """The players chase each other: the same latents give other samples at every look, or D(G(z)) swings."""
    images, drift = history.series(SIGNAL + "drift")
    if len(drift) >= LATE_LOOKS:
        means = np.convolve(drift, np.full(RESTLESS_LOOKS, 1 / RESTLESS_LOOKS), "valid")
        lasted = trailing(means > RESTLESS)
        if lasted:
            evidence = (f"Samples of the same latents move by {means[-1]:.2g} of the data's spread from look to look: they do "
                        "not settle.")
            return Finding("oscillation", int(images[-lasted - RESTLESS_LOOKS + 1]), evidence, advice.calm(setting))
    return first(_swinging, history, setting)


def _swinging(history: History, setting: Setting, judge: Judge) -> Finding | None:
    images, fake = history.series(judge.fake)
    recent = fake[-SWING_TICKS:]
    if setting.reading is None or setting.reading in (MARGIN, LOGIT_GAP) or len(recent) < SWING_TICKS:
        return None
    low, high = np.quantile(recent, (0.1, 0.9))
    crossings = np.count_nonzero(np.diff(recent > np.median(recent)))
    if not high - low > SWING or crossings < CROSSINGS:
        return None
    evidence = (f"{judge.prefix}D(G(z)) swings between {low:.2f} and {high:.2f}, {crossings} times in the last "
                f"{SWING_TICKS} ticks.")
    return Finding("oscillation", int(images[-SWING_TICKS]), evidence, advice.calm(setting))


def divergence(history: History, setting: Setting) -> Finding | None:
    """A loss and a gradient norm grow without bound, or a figure is not finite.

    In a game a loss may run away to either side; one that is only minimized may fall as far as it can.
    """
    tags = sorted(tag for tag in history.tags() if tag.startswith(("loss/", "gradient_norm/")))
    for tag in tags:
        images, values = history.series(tag)
        bad = trailing(np.isnan(values))
        if bad:
            return Finding("divergence", int(images[-bad]), f"{tag} is not finite.", advice.tame(setting))
    either = bool(setting.discriminators)
    grown = {kind: _growing(history, [tag for tag in tags if tag.startswith(kind)], large, either)
             for kind, large in (("loss/", LARGE_LOSS), ("gradient_norm/", LARGE_GRADIENT))}
    if any(found is None for found in grown.values()):
        return None
    text = " and ".join(f"{tag} grew from {first:.3g} to {last:.3g}" for tag, first, last, _ in grown.values())
    return Finding("divergence", min(since for *_, since in grown.values()), f"{text} and goes on.", advice.tame(setting))


def _growing(history: History, tags: list[str], large: float, either: bool) -> tuple[str, float, float, int] | None:
    """Return the first tag that rises throughout the second half of the run: (tag, first, last, images).

    Args:
        either: its size counts, whatever its sign.
    """
    for tag in tags:
        images, values = history.series(tag)
        half = len(values) // 2
        if len(values) < GROWTH_TICKS:
            continue
        sizes = blocks(np.abs(values[half:]) if either else values[half:], BLOCKS)
        if sizes[-1] >= large and rising(sizes, GROWTH):
            return tag, float(sizes[0]), float(sizes[-1]), int(images[half])
    return None


def memorization(history: History, setting: Setting) -> Finding | None:
    """Generated images lie nearer to training images than other real images do."""
    images, copies = history.series(SIGNAL + "copies")
    copied = trailing(copies >= COPIED)
    if copied >= MEMORY_LOOKS:
        evidence = f"{copies[-1]:.0%} of the samples are nearly equal to a training image."
        return Finding("memorization", int(images[-copied]), evidence, advice.more_data(setting))
    images, distance, mixed = history.series(SIGNAL + "training_distance", SIGNAL + "two_sample")
    if len(images) < MEMORY_LOOKS:
        return None
    near = trailing((_means(distance) < NEAR) & (_means(mixed) < MIXED))
    if not near:
        return None
    evidence = (f"Samples lie {distance[-1]:.2f} times as far from the nearest training image as other real images do, and "
                f"nearest neighbors take them for real images in {1 - mixed[-1]:.0%}, where chance is 50%.")
    return Finding("memorization", int(images[-near - MEMORY_LOOKS + 1]), evidence, advice.more_data(setting))


def _means(values: NDArray) -> NDArray:
    return np.convolve(values, np.full(MEMORY_LOOKS, 1 / MEMORY_LOOKS), "valid")


def dead_units(history: History, setting: Setting) -> Finding | None:
    """Most ReLU units of a layer are zero for every input and get no gradient any more."""
    for tag in sorted(tag for tag in history.tags() if tag.startswith(SIGNAL + "dead_units/")):
        images, share = history.series(tag)
        lasted = trailing(share >= DEAD)
        if lasted >= 3:
            player = tag.rpartition("/")[2]
            evidence = f"{share[-1]:.0%} of the ReLU units in a layer of the {player} are zero for all inputs."
            return Finding("dead units", int(images[-lasted]), evidence, advice.revive(setting, player))
    return None


Detector = Callable[[History, Setting], Finding | None]
DETECTORS: tuple[Detector, ...] = (divergence, discriminator_too_strong, discriminator_too_weak, mode_collapse,
                                   collapse_within_classes, labels_ignored, oscillation, memorization, dead_units)
OF_DISCRIMINATORS: tuple[Detector, ...] = (discriminator_too_strong, discriminator_too_weak)
OF_CLASSES: tuple[Detector, ...] = (collapse_within_classes, labels_ignored)


def _name(detector: Detector) -> str:
    return detector.__name__.replace("_", " ")


NAMES = tuple(map(_name, DETECTORS))


def looked_for(history: History, setting: Setting) -> list[str]:
    """Return the failures that such a run can have, by name: those of classes, where samples were looked at by class."""
    by_class = {SIGNAL + "class_diversity", SIGNAL + "label_effect"} & history.tags()
    return [_name(detector) for detector in DETECTORS if (setting.discriminators or detector not in OF_DISCRIMINATORS)
            and (by_class or detector not in OF_CLASSES)]


def too_short(ticks: int, looks: int, setting: Setting) -> str:
    """Return in words what a run of so many ticks and looks (0: a model without samples) lacks for a verdict, or ""."""
    lacks = [f"{looks} of the {LOOKS} looks at samples"] if 0 < looks < LOOKS else []
    if setting.discriminators and ticks < WEAK_TICKS:
        lacks.append(f"{ticks} of the {WEAK_TICKS} ticks of figures")
    return " and ".join(lacks)


def diagnose(history: History, setting: Setting) -> list[Finding]:
    """Return every failure that lasts at the end of the history, the gravest first."""
    found = (detector(history, setting) for detector in DETECTORS)
    return [finding for finding in found if finding is not None]


def not_finite(images: int, message: str, setting: Setting) -> Finding:
    """Return the finding of a run that a number ended."""
    return Finding("divergence", images, message.split(" No step")[0].strip(), advice.tame(setting))


