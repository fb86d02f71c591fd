"""Models and losses from the real conf files, without Hydra: the file's own values, the stabilizers' and changes."""

from itertools import product
from pathlib import Path

import torch
from omegaconf import OmegaConf
from systems import CONF, loss_for, system

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError
from gancli.game.build import adapt, build_model, model_options
from gancli.game.model import Model, Progress
from gancli.game.phase import in_turn
from gancli.losses.objective import Objective
from gancli.losses.options import LossOptions
from gancli.options import typed
from gancli.plan.course import course


def read(path: Path):
    """Return a conf file's values without its defaults list."""
    values = OmegaConf.load(path)
    values.pop("defaults", None)
    return values


def compose_loss(name: str, **changes) -> LossOptions:
    """Return the typed options of conf/loss/`name`.yaml, changed."""
    values = OmegaConf.merge(read(CONF / "stabilizer/off.yaml"), read(CONF / f"loss/{name}.yaml"), changes)
    return typed(LossOptions, values, "loss")


def spec_for(name: str, shape: tuple[int, ...] = (1, 16, 16)) -> DataSpec:
    """Return data that the model can be trained on: images of that shape, or tokens where it knows nothing else."""
    if system(name).needs.kinds == ("tokens",):
        return DataSpec((6,), 100, kind="tokens", vocabulary=("", *"abcd"))
    domains = ("real",) if system(name).needs.domains == 1 else ("photo", "drawing")
    return DataSpec(shape, 100, ("zero", "one", "two"), domains, paired=system(name).needs.paired)


def spec_near(name: str, shape: tuple[int, int, int], **changes) -> DataSpec:
    """Return data of that shape, or of the nearest below that the model can be trained on."""
    options = model_options(OmegaConf.merge(read(CONF / f"model/{name}.yaml"), dict(system(name).small), changes))
    for rows, columns in sorted(product(range(8), repeat=2), key=sum):  # as few as possible are cut off
        spec = spec_for(name, (shape[0], shape[1] - rows, shape[2] - columns))
        try:
            system(name).check_data(options, spec)
        except UserError:
            continue
        return spec
    raise ValueError(f"{name} can be trained on no images of about {shape}")


def compose_model(name: str, loss: LossOptions | None = None, spec: DataSpec | None = None, small: bool = True,
                  **changes) -> Model:
    """Return conf/model/`name`.yaml built (small unless told) for the loss and the data."""
    loss = loss or compose_loss(loss_for(name))
    values = OmegaConf.merge(read(CONF / f"model/{name}.yaml"), dict(system(name).small) if small else {}, changes)
    values, _ = adapt(values, loss)
    return build_model(model_options(values), Objective(loss), spec or spec_for(name))


def batch_for(spec: DataSpec, n: int = 4) -> Batch:
    """Return n random examples of each domain, with labels where there are classes."""
    if spec.kind == "tokens":
        return Batch((torch.randint(len(spec.vocabulary), (n, *spec.shape)),))
    examples = tuple(torch.rand(n, *spec.shape) * 2 - 1 for _ in spec.domains)
    return Batch(examples, torch.arange(n) % len(spec.classes))


def phases_of(model: Model, batch_size: int = 4, total: int = 1000) -> list[tuple[tuple[str, ...], Progress]]:
    """Return the players of each phase of a run, and where it stands in the middle of that phase."""
    stretches = course(model, in_turn(list(model.players)), total, batch_size)
    return [(tuple(dict.fromkeys(turn.player for turn in stretch.phase.turns if not turn.part)),
             Progress(total=total, images=(stretch.begin + stretch.end) // 2, phase=stretch.phase.name))
            for stretch in stretches]


def take_turn(model: Model, player: str, batch: Batch, progress) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Let one player compute its loss and gradients as the engine does: only its own networks have gradients."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    for network in model.players[player]:
        network.requires_grad_(True)
    loss, scalars = model.player_loss(player, batch, progress)
    loss.backward()
    return loss, scalars
