"""What models can do beside training: one table, by which commands ask for abilities and never for names of models."""

from dataclasses import dataclass
from typing import Any

from gancli.registry import models


@dataclass(frozen=True)
class Ability:
    """Something that a trained model can do."""

    name: str
    methods: tuple[str, ...]  # that a model has which can do it (see game/model.py for what they take and return)
    verb: str  # "model=NAME cannot VERB"


ABILITIES = {ability.name: ability for ability in (
    Ability("sample", ("draw_latents", "generate"), "sample"),
    Ability("domains", ("generate_domains",), "generate images of two domains"),
    Ability("codes", ("codes", "with_codes"), "be told codes"),
    Ability("styles", ("mapping", "synthesize", "every_layer", "noise_maps"), "map latents to styles"),
    Ability("encode", ("encode",), "encode images"),
    Ability("reconstruct", ("reconstruct",), "reconstruct images"),
    Ability("translate", ("translate",), "translate images"),
    Ability("upscale", ("upscale", "reduce", "low_of", "factor", "reach"), "enlarge images"),
    Ability("inpaint", ("inpaint", "draw_holes", "fillable"), "fill holes in images"),
    Ability("blend", ("blend",), "blend a part of one image into another"),
    Ability("guided", ("translate", "draw_latents", "latent_style", "image_style"), "translate in several styles"),
    Ability("likelihood", ("log_likelihood",), "tell how likely sequences are"),
    Ability("classify", ("classify",), "classify images"),
    Ability("stages", ("stages",), "show how an image comes about"),
    Ability("sizes", ("cell", "draw_map", "paint"), "make images of another size than it was trained on"),
)}

CHANGES = ("translate", "upscale", "inpaint")  # how a model makes examples of real images
MEASURABLE = ("sample", *CHANGES)


def able(model: Any, ability: str, options: Any = None) -> bool:
    """Whether a model, or its class with these options, has an ability of the table."""
    lacks = getattr(model, "lacks", frozenset()) if options is None else model.lacks_of(options)
    return ability not in lacks and all(hasattr(model, method) for method in ABILITIES[ability].methods)


def measurable(model: Any, options: Any = None) -> bool:
    """Whether what a model, or its class with these options, makes can be measured beside real examples."""
    return any(able(model, ability, options) for ability in MEASURABLE)


def makes_second(model: Any, dataset: Any) -> bool:
    """Whether a model (or its class) generates two domains, of which the options of a data set tell how one is made."""
    return able(model, "domains") and getattr(dataset, "second", None) is not None


def models_able(ability: str) -> list[str]:
    """Return the names of the registered models that have an ability."""
    return [name for name in models.names() if able(models.get(name).build, ability)]


def next_command(model: Any) -> str | None:
    """Return the command that shows what a model has learned, by the first of its abilities; None where none does."""
    return next((ability for ability in ("sample", "translate", "upscale", "inpaint", "blend", "reconstruct")
                 if able(model, ability)), None)


def refusal(name: str, ability: str) -> str:
    """Return the sentence that model=`name` lacks an ability, with the models that have it."""
    others = models_able(ability)
    as_set = " as its options are" if name in others else ""
    return (f"model={name} cannot {ABILITIES[ability].verb}{as_set}; "
            + (f"{', '.join(others)} can." if others else "no model here can."))
