"""The evaluator: streamed figures equal the measures on whole sets, are reproducible, and are refused with a reason."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from composing import compose_model
from data_composing import load
from omegaconf import OmegaConf
from torch_fidelity.metric_isc import isc_features_to_metric

from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError
from gancli.features import classifier
from gancli.features.extractors import Features
from gancli.game.sampler import Sampler
from gancli.metrics import catalog, evaluator
from gancli.metrics.catalog import METRICS
from gancli.metrics.collectors import ClassCounts, MomentsOf, Patches, Rows, ScoreSums, Seen
from gancli.metrics.evaluator import Evaluator
from gancli.metrics.follow import BestFollower
from gancli.metrics.measures.inception import inception_score
from gancli.metrics.measures.matching import matched_classes, matched_error
from gancli.metrics.measures.modes import class_agreement
from gancli.metrics.needs import Given, check
from gancli.metrics.options import EvaluationOptions
from gancli.metrics.protocol import Measured, Protocol
from gancli.options import typed

N = 130  # two blocks and a bit
IMAGES = ("swd", "fid", "kid", "is", "prdc", "ppl", "ms_ssim", "classes", "nearest")
TOKENS = ("oracle_nll", "bleu", "ms_jaccard", "nll")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data folder with a classifier that was trained for one pass."""
    folder = tmp_path_factory.mktemp("data")
    before, classifier.EPOCHS = classifier.EPOCHS, 1
    yield folder
    classifier.EPOCHS = before


@pytest.fixture(scope="module")
def digits(home):
    return load("digits", home, limit=300, size=16)


def options(*metrics: str, **changes) -> SimpleNamespace:
    return SimpleNamespace(**{"metrics": list(metrics), "n": N, "features": "classifier", "features_weights": None,
                              "real": None, **changes})


def sampler(name: str = "dcgan", spec: DataSpec | None = None, data=None, **changes) -> Sampler:
    torch.manual_seed(3)
    model = compose_model(name, spec=spec or DataSpec((1, 16, 16), 300, tuple("0123456789")), **changes)
    return Sampler(model.eval().requires_grad_(False), 5, 64, data)


def real_again(data) -> SimpleNamespace:
    """Return the real examples as if they had been generated, in the evaluator's own order."""
    def draw(start: int, stop: int) -> torch.Tensor:
        return data.examples(draw.order[start:stop])

    draw.batch_size, draw.limit, draw.seed, draw.labels = 64, None, 0, lambda start, stop: None
    return draw


@pytest.fixture(scope="module")
def measured(digits, home):
    evaluator = Evaluator(options(*IMAGES), digits, home)
    return evaluator, {each.figure: each for each in evaluator(sampler())}


def test_every_metric_of_the_catalog_yields_its_figures(measured, home):
    assert len(METRICS) == 24
    others = {"parzen", "modes", "agreement", "class_error", "pixel_agreement", "translation", "target_agreement",
              "style_diversity", "upscaling", "inpainting", "lpips"}
    assert {*IMAGES, *TOKENS, *others} == set(METRICS)
    evaluator, found = measured
    assert set(found) == {figure.name for name in IMAGES for figure in METRICS[name].figures}
    assert all(math.isfinite(each.value) for each in found.values())
    assert found["fid"].name == "fid(classifier,130/300)" and found["is"].name == "is(classifier,130)"
    assert found["swd"].name == "swd(130/300)" and found["memorization"].name == "memorization(130/300)"
    assert evaluator.pictures["nearest"].ndim == 3
    protocol = found["fid"].protocol.as_dict()
    json.dumps([each.as_dict() for each in found.values()], allow_nan=False)
    assert protocol["extractor"]["extractor"] == "classifier" and len(protocol["extractor"]["weights_sha256"]) == 64
    assert protocol["data"]["split"] == "train" and protocol["seed"] == 5
    assert protocol["extractor"]["classifier"]["held_out"] == 30


