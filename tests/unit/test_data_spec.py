"""What a spec says of data of every kind, also one written before there were kinds; batches and their parts."""

import pytest
import torch

from gancli.data.spec import Batch, DataSpec

IMAGES = DataSpec((1, 8, 8), 100, ("a", "b"))
TOKENS = DataSpec((20,), 100, kind="tokens", vocabulary=("_", "x", "y"))
FACES = DataSpec((3, 8, 8), 100, ("no", "yes"), attributes=("Male", "Smiling", "Young"), labeled=10)


def test_the_kind_is_what_the_shape_says_unless_it_is_said():
    assert [spec.kind for spec in (IMAGES, DataSpec((2,), 9), TOKENS)] == ["images", "points", "tokens"]
    assert [spec.is_image for spec in (IMAGES, DataSpec((2,), 9), TOKENS)] == [True, False, False]
    assert DataSpec((1, 8, 8), 100, ("a", "b"), kind="images") == IMAGES


@pytest.mark.parametrize(("shape", "kind"), [((20,), "words"), ((20,), "images"), ((1, 8, 8), "tokens")])
def test_a_kind_that_cannot_be(shape, kind):
    with pytest.raises(ValueError, match=f"no {kind} of shape"):
        DataSpec(shape, 9, kind=kind)


@pytest.mark.parametrize("spec", [IMAGES, TOKENS, FACES])
def test_a_spec_is_read_back(spec):
    assert DataSpec.from_dict(spec.as_dict()) == spec


def test_a_spec_of_before_is_read():
    before = {"shape": [2], "count": 7, "classes": [], "domains": ["real"], "paired": False}
    assert DataSpec.from_dict(before) == DataSpec((2,), 7)
    with pytest.raises(KeyError):
        DataSpec.from_dict({"shape": [2]})


def test_specs_in_words():
    assert IMAGES.describe() == "100 examples of 8x8x1, 2 classes"
    assert TOKENS.describe() == "100 examples of 20 tokens, vocabulary 3"
    assert FACES.describe() == "100 examples of 8x8x3, 2 classes, 10 labeled, 3 attributes"
    assert DataSpec((2,), 7).describe() == "7 examples of 2-d points"


def test_a_batch_splits_with_all_that_it_has():
    labeled = Batch((torch.arange(100, 106),), torch.arange(106, 112))
    whole = Batch((torch.arange(6), torch.arange(10, 16)), None, torch.arange(12.0).reshape(6, 2), labeled, prepared="made")
    parts = list(whole.split(3))
    assert len(parts) == 3 and [part.prepared for part in parts] == [None] * 3
    for at, part in enumerate(parts):
        rows = slice(2 * at, 2 * at + 2)
        assert torch.equal(part.real, whole.real[rows]) and torch.equal(part.domains[1], whole.domains[1][rows])
        assert part.labels is None and torch.equal(part.attributes, whole.attributes[rows])
        assert torch.equal(part.labeled.real, labeled.real[rows]) and torch.equal(part.labeled.labels, labeled.labels[rows])
    plain = next(Batch((torch.arange(6),), torch.arange(6)).split(2))
    assert plain.labels.tolist() == [0, 1, 2] and plain.attributes is None and plain.labeled is None


def test_a_blank_batch_has_what_batches_of_the_data_have():
    images, tokens, faces = (Batch.blank(spec, 4) for spec in (IMAGES, TOKENS, FACES))
    assert images.real.shape == (4, 1, 8, 8) and images.labels.shape == (4,) and images.labeled is None
    assert tokens.real.shape == (4, 20) and tokens.real.dtype == torch.int64 and tokens.labels is None
    assert faces.attributes.shape == (4, 3) and faces.labels is None and faces.labeled.labels.shape == (4,)
