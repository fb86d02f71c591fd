"""A new run begins with another one's weights (`init=`): what fits is taken, the rest is named, nothing else comes along."""

import pytest
import torch

from gancli.config.compose import compose
from gancli.engine.averages import Average
from gancli.engine.inheriting import inherit, inheritance
from gancli.engine.state import collect
from gancli.errors import UsageError, UserError
from gancli.game.build import build_model, build_objective
from gancli.plan.inheriting import tell
from gancli.plan.run import plan_run
from gancli.runs.checkpoint import CheckpointFolder

SMALL = ("model.width=2", "device=cpu", "dataset=digits")


def plan(*given: str):
    return plan_run(compose("train", list(given)), list(given))


def model_of(made, seed: int):
    torch.manual_seed(seed)
    return build_model(made.model, build_objective(made.loss, made.augment, made.spec), made.spec)


@pytest.fixture
def first(tmp_path):
    """A dcgan's checkpoint with averaged weights, and what is in it."""
    made = plan("model=dcgan", "augment=ada", *SMALL)
    model = model_of(made, 1)
    model.objective.augment.p.fill_(0.5)
    average = Average(model, 1.0)
    average.tensors()["generator.layers.1.weight"].data.add_(1)
    tensors = collect(model, average, {})
    header = {"config": made.config, "spec": made.spec.as_dict(), "progress": {"images": 2500}, "extra": {}}
    return CheckpointFolder(tmp_path / "one").save(2500, tensors, header), tensors


def test_what_fits_is_taken_and_the_rest_begins_anew(first):
    path, theirs = first
    made = plan("model=dcgan", "augment=ada", "model.latent_size=8", *SMALL)
    model = model_of(made, 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    average = Average(model, 1.0)
    inherit(model, average, path)
    found = inheritance(model, {name: tuple(tensor.shape) for name, tensor in theirs.items()})
    assert found.taken and found.new and 0 < found.share < 1
    assert found.new == ["generator.project.weight"] and found.left == found.new  # of another shape in both
    after = model.state_dict()
    assert all(torch.equal(after[name], theirs[f"model/{name}"]) for name in found.taken)
    assert all(torch.equal(after[name], before[name]) for name in after if name not in found.taken)
    assert after["objective.augment.p"] == 0 and theirs["model/objective.augment.p"] == 0.5
    averaged = average.tensors()["generator.layers.1.weight"]
    assert torch.equal(averaged, theirs["ema/generator.layers.1.weight"])
    assert not torch.equal(averaged, after["generator.layers.1.weight"])


def test_the_plan_tells_what_is_new_and_what_is_left(first):
    made = plan("model=dcgan", "model.latent_size=8", *SMALL)
    tell(made, first[0])
    assert "Begins with the weights of one at 2.5 kimg: " in made.notices[-1]
    assert made.notices[-1].endswith("new here: generator.project.weight; left there: generator.project.weight.")


def test_weights_of_which_nothing_fits_are_refused(first):
    made = plan("model=gan", "dataset=digits", "device=cpu")
    with pytest.raises(UserError, match="none of its weights fits model=gan, the run's model is dcgan"):
        tell(made, first[0])


def test_the_record_has_the_checkpoint_and_a_continued_run_needs_it_no_more(first):
    made = plan("model=dcgan", *SMALL, f"init={first[0]}")
    assert made.config["init"] == str(first[0]) and made.init == first[0]
    assert plan("model=dcgan", *SMALL).config["init"] is None
    with pytest.raises(UsageError, match="leave init= out"):
        plan("model=dcgan", *SMALL, f"init={first[0]}", "resume=one")
    with pytest.raises(UserError, match="There is no run called nowhere"):
        plan("model=dcgan", *SMALL, "init=nowhere")