def test_sequences_are_measured_and_the_oracles_own_are_the_best(home):
    small = {"vocabulary": 20, "length": 5, "count": 400, "store": "memory"}
    data, held = (load("oracle", home, **small, data_seed=seed) for seed in (0, 1))
    evaluator = Evaluator(options(*TOKENS, n=200), data, home, holdout=held)
    writer = sampler("seqgan", data.spec)
    found = {each.figure: each for each in evaluator(writer)}
    assert set(found) == {figure.name for name in TOKENS for figure in METRICS[name].figures}
    assert found["bleu4"].name == "bleu4(200/400)" and found["oracle_nll"].name == "oracle_nll(200)"
    assert found["oracle_nll"].value == pytest.approx(data.oracle.nats(writer(0, 200)).mean().item(), abs=1e-9)
    logs = writer.model.log_likelihood(held.examples(torch.arange(400)))
    assert found["nll"].value == pytest.approx(-logs.mean().item(), rel=1e-5)
    draw = real_again(held)
    draw.order, draw.model = torch.arange(400), writer.model
    best = {each.figure: each.value for each in evaluator(draw)}
    for name, higher in (("bleu4", True), ("ms_jaccard4", True), ("oracle_nll", False)):
        assert (best[name] > found[name].value) == higher, name


def test_figures_do_not_depend_on_batches_and_come_from_the_cache(measured, digits, home, monkeypatch):
    _, found = measured
    monkeypatch.setattr(evaluator, "REAL_BATCH", 1 << 20)  # never used: the cache holds what features were needed for
    monkeypatch.setattr(classifier, "train", None)
    other = sampler()
    other.batch_size = 1000
    told = []
    again = Evaluator(options("fid", "kid", "is", "swd"), digits, home, told=lambda *state: told.append(state))
    values = {each.figure: each.value for each in again(other)}
    for figure, value in values.items():
        assert value == pytest.approx(found[figure].value, rel=1e-3, abs=1e-6), figure
    assert not again.notes and told[-1][0] == "computing swd"


def test_real_examples_measured_against_themselves_are_perfect(digits, home):
    evaluator = Evaluator(options("fid", "prdc", "swd", "classes", n=300), digits, home)
    draw = real_again(digits)
    draw.order = evaluator.order
    found = {each.figure: each.value for each in evaluator(draw)}
    assert found["fid"] == pytest.approx(0, abs=1e-6)
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    worse = {each.figure: each.value for each in evaluator(sampler())}
    assert worse["fid"] > 1e-3 and worse["swd"] > 5 * found["swd"] and worse["coverage"] < 0.5


def test_agreement_is_how_often_the_class_is_the_one_that_was_told(digits, home):
    def draw(start: int, stop: int) -> torch.Tensor:
        return digits.examples(torch.arange(start, stop))

    def told(start: int, stop: int) -> torch.Tensor:
        labels = digits.labels(torch.arange(start, stop)).cpu()
        return labels if draw.right else (labels + 1) % 10

    draw.batch_size, draw.limit, draw.seed, draw.labels = 64, None, 0, told
    evaluator = Evaluator(options("agreement", n=300), digits, home)
    shares = {}
    for draw.right in (True, False):
        (found,) = evaluator(draw)
        shares[draw.right] = found.value
        assert found.name == "agreement(classifier,300)" and set(found.protocol.details["classes"]) == set("0123456789")
    evaluator.prepare()
    predicted = evaluator.extractor(((draw(0, 300) + 1) * 127.5).round().to(torch.uint8)).logits.argmax(1).cpu()
    for draw.right in (True, False):
        assert shares[draw.right] == pytest.approx((predicted == told(0, 300)).double().mean().item())
    assert shares[True] > 2 * shares[False] and shares[True] + shares[False] <= 1  # seldom right after one pass of training
    check(options("agreement"), Given(digits.spec, latents=True, conditional=True), home)


def test_a_models_categories_are_named_on_training_examples_and_judged_on_others(digits, home):
    other = load("digits", home, limit=500, size=16)
    sets = (digits, other)

    def classify(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(bands(x), 3).float()

    def bands(x: torch.Tensor) -> torch.Tensor:
        return (x.mean((1, 2, 3)) > -0.4).long() + (x.mean((1, 2, 3)) > -0.3).long()

    draw = real_again(digits)
    draw.model = SimpleNamespace(classify=classify, clusters=True)
    draw.order = torch.arange(300)
    (found,) = Evaluator(options("class_error"), digits, home, holdout=other)(draw)
    known, tested = (bands(data.examples(torch.arange(data.spec.count))) for data in sets)
    names = [data.labels(torch.arange(data.spec.count)) for data in sets]
    due = torch.stack([torch.bincount(names[0][known == band], minlength=10).argmax() for band in range(3)])
    assert found.value == pytest.approx((due[tested] != names[1]).double().mean().item())
    assert 0 < found.value < 1 and found.protocol.details["classes_of_categories"] == [str(name) for name in due.tolist()]
    check(options("class_error"), Given(digits.spec, latents=True, holdout=True, classifies=True), home)
    draw.model.clusters = False  # the same numbers as classes of the data: no training label has a say
    (found,) = Evaluator(options("class_error"), digits, home, holdout=other)(draw)
    assert found.value == pytest.approx((tested != names[1]).double().mean().item())
    assert set(found.protocol.details) == {"real_split"}


def test_matching_by_hand():
    names = matched_classes(torch.tensor([0, 0, 0, 2, 2, 3]), torch.tensor([1, 1, 0, 0, 0, 1]), 2)
    assert names.tolist() == [1, -1, 0, 1]
    assert matched_error(torch.tensor([0, 1, 2, 3, 4]), torch.tensor([1, 0, 0, 0, 1]), names) == pytest.approx(3 / 5)


def test_agreement_by_hand():
    found = class_agreement(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 2]), 4)
    assert found.share == 0.75 and found.classes[:3].tolist() == [1, 1, 0.5] and found.classes[3].isnan()


