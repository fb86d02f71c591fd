"""The state of a run as named tensors, and back: networks, averaged weights, optimizers.

Random streams, data order and learning rates are functions of the seed and of the images shown, so that they need
no state: a continued run draws what the uninterrupted one would have drawn.
"""

import torch
from torch import Tensor

from gancli.engine.averages import Average
from gancli.engine.players import Player
from gancli.game.model import Model


def collect(model: Model, average: Average | None, players: dict[str, Player]) -> dict[str, Tensor]:
    """Return all tensors of a run: model/..., ema/..., optimizer/<player>/<parameter>/<state>."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    if average is not None:
        tensors |= {f"ema/{name}": tensor for name, tensor in average.tensors().items()}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for player in players.values():
        for parameter, state in player.optimizer.state.items():
            for key, value in state.items():
                if value is not None:
                    tensors[f"optimizer/{player.name}/{names[id(parameter)]}/{key}"] = torch.as_tensor(value)
    return tensors


def restore(tensors: dict[str, Tensor], model: Model, average: Average | None, players: dict[str, Player]) -> None:
    """Put the tensors that `collect` returned back in their places."""
    model.load_state_dict(_under("model/", tensors))
    if average is not None:
        average.load(_under("ema/", tensors))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for player in players.values():
        mine = _under(f"optimizer/{player.name}/", tensors)
        states: dict[str, dict[str, Tensor]] = {}
        for path, value in mine.items():
            parameter, _, key = path.rpartition("/")
            states.setdefault(parameter, {})[key] = value
        packed = player.optimizer.state_dict()
        order = [parameter for group in player.optimizer.param_groups for parameter in group["params"]]
        packed["state"] = {i: states[names[id(p)]] for i, p in enumerate(order) if names[id(p)] in states}
        player.optimizer.load_state_dict(packed)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
