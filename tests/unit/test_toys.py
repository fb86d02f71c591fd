"""What thirty systems ask of the contract, each by a toy: what it has and what it leaves out."""

import json

import pytest
import torch
from toys import ROUND, ROUNDS, ToyOptions, plan, register, registered, run

from gancli.data.spec import DataSpec
from gancli.engine.averages import Average
from gancli.engine.training import train
from gancli.errors import UserError
from gancli.runs.checkpoint import CheckpointFolder, read


@pytest.fixture(autouse=True)
def _toys(monkeypatch):
    register(monkeypatch)


@pytest.mark.recipe  # seconds
def test_a_model_without_a_discriminator_trains_and_takes_no_loss(tmp_path):
    tensors, lines = run("no_discriminator", tmp_path / "run")
    assert lines[-1]["loss/autoencoder"] < lines[0]["loss/autoencoder"]
    assert not [name for name in lines[-1] if name.startswith("D(")]
    assert {name for name in tensors if name.startswith("ema/")} >= {"ema/encoder.1.weight", "ema/decoder.0.weight"}
    with pytest.raises(UserError, match="brings its own losses and takes no loss=wgan"):
        plan("no_discriminator", tmp_path / "other", "loss=wgan", "trainer.kimg=1")
    with pytest.raises(UserError, match="does not take loss=none"):
        plan("pair", tmp_path / "other", "loss=none", "trainer.kimg=1")


@pytest.mark.recipe
def test_two_critics_are_both_clipped_take_five_turns_each_and_are_not_averaged(tmp_path):
    tensors, lines = run("two_critics", tmp_path / "run")
    for critic in ("discriminator", "other"):
        weights = [tensor for name, tensor in tensors.items() if name.startswith(f"model/{critic}.")]
        assert max(tensor.abs().max() for tensor in weights) <= 0.01 + 1e-6
        assert not [name for name in tensors if name.startswith(f"ema/{critic}.")]
    turns = read(CheckpointFolder(tmp_path / "run").latest()).progress["turns"]
    assert turns == {"first": 5 * ROUNDS, "second": 5 * ROUNDS, "generator": ROUNDS}
    assert {"D(x)/first", "D(x)/second", "D(G(z))/first_turn", "D(G(z))/before_generator_turn"} <= lines[-1].keys()


@pytest.mark.recipe
def test_an_encoder_of_two_players_has_an_optimizer_of_each(tmp_path):
    tensors, _ = run("shared_encoder", tmp_path / "run")
    for player in ("generator", "encoder"):
        assert tensors[f"optimizer/{player}/encoder.1.weight/step"] == ROUNDS


def test_pretraining_is_a_phase_that_the_log_names(tmp_path):
    _, lines = run("pretraining", tmp_path / "run")
    assert [("loss/discriminator" in line) for line in lines] == [False] * 5 + [True] * 15
    assert "Phase: pretraining" in (tmp_path / "run/log.txt").read_text()
    with pytest.raises(UserError, match="last phase, game, begins after 0.04: give a longer trainer.kimg"):
        plan("pretraining", tmp_path / "short", "trainer.kimg=0.032")


@pytest.mark.recipe
def test_growth_has_batches_rates_and_fresh_optimizers_of_its_own(tmp_path):
    tensors, lines = run("growth", tmp_path / "run")
    images = [line["images"] for line in lines]
    assert images[:4] == [8, 16, 24, 32] and images[-1] == 160  # figures a round of 8 or two of 4
    assert [line["lr/generator"] for line in (lines[0], lines[6], lines[-1])] == [1e-3, 5e-4, 2.5e-4]
    assert tensors["optimizer/generator/generator.0.weight/step"] == 10  # rounds of the last stage
    with pytest.raises(UserError, match="batches of 4 in its phase stage 1, which do not divide into 8 parts"):
        plan("growth", tmp_path / "parts", "trainer.kimg=1", "trainer.accumulate=8")