def test_points_and_their_modes(home):
    ring = load("ring", home, count=400)
    evaluator = Evaluator(options("swd", "modes", "parzen", n=400), ring, home, holdout=load("ring", home, count=200,
                                                                                             data_seed=9))
    draw = real_again(ring)
    draw.order = evaluator.order
    found = {each.figure: each.value for each in evaluator(draw)}
    assert found["swd"] == pytest.approx(0, abs=1e-6) and found["modes"] == 8 and found["good_share"] > 0.95
    far = {each.figure: each.value for each in evaluator(sampler("gan", DataSpec((2,), 400)))}
    assert far["swd"] > 0.05 and far["good_share"] < 0.5 and far["parzen"] < found["parzen"]


def test_translations_are_compared_with_the_domain_they_enter(two_domains, tmp_path):
    data = load("unpaired", tmp_path, path=str(two_domains), size=8)
    made = sampler("cyclegan", data.spec, data)
    assert made.domain == 1 and made.limit == 12 and made.labels(0, 3) is None
    found = Evaluator(options("swd"), data, tmp_path, domain=made.domain)(made)
    assert found[0].name == "swd(12/12)" and found[0].protocol.data["domain"] == 1
    with pytest.raises(UserError, match="needs the data set"):
        sampler("cyclegan", data.spec)


def test_translations_of_held_out_pairs_are_compared_with_their_partners(two_domains, tmp_path):
    train, test = (load("paired", tmp_path, path=str(two_domains), size=8, holdout=0.4, split=split)
                   for split in ("train", "test"))
    draw = SimpleNamespace(batch_size=2, limit=None, seed=0, labels=lambda start, stop: None,
                           model=SimpleNamespace(translate=lambda x, domain: {"b": x * 0.5}[domain]))
    a, b = test.first(test.spec.count).domains
    (found, *others) = Evaluator(options("translation", n=1), train, tmp_path, domain=1, holdout=test)(draw)
    assert found.name == f"l1(0/{len(b)})" and found.value == pytest.approx((a * 0.5 - b).abs().mean().item() / 2, rel=1e-5)
    values = {each.figure: each.value for each in others}
    squares = ((a * 0.5 - b) / 2).square().flatten(1).mean(1)
    assert values["psnr"] == pytest.approx((-10 * squares.log10()).mean().item(), rel=1e-5)
    assert values["gradient_energy"] < values["gradient_energy_real"] and -1 < values["ssim"] < 1
    assert len(b) < train.spec.count + test.spec.count
    with pytest.raises(UserError, match="no pairs"):
        check(options("translation"), Given(load("unpaired", tmp_path, path=str(two_domains), size=8).spec), tmp_path)


def test_a_conditional_model_shows_every_class_in_turn():
    draw = sampler("cgan")
    assert draw.labels(8, 12).tolist() == [8, 9, 0, 1]
    assert torch.allclose(draw(8, 12), draw(0, 20)[8:12], atol=1e-5)


def test_examples_that_are_not_finite_give_no_figure(digits, home):
    draw = real_again(digits)
    draw.order = torch.arange(300)
    broken = SimpleNamespace(**vars(draw))
    evaluator = Evaluator(options("swd"), digits, home)

    class Broken(SimpleNamespace):
        def __call__(self, start, stop):
            return draw(start, stop).log()

    (figure,) = evaluator(Broken(**vars(broken)))
    assert math.isnan(figure.value) and figure.as_dict()["value"] is None


