"""Measures of text: BLEU against nltk's, MS-Jaccard and likelihoods by hand; what is refused on which data."""

import math
import random
from types import SimpleNamespace

import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from gancli.data.spec import DataSpec
from gancli.errors import UserError
from gancli.metrics.measures.likelihood import text_lengths, token_nats
from gancli.metrics.measures.ngrams import mean_bleu, ms_jaccard, self_bleu
from gancli.metrics.needs import Given, check

SMOOTH = SmoothingFunction(epsilon=0.1).method1


def sentences(n, seed, words="abcd"):
    draws = random.Random(seed)
    return [[draws.choice(words) for _ in range(draws.randint(1, 9))] for _ in range(n)]


def nltk_bleu(sentence, references, n):
    return sentence_bleu(references, sentence, [1 / n] * n, smoothing_function=SMOOTH)


def test_bleu_is_nltks():
    made, known = sentences(40, 1, "abcdz"), sentences(15, 2)
    made.append(["z"])  # which no reference has
    found = mean_bleu(made, known, 5)
    for n in range(1, 6):
        assert found[n - 1] == pytest.approx(sum(nltk_bleu(each, known, n) for each in made) / len(made), rel=1e-9)


def test_self_bleu_leaves_each_text_out():
    made = [*sentences(20, 3), list("abcdabcdabcdabcd")]  # the last one is alone with its length and its counts
    found = self_bleu(made, 4)
    for n in range(1, 5):
        expected = [nltk_bleu(each, made[:i] + made[i + 1:], n) for i, each in enumerate(made)]
        assert found[n - 1] == pytest.approx(sum(expected) / len(made), rel=1e-9)
    assert self_bleu([list("abcde")] * 3, 5) == pytest.approx([1.0] * 5)


def test_nothing_has_no_bleu():
    assert mean_bleu([[]], [list("ab")], 2) == [0.0, 0.0]


def test_ms_jaccard_by_hand():
    one, other = [list("ab"), list("ab")], [list("ab"), list("aab"), list("b"), list("b")]
    # a: 1 and 3/4, b: 1 and 1; ab: 1 and 1/2, aa: 0 and 1/4
    first, second = 1.75 / 2, 0.5 / 1.25
    assert ms_jaccard(one, other, 2) == pytest.approx([first, math.sqrt(first * second)])
    assert ms_jaccard(one, one, 2) == [1.0, 1.0] and ms_jaccard(one, [list("cd")], 2) == [0.0, 0.0]


def test_likelihood_of_a_token_counts_ends():
    tokens = torch.tensor([[3, 0, 0, 0], [1, 2, 1, 2], [1, 2, 3, 0]])
    assert text_lengths(tokens, 0).tolist() == [2, 4, 4] and text_lengths(tokens, None).tolist() == [4, 4, 4]
    logs = -torch.ones(3, 4) * torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2]])
    assert token_nats(lambda some: logs[:len(some)] if len(some) == 2 else logs[2:], tokens, 0, 2) == 14 / 10


TEXT = DataSpec((5,), 100, kind="tokens", vocabulary=("", "a", "b"))
REFUSED = {
    "images' on text": (["swd"], TEXT, {}, "needs images or points and this data set holds tokens: give .*bleu"),
    "features on text": (["fid"], TEXT, {}, "holds tokens"),
    "text's on images": (["bleu"], DataSpec((1, 8, 8), 100), {}, "needs tokens and this data set holds images"),
    "no oracle": (["oracle_nll"], TEXT, {}, "which dataset=oracle alone tells"),
    "no likelihood": (["nll"], TEXT, {"holdout": True}, "this one cannot tell"),
    "nothing held out": (["nll"], TEXT, {"likelihood": True}, "was not trained on"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_metrics_that_do_not_fit_the_data(case, tmp_path):
    metrics, spec, more, words = REFUSED[case]
    options = SimpleNamespace(metrics=metrics, n=64, features="classifier", features_weights=None, real=None)
    with pytest.raises(UserError, match=words):
        check(options, Given(spec, latents=True, **more), tmp_path)
    options.metrics = ["bleu", "ms_jaccard", "nll", "oracle_nll"]
    check(options, Given(TEXT, latents=True, oracle=True, likelihood=True, holdout=True), tmp_path)
