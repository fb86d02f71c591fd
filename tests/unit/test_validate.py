"""What `gan validate` says of a run."""

from gancli.config.compose import compose
from gancli.plan.validate import report


def told(*overrides: str) -> str:
    """Return the report on a configuration."""
    given = [*overrides, "device=cpu", "evaluation.kimg=null"]
    return report(compose("train", given), given)


def test_lengths_are_compared_by_the_generators_turns_where_players_have_unequally_many():
    """300 kimg are 2,344 steps of dcgan's generator and, five critic turns of 64 images each, 938 with wgan_gp."""
    plain, critic = told("model=dcgan", "model.width=4"), told("model=dcgan", "model.width=4", "loss=wgan_gp")
    assert "300 kimg" in plain and "2,344 of the generator" in plain and "compare lengths" not in plain
    assert "300 kimg" in critic and "938 of the generator" in critic and "compare lengths by the generator's turns" in critic