NEW = '''
from gancli.metrics.measure import Figure, Measure, Score


def score(real, fake, context):
    made = fake["images"].images()
    return Score({"reach": made.norm(dim=1).max().item() / real}, len(made), context.holdout and 1, {"unit": real})


MEASURE = Measure(name="reach", figures=(Figure("reach", True, "farthest sample over farthest point"),), decides="reach",
                  text="How far samples go.", paper="none", score=score, real=("images",), fake=("images",), least=7,
                  digest=lambda real, context: real["images"].images().norm(dim=1).max().item(),
                  refuses=lambda features: "wants no inception." if features == "inception" else "", likes_holdout=True)
'''


def test_a_new_measure_costs_one_file(home, tmp_path, monkeypatch):
    """It is listed, refused, collected for and computed, and decides, by what its file says."""
    (tmp_path / "reach.py").write_text(NEW)
    monkeypatch.setattr(catalog, "__path__", [*catalog.__path__, str(tmp_path)])
    found = {measure.name: measure for measure in catalog.find_measures()}
    assert list(found) == sorted([*METRICS, "reach"])
    monkeypatch.setitem(METRICS, "reach", found["reach"])
    assert evaluation(metrics=["reach"]).on
    spec = DataSpec((2,), 400)
    for changes, message in (({"n": 6}, "reach needs at least 7 examples of each side, and n is 6"),
                             ({"real": 6}, "of each side, and real is 6"),
                             ({"features": "inception"}, "reach wants no inception")):
        with pytest.raises(UserError, match=message):
            check(options("reach", **changes), Given(spec, latents=False), tmp_path)
    check(options("reach"), Given(spec, latents=False), tmp_path)
    ring = load("ring", home, count=400)
    evaluator = Evaluator(options("swd", "reach", n=400), ring, home)
    draw = real_again(ring)
    draw.order = evaluator.order
    (_, reach) = evaluator(draw)
    assert (reach.name, reach.value, reach.decides) == ("reach(400)", 1, True)
    assert reach.protocol.details["unit"] == pytest.approx(ring.examples(torch.arange(400), 0).norm(dim=1).max().item())


PLAIN = DataSpec((3, 16, 16), 50)


@pytest.mark.parametrize(("metric", "changes", "spec", "message"), [
    ("fid", {}, DataSpec((2,), 50), "metrics=fid needs images and this data set holds points"),
    ("modes", {}, PLAIN, "metrics=modes needs a toy density"),
    ("fid", {}, PLAIN, "features=classifier is trained on labels and this data set has none: give features=mobilenet_v2"),
    ("classes", {}, PLAIN, "metrics=classes needs labels"),
    ("agreement", {}, DataSpec((3, 16, 16), 50, ("a",)), "metrics=agreement asks .* told, and this one is told none"),
    ("class_error", {}, DataSpec((3, 16, 16), 50, ("a",)), "metrics=class_error looks at .* and this one has none"),
    ("classes", {"features": "inception"}, DataSpec((3, 16, 16), 50, ("a",)), "which features=inception does not know"),
    ("ppl", {"features": "mobilenet_v2"}, PLAIN, "metrics=ppl moves latents and this model has none"),
    ("parzen", {}, PLAIN, "metrics=parzen needs real examples that the model was not trained on"),
    ("fid", {"features": "efficientnet_lite0"}, PLAIN, "efficientnet-lite0-57934424.pth, which is not in"),
    ("fid", {"features": "none.pt"}, PLAIN, "There is no file none.pt"),
    ("fid", {"features_weights": "x.pth"}, DataSpec((3, 16, 16), 50, ("a",)),
     "features=classifier takes no features_weights="),
    ("prdc", {"n": 5}, DataSpec((3, 16, 16), 50, ("a",)), "metrics=prdc needs at least 6 examples of each side, and n is 5"),
    ("prdc", {"real": 3}, DataSpec((3, 16, 16), 50, ("a",)), "and real is 3"),
])
def test_what_cannot_be_measured_is_refused_before_anything_is_computed(metric, changes, spec, message, tmp_path):
    with pytest.raises(UserError, match=message):
        check(options(metric, **changes), Given(spec, latents=False), tmp_path)
    assert not list(tmp_path.iterdir())


# Collectors

def batches(n: int = 150):
    random = torch.Generator().manual_seed(1)
    x = torch.randint(0, 256, (n, 1, 16, 16), generator=random) * (1 / 127.5) - 1
    features = Features(torch.randn(n, 3, generator=random), 3 * torch.randn(n, 4, generator=random))
    whole = Seen(0, x, features)
    parts = [Seen(start, x[start:start + 64], Features(features.vectors[start:start + 64],
                                                       features.logits[start:start + 64])) for start in range(0, n, 64)]
    return whole, parts


