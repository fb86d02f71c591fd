"""From options to a model: the loss's demands on the networks, and its stabilizers, in one place for every model."""

from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from typing import Any

from gancli.data.spec import DataSpec
from gancli.errors import UsageError
from gancli.game.model import Model
from gancli.game.stabilizing import look_at_batches, pack, remember, virtually_normalize_generators, watch_features
from gancli.losses.augmentation import augmentation_of
from gancli.losses.objective import Objective
from gancli.losses.options import LossOptions
from gancli.networks.initialization import orthogonal_init, spectral_norm, starts_at_zero
from gancli.networks.layers import mixes_halves
from gancli.options import typed
from gancli.registry import models


def adapt(model_values: MutableMapping[str, Any], loss_options: LossOptions) -> tuple[Mapping[str, Any], list[str]]:
    """Return the model's values as the loss needs them, and a sentence for the log for each change.

    A penalty on the discriminator's gradient for each example means nothing where batch norm makes every output
    depend on the whole batch: layer norm takes its place (Gulrajani 2017, section 4).  This holds for DRAGAN's, too, whose
    published code (github.com/kodalinaveen3/DRAGAN) has no norm at all in its discriminator.
    """
    if not (loss_options.punishes_input_gradients and model_values.get("discriminator_norm") == "batch"):
        return model_values, []
    if not getattr(model_options(model_values), "uses_discriminator_norm", True):
        return model_values, []
    adapted = deepcopy(model_values)
    adapted["discriminator_norm"] = "layer"
    return adapted, ["The discriminator has layer norm in place of batch norm, because the loss penalizes its gradient "
                     "for each image (Gulrajani 2017, section 4): model.discriminator_norm=layer."]


def model_options(model_values: Mapping[str, Any]) -> Any:
    """Return the typed options of the model that the values name; a UsageError if anything is wrong."""
    name = model_values.get("name")
    if not name:
        raise UsageError("model.name has no value: give model=NAME.")
    return typed(models.get(name).options, model_values, "model")


def build_objective(loss: LossOptions, augment: Any, spec: DataSpec) -> Objective:
    """Return the objective of the typed options of a loss and of an augmentation."""
    return Objective(loss, augmentation_of(augment, spec.shape), spec.count)


def build_model(options: Any, objective: Objective, spec: DataSpec) -> Model:
    """Return the model on the default device (meta too), checked against the data, with the loss's stabilizers.

    Raises:
        UserError: the system cannot be trained on such data, or does not take what the loss switches on.
    """
    system = models.get(options.name).build
    system.check_data(options, spec)
    model = system(options, spec, objective)
    model.needs, model.lacks = system.needs_of(options), system.lacks_of(options)
    pack(model, system, options)
    watch_features(model, options.name)
    look_at_batches(model, options.name)
    virtually_normalize_generators(model, spec, options.name)
    if objective.options.orthogonal_init:
        orthogonal_init(model)
    judges = [network for player in model.discriminators for network in model.players[player]]
    if objective.options.spectral_norm:
        if starts_at_zero(judges) and not objective.options.orthogonal_init:
            raise UsageError(f"loss.spectral_norm divides each weight by its largest singular value, and model={options.name} "
                             "starts some at 0: add loss.orthogonal_init=true, or leave it out.")
        spectral_norm(judges)
    objective.one_pass = not any(mixes_halves(judge) for judge in judges)
    remember(model)
    return model
