"""The switches of group `loss` that change a model's networks, or look into them, put on any model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UsageError, near
from gancli.game.looking import untouched
from gancli.game.model import Model, Progress
from gancli.losses.history import History
from gancli.losses.objective import Objective
from gancli.networks.equalized import MinibatchStddev
from gancli.networks.minibatch import deviate_minibatches, discriminate_minibatches, logits_layer
from gancli.networks.virtual_norm import has_batch_norm, reference_of, virtually_normalize
from gancli.ranks import shards

SHOWN = 2  # packs, or examples, of the batch that shows which inputs networks take


def pack(model: Model, build: Callable[..., Model], options: Any) -> None:
    """Put discriminators in place that judge loss.packing examples at once: those of data with so many times the channels.

    Nothing but the discriminator's input grows (Lin 2018, section 3).

    Args:
        build: the model's class.
    """
    size = model.objective.options.packing
    if size == 1:
        return
    first, *rest = model.spec.shape
    wider = replace(model.spec, shape=(size * first, *rest))
    other = build(options, wider, Objective(model.objective.options))
    for old, new in zip(model.logit_networks(), other.logit_networks(), strict=True):
        _put(model, old, new)


def _put(model: Model, old: nn.Module, new: nn.Module) -> None:
    """Let a network take another's place in a model, wherever it stands."""
    for part in list(model.modules()):
        for name, child in list(part.named_children()):
            if child is old:
                setattr(part, name, new)
    for player, networks in model.players.items():
        model.players[player] = [new if network is old else network for network in networks]


def look_at_batches(model: Model, name: str) -> None:
    """Put minibatch discrimination and the minibatch deviation into the discriminators, where they are switched on.

    Raises:
        UsageError: a discriminator has no layer to put them before, or has the deviation already.
    """
    options = model.objective.options
    discrimination, group = options.minibatch_discrimination, options.minibatch_stddev
    for judge in _apart(model, name, "minibatch_stddev") if group is not None else ():
        if any(isinstance(part, MinibatchStddev) for part in judge.modules()):
            raise UsageError(f"loss.minibatch_stddev: the discriminator of model={name} has this layer already: leave it out.")
        deviate_minibatches(judge, group or 0)
    for judge in _apart(model, name, "minibatch_discrimination") if discrimination.kernels else ():
        discriminate_minibatches(judge, discrimination.kernels, discrimination.size)


def watch_features(model: Model, name: str) -> None:
    """Let the objective note the features that loss.feature_matching compares."""
    matching = model.objective.options.feature_matching
    if matching.weight == 0:
        return
    for judge in _apart(model, name, "feature_matching"):
        if matching.layer is None:
            model.objective.watch.inputs_of(logits_layer(judge))
            continue
        layers = {path: part for path, part in judge.named_modules()
                  if path and not isinstance(part, nn.ModuleList) and not next(part.children(), None)}
        if matching.layer not in layers:
            raise UsageError(f"loss.feature_matching.layer: the discriminator of model={name} has no layer "
                             f"{matching.layer}; {near(matching.layer, list(layers))}")
        model.objective.watch.outputs_of(layers[matching.layer])


def _apart(model: Model, name: str, key: str) -> list[nn.Module]:
    """Return the discriminators, one of those that share their last layer; a UsageError if one gives no logits by a layer."""
    found: dict[nn.Module, nn.Module] = {}
    for judge in model.logit_networks():
        try:
            found.setdefault(logits_layer(judge), judge)
        except ValueError:
            raise UsageError(f"loss.{key} looks at what the last layer of a discriminator takes, and model={name} has one "
                             "without a linear layer or convolution of its own: leave it out.") from None
    return list(found.values())


def remember(model: Model) -> None:
    """Let the objective keep the means of all players' weights, where loss.historical_averaging is on."""
    if model.objective.options.historical_averaging == 0:
        return
    names = {id(weight): name for name, weight in model.named_parameters()}
    model.objective.history = History(
        {player: [(names[id(p)], p) for p in dict.fromkeys(p for network in networks for p in network.parameters())]
         for player, networks in model.players.items()})


# Virtual batch normalization: networks with a reference batch


def virtually_normalize_generators(model: Model, spec: DataSpec, name: str) -> None:
    """Put virtual batch norm in place of batch norm in the networks of all players that do not discriminate.

    Raises:
        UsageError: there is no batch norm in them, or one of those that have it takes no part in the first turns.
    """
    references = model.objective.options.virtual_batch_norm
    if references is None:
        return
    networks = [network for network in _opponents(model) if has_batch_norm(network)]
    if not networks:
        raise UsageError(f"loss.virtual_batch_norm takes the place of batch norm in the generator, and that of model={name} "
                         "has none: leave it out.")
    with untouched(model), shards.alone():  # the same draws, however many ranks there are
        taken = _taken(model, networks, Batch.blank(spec, SHOWN * model.objective.options.packing))
    if idle := next((network for network in networks if not taken[network]), None):
        raise UsageError("loss.virtual_batch_norm draws a reference batch on the first turns, in which a "
                         f"{type(idle).__name__} of model={name} has no part: leave it out.")
    for network in networks:
        virtually_normalize(network, taken[network], references)


def fill_references(model: Model, batch: Batch) -> None:
    """Draw the reference batches: the inputs that networks have on their players' turns on a batch of real data."""
    networks = [network for network in _opponents(model) if reference_of(network)]
    if not networks:
        return
    with untouched(model):
        taken = _taken(model, networks, batch)
    for network in networks:
        for reference, x in zip(reference_of(network), taken[network], strict=True):
            reference.copy_(x[:len(reference)])


def _opponents(model: Model) -> list[nn.Module]:
    """Return the networks of players that do not discriminate, each once."""
    return list(dict.fromkeys(network for player, networks in model.players.items() if player not in model.discriminators
                              for network in networks))


@torch.no_grad()
def _taken(model: Model, networks: list[nn.Module], batch: Batch) -> dict[nn.Module, list[Tensor]]:
    """Return the tensors that each network is given first, on one turn of each player that does not discriminate."""
    taken: dict[nn.Module, list[Tensor]] = {}
    with _noting(networks, taken):
        for player in model.players:
            if player not in model.discriminators:
                model.player_loss(player, batch, Progress(total=1))
    return {network: taken.get(network, []) for network in networks}


@contextmanager
def _noting(networks: list[nn.Module], taken: dict[nn.Module, list[Tensor]]) -> Iterator[None]:
    def note(network: nn.Module, inputs: tuple[Any, ...]) -> None:
        taken.setdefault(network, [x for x in inputs if isinstance(x, Tensor)])

    handles = [network.register_forward_pre_hook(note, prepend=True) for network in networks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
