"""The estimate of a run's memory, made without any."""

import pytest
from planning import SMALL_NETWORKS, TINY, plan

from gancli.plan.course import check_course
from gancli.plan.memory import blueprint, estimate


def needs(tmp_path, name, *overrides):
    made = plan(tmp_path / "run", *TINY, f"model={name}", *SMALL_NETWORKS[name], *overrides)
    model = blueprint(made)
    return estimate(made, model, check_course(model, made))


@pytest.mark.recipe
@pytest.mark.parametrize("name", ["gan", "dcgan", "cgan", "bigan"])
def test_a_shared_generated_batch_keeps_its_graph_through_the_discriminators_turn(tmp_path, name):
    shared = needs(tmp_path, name)
    alone = needs(tmp_path, name, "trainer.reuse_generated=false")
    assert shared.activations["generator"] == alone.activations["generator"]
    assert shared.activations["discriminator"] > alone.activations["discriminator"]
    assert shared.activations["discriminator"] < sum(alone.activations.values())
    assert (shared.weights, shared.data) == (alone.weights, alone.data)


def test_a_batch_twice_as_large_needs_twice_as_much_and_two_parts_half(tmp_path):
    one = needs(tmp_path, "dcgan", "loss=wgan_gp", "trainer.batch_size=16", "trainer.reuse_generated=false").activations
    two = needs(tmp_path, "dcgan", "loss=wgan_gp", "trainer.batch_size=32", "trainer.reuse_generated=false").activations
    parts = needs(tmp_path, "dcgan", "loss=wgan_gp", "trainer.batch_size=32", "trainer.accumulate=2").activations
    for player in one:
        assert two[player] == pytest.approx(2 * one[player], rel=0.1)
    assert parts == one