@pytest.mark.recipe
def test_a_penalty_of_its_own_takes_a_turn_every_fourth_round_at_corrected_rates(tmp_path):
    made = plan("lazy_penalty", tmp_path / "run", f"trainer.kimg={ROUNDS * ROUND / 1000}")
    train(made)
    tensors = read(CheckpointFolder(tmp_path / "run").latest()).tensors
    assert tensors["optimizer/discriminator/discriminator.1.weight/step"] == ROUNDS + ROUNDS // 4
    assert tensors["optimizer/generator/generator.0.weight/step"] == ROUNDS
    lines = [json.loads(line) for line in (tmp_path / "run/stats.jsonl").read_text().splitlines()]
    assert ["discriminator/penalty/r1" in line for line in lines[:5]] == [True, False, False, False, True]


def test_the_correction_is_karras(tmp_path):
    from gancli.engine.players import Player
    from gancli.game.build import build_model
    from gancli.game.model import Progress
    from gancli.losses.objective import Objective

    made = plan("lazy_penalty", tmp_path / "run", "trainer.kimg=1")
    model = build_model(made.model, Objective(made.loss), made.spec)
    player = Player("discriminator", model, made.optimizer, made.trainer, "fp32")
    player.enter(model.phase(Progress(total=1), None), True)
    group = player.optimizer.param_groups[0]
    assert player.correction == 0.8 and group["betas"] == pytest.approx((0.5**0.8, 0.999**0.8))


@pytest.mark.recipe
def test_labeled_examples_stand_beside_unlabeled_ones(tmp_path):
    _, lines = run("some_labels", tmp_path / "run")
    assert lines[-1]["loss/classifier"] < lines[0]["loss/classifier"]
    with pytest.raises(UserError, match="does not learn from labels of some examples"):
        plan("pair", tmp_path / "other", "dataset.labeled=16", "trainer.kimg=1")


def test_a_frozen_network_is_in_no_checkpoint_and_others_are_refused(tmp_path):
    tensors, _ = run("frozen_features", tmp_path / "run")
    assert [name for name in tensors if "features" in name] == ["model/features.digest"]
    model = registered()["frozen_features"].build
    made = plan("frozen_features", tmp_path / "run", "trainer.kimg=1")
    from gancli.losses.objective import Objective

    one = model(made.model, made.spec, Objective(made.loss))
    assert one.features.network[1].weight.requires_grad is False
    one.requires_grad_(True)
    assert one.features.network[1].weight.requires_grad is False and Average(one, 1.0).model.features is one.features
    assert one.to(torch.float64).features.network[1].weight.dtype == torch.float64
    state = {name.removeprefix("model/"): tensor for name, tensor in tensors.items() if name.startswith("model/")}
    state["features.digest"] = state["features.digest"] + 1
    with pytest.raises(RuntimeError, match="other frozen weights"):
        one.load_state_dict(state)


def test_an_augmentation_keeps_its_controllers_state(tmp_path):
    tensors, _ = run("augmented", tmp_path / "run")
    assert tensors["model/objective.augment.strength"] != 0.1
    assert not [name for name in tensors if name.startswith("ema/objective")]


def test_a_reference_batch_is_kept(tmp_path):
    tensors, _ = run("reference_batch", tmp_path / "run")
    assert tensors["model/reference"].shape == (ROUND, 2) and tensors["model/reference"].any()
    assert torch.equal(tensors["model/reference"], tensors["ema/reference"])


def test_tokens_are_learned_and_shown_as_text(tmp_path):
    _, lines = run("words", tmp_path / "run")
    assert lines[-1]["loss/generator"] < lines[0]["loss/generator"]
    shown = sorted((tmp_path / "run/samples").iterdir())
    assert len(shown) >= 2 and {path.suffix for path in shown} == {".txt"}
    texts = shown[-1].read_text().splitlines()
    assert len(texts) == 16 and all(len(text) == 6 and set(text) <= set("abcde") for text in texts)
    with pytest.raises(UserError, match="needs tokens and this data set holds images"):
        registered()["words"].build.check_data(ToyOptions("words"), DataSpec((1, 8, 8), 9))