COLLECTORS = [MomentsOf, ClassCounts, lambda: Rows("vectors", 100), lambda: Rows("images", 70),
              lambda: Rows("predictions", 100), lambda: ScoreSums(150, 4), lambda: Patches(100, 300, 7)]


@pytest.mark.parametrize("make", COLLECTORS)
def test_collectors_of_two_ranks_merge_into_one(make):
    assert len(COLLECTORS) == 7
    _, parts = batches()
    alone, ranks = make(), [make(), make()]
    for index, part in enumerate(parts):
        alone.add(part)
        ranks[1 - index % 2].add(part)
    merged = make()
    merged.merge([rank.state() for rank in ranks])
    value = {"moments": lambda c: c.moments.scatter, "classes": lambda c: c.counts, "scores": lambda c: c.marginals,
             "patches": lambda c: torch.cat([level.flatten() for level in c.levels()])}.get(alone.kind, Rows.rows)
    assert torch.allclose(value(merged).double(), value(alone).double(), atol=1e-9) and len(value(alone))


def test_rows_are_the_first_ones_and_images_come_back_exactly():
    whole, parts = batches()
    rows = Rows("images", 70)
    for part in reversed(parts):
        rows.add(part)
    assert torch.equal(rows.images(), whole.examples[:70])


def test_streamed_inception_score_is_that_of_the_parts():
    whole, parts = batches()
    sums = ScoreSums(150, 4)
    for part in parts:
        sums.add(part)
    bounds = [-(-150 * split // 4) for split in range(5)]
    scores = torch.tensor([isc_features_to_metric(whole.features.logits[a:b], splits=1)["inception_score_mean"]
                           for a, b in zip(bounds, bounds[1:], strict=False)])
    found = inception_score(sums.counts, sums.entropies, sums.marginals)
    assert found == pytest.approx((scores.mean().item(), scores.std(correction=0).item()), rel=1e-5)


# Options and the best figure

def evaluation(**changes) -> EvaluationOptions:
    values = OmegaConf.merge(OmegaConf.load(evaluator.__file__.rpartition("gancli/")[0] + "conf/evaluation/default.yaml"),
                             changes)
    assert set(values) == set(EvaluationOptions.__dataclass_fields__)
    return typed(EvaluationOptions, values, "evaluation")


def test_options():
    assert evaluation().on and not evaluation(kimg=None).on
    for changes, message in (({"metrics": ["fdi"]}, "did you mean fid"), ({"metrics": ["swd", "swd"]}, "twice"),
                             ({"metrics": ["ms_ssim"]}, "begin with one of agreement, bleu"),
                             ({"n": 1}, "at least 2"),
                             ({"kimg": None, "patience": 3}, "there are none"), ({"patience": 0}, "at least 1")):
        with pytest.raises(UsageError, match=message):
            evaluation(**changes)


def figures(value: float, metric: str = "fid", n: int = 10) -> list[Measured]:
    protocol = Protocol(metric, n, 20, 0, {}, {"extractor": "classifier"}, {})
    return [Measured(METRICS[metric].decides, value, protocol)]


def test_the_best_is_followed_and_patience_runs_out():
    follower = BestFollower(patience=2)
    assert follower.best is None and follower.summary() == "" and not follower.exhausted
    assert [follower.update(1000 * (i + 1), figures(value)) for i, value in enumerate((5, 3, 3, float("nan")))] == [
        True, True, False, False]
    assert follower.best == {"metric": "fid(classifier,10/20)", "value": 3, "images": 2000}
    assert follower.exhausted and follower.why == "no better fid(classifier,10/20) in 2 evaluations"
    assert follower.summary() == "best fid(classifier,10/20) 3 at 2 kimg; the last is not finite"
    continued = BestFollower(2, json.loads(json.dumps(follower.state)))
    assert continued.exhausted and continued.update(5000, figures(2.5)) and not continued.exhausted
    assert continued.summary() == "best fid(classifier,10/20) 2.5 at 5 kimg, the last one"
    continued.update(6000, figures(6.7))
    assert continued.summary().endswith("2.5 at 5 kimg; the last is 4.2 above it")
    assert continued.update(7000, figures(9, n=11)) and continued.best["images"] == 7000  # another protocol


def test_higher_is_better_where_the_catalog_says_so():
    follower = BestFollower()
    assert [follower.update(i, figures(value, "is")) for i, value in enumerate((2, 3, 1))] == [True, True, False]
    assert follower.summary().endswith("the last is 2 below it")
    assert not BestFollower().update(0, [])
