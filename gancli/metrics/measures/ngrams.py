"""How sequences of tokens share runs of n tokens (n-grams) with others: BLEU, self-BLEU and MS-Jaccard.

A sequence is a list of tokens, a text without its end.  All three are of the numbers n = 1 to some N.
"""

import math
from collections import Counter
from collections.abc import Sequence

Tokens = Sequence[int]
EPSILON = 0.1  # matches where there is none (Chen & Cherry 2014, smoothing 1), as Texygen's BLEU has it


def ngrams(sequence: Tokens, n: int) -> Counter:
    """Return how often each run of n tokens occurs."""
    return Counter(zip(*(sequence[start:] for start in range(n))))


class References:
    """Sequences that others are compared with; each can be left out, as self-BLEU does."""

    def __init__(self, sequences: Sequence[Tokens], most: int) -> None:
        """Count the n-grams of n = 1 to `most`."""
        self.lengths = Counter(map(len, sequences))
        self.own_lengths = list(map(len, sequences))
        self.highest: list[dict] = []  # of each n: an n-gram's two highest counts in one sequence, and whose is the first
        for n in range(1, most + 1):
            table: dict = {}
            for number, sequence in enumerate(sequences):
                for gram, count in ngrams(sequence, n).items():
                    first, second, whose = table.get(gram, (0, 0, -1))
                    table[gram] = (count, first, number) if count > first else (first, max(second, count), whose)
            self.highest.append(table)

    def bleu(self, sequence: Tokens, without: int | None = None) -> list[float]:
        """Return BLEU-1, ..., BLEU-N of a sequence (Papineni 2002, section 2), in [0, 1], all n-grams weighed alike.

        Precisions without a match have EPSILON matches, but without a token in common all are 0; those of a sequence that
        is too short for an n-gram count as of one.

        Args:
            without: the number of a reference that is left out.
        """
        logs, scores = 0.0, []
        penalty = self._penalty(len(sequence), without)
        for n, table in enumerate(self.highest, 1):
            matches = 0
            for gram, count in ngrams(sequence, n).items():
                first, second, whose = table.get(gram, (0, 0, -1))
                matches += min(count, second if whose == without else first)
            total = max(1, len(sequence) - n + 1)
            if n == 1 and not matches:
                return [0.0] * len(self.highest)
            logs += math.log((matches or EPSILON) / total)
            scores.append(penalty * math.exp(logs / n))
        return scores

    def _penalty(self, length: int, without: int | None) -> float:
        """Return the brevity penalty: by the reference whose length is nearest, the shorter of two."""
        own = None if without is None or self.lengths[self.own_lengths[without]] > 1 else self.own_lengths[without]
        nearest = min((abs(other - length), other) for other in self.lengths if other != own)[1]
        return 1.0 if length >= nearest else math.exp(1 - nearest / max(length, 1))


def mean_bleu(sequences: Sequence[Tokens], references: Sequence[Tokens], most: int) -> list[float]:
    """Return the mean BLEU-1, ..., BLEU-N of sequences, each against all references."""
    known = References(references, most)
    return _means([known.bleu(sequence) for sequence in sequences])


def self_bleu(sequences: Sequence[Tokens], most: int) -> list[float]:
    """Return the mean BLEU-1, ..., BLEU-N of each of two or more sequences against all others (Zhu 2018, Texygen)."""
    known = References(sequences, most)
    return _means([known.bleu(sequence, number) for number, sequence in enumerate(sequences)])


def ms_jaccard(one: Sequence[Tokens], other: Sequence[Tokens], most: int) -> list[float]:
    """Return MS-Jaccard-1, ..., -N (Montahaei 2019, section 3): 1 if both sets share all n-grams equally often.

    Of each n, the sum over n-grams of the lower frequency divided by that of the higher one, frequencies being counts a
    sequence; then the geometric mean over n.
    """
    logs, scores = 0.0, []
    for n in range(1, most + 1):
        mine, theirs = (_frequencies(sequences, n) for sequences in (one, other))
        grams = mine.keys() | theirs.keys()
        lower = sum(min(mine.get(gram, 0.0), theirs.get(gram, 0.0)) for gram in grams)
        higher = sum(max(mine.get(gram, 0.0), theirs.get(gram, 0.0)) for gram in grams)
        logs += math.log(lower / higher) if lower else -math.inf
        scores.append(math.exp(logs / n))
    return scores


def _frequencies(sequences: Sequence[Tokens], n: int) -> dict:
    counts: Counter = Counter()
    for sequence in sequences:
        counts.update(ngrams(sequence, n))
    return {gram: count / len(sequences) for gram, count in counts.items()}


def _means(scores: list[list[float]]) -> list[float]:
    return [sum(column) / len(scores) for column in zip(*scores, strict=True)]
