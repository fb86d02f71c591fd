"""The contract between a published system and the engine: players, the loss each minimizes, phases, and abilities.

Abilities are methods that commands look for (gancli.game.abilities); a model has those that its paper gives it:

    draw_latents(n, generator) -> z          [n, ...] on the CPU, so that a seed means the same on every device
    generate(z, labels=None) -> x            [n, C, H, W] in [-1, 1] (or [n, P], or [n, T] int64)
    generate_domains(z) -> (x, y)            the same latents as each of the data's domains would show them; generate gives x
    encode(x) -> z
    reconstruct(x) -> x'
    translate(x, domain) -> y                x of another domain, y of `domain` (one of `targets`)
    latent_style(z, domain) -> s             [n, S], a style of images of `domain` for each latent; a model that has it takes
                                             a third argument in translate: styles [n, S], or None for one of its own choice
    image_style(x, domain) -> s              [n, S], the styles of images of `domain`
    inpaint(x, mask) -> y                    x with other content where the mask [n, 1, H, W] is 1, and its own elsewhere
    draw_holes(n, generator) -> mask         masks of the law that the model was trained on, on the CPU
    fillable                                 the box (top, left, height, width) in which holes may lie
    blend(x) -> y                            x with a part pasted into it, y as if it belonged there
    classify(x) -> logits                    [n, classes], or [n, categories] of its own (`clusters`)
    log_likelihood(x) -> logs                [n, T] of each token of sequences, in nats; 0 behind a text's end
    codes                                    what latents hold by name: a number of categories, or None for a continuous code
    with_codes(z, values) -> z               latents in which codes, by name, have other values [n]
    mapping(z, labels=None) -> w             [n, S], styles: the space in which images are meant to change evenly
    synthesize(w, noise=None) -> x           w [n, S], or one for each layer [n, L, S]; x is not cut off at -1 and 1
    every_layer(w) -> w                      [n, L, S] of either
    style_layers                             L; two belong to a size, from the smallest
    mean_style                               [S], the styles' moving average
    noise_maps()                             the fixed noise, a map [1, 1, H, W] for each layer that takes some: `noise` is
                                             such a list, with None for no noise
    stages(z, labels=None) -> {name: x}      images as they come about, [n, C, H, W] in [-1, 1] each; the last is generate's
    cell                                     pixels of a map's cell, of which the sides of seamless tiles are multiples
    draw_map(size, generator, tile) -> z     a map of noise on the CPU for one image of that height and width
    paint(z, size, tile) -> blocks           (top, left, x [C, h, w] in [-1, 1]) of that image, in bounded memory
    factor                                   how many times as large both sides of an image become that is upscaled
    reach                                    pixels to each side that an upscaled image depends on at a place
    upscale(x) -> y                          x [n, C, h, w] of any size, y [n, C, factor h, factor w] in [-1, 1]
    low_of(y, *given) -> x                   low resolution: what the data give beside originals, else reduced
    reduce(y) -> x                           low resolution, as upscale was trained to undo it

Legend: N batch, C channels, H height, W width, P coordinates, Z latent size.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError
from gancli.game.phase import Phase
from gancli.losses.objective import Objective


@dataclass
class Progress:
    """Where a run stands; counted in real images shown, so that batch size and devices do not matter."""

    total: int  # images of the whole run; no phase may depend on it
    images: int = 0  # real images shown so far
    rounds: int = 0
    turns: dict[str, int] = field(default_factory=dict)  # turns each player has finished
    phase: str = ""  # the one played last; "" before the first round
    phase_rounds: int = 0  # rounds of it

    @property
    def kimg(self) -> float:
        """Thousands of real images shown."""
        return self.images / 1000

    def enter(self, phase: str) -> bool:
        """Go on to a phase; returns whether it is another one than before."""
        if phase == self.phase:
            return False
        self.phase, self.phase_rounds = phase, 0
        return True

    def as_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: everything but the length."""
        return {"images": self.images, "rounds": self.rounds, "turns": dict(self.turns), "phase": self.phase,
                "phase_rounds": self.phase_rounds}


@dataclass(frozen=True)
class Needs:
    """What a system asks of its data."""

    kinds: tuple[str, ...] = ("images",)  # of examples: images, points, tokens
    labels: bool = False  # every example has a label, which the players see
    labeled: bool = False  # some labeled examples beside the others will do (dataset.labeled)
    attributes: bool = False  # several binary labels an example
    domains: int = 1
    paired: bool = False  # the domains' examples correspond one to one
    min_side: int = 8  # smallest height and width of images


class Model(nn.Module, ABC):
    """One published system: its networks, its players in order of play, and the loss that each player minimizes.

    Subclasses are built as `cls(options, spec, objective)`, create their networks, set `players`, and define
    `player_loss` and `showcase`.  They draw random numbers by gancli.ranks.shards from torch's global generators, which
    the engine seeds for every turn from (seed, images, turn), alike on every rank.

    On a player's turn only its own networks ask for gradients, so that nothing needs to be detached or computed without
    them; what `prepare` handed over is the exception.  Where an update differentiates through other players' steps
    (trainer.unrolled, consensus), a detached tensor would hide what it looks for.
    """

    discriminators: ClassVar[tuple[str, ...]] = ("discriminator",)  # which players discriminate: none, one or several
    averaged: ClassVar[tuple[str, ...]] = ()  # of those, the ones in use after training: their weights are averaged, too
    needs: Needs = Needs()  # of the class, or more with some options (needs_of)
    labels_by_option: ClassVar[bool] = False  # it takes labels with model.conditional=true
    losses: ClassVar[tuple[str, ...] | None] = None  # rules that make sense; None: all, (): it brings its own (loss=none)
    refuses_augment: ClassVar[str] = ""  # why nothing can be augmented before its discriminators; empty: it can
    small: ClassVar[Mapping[str, Any]] = {}  # options of the least networks that still have every part, for tests
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)  # options that make other networks of it, for tests
    lacks: frozenset[str] = frozenset()  # abilities that its class defines and its options do without

    players: dict[str, list[nn.Module]]
    rates: Mapping[str, float] = {}  # parts of the model, by name, that learn at this part of their player's rate
    clusters: bool = False  # it classifies by categories of its own, in an order of no meaning, and not by the data's classes

    # Abilities, named here for type checkers; no model has one that it does not define
    draw_latents: Callable[[int, torch.Generator], Tensor]
    generate: Callable[..., Tensor]
    generate_domains: Callable[[Tensor], tuple[Tensor, ...]]
    with_codes: Callable[[Tensor, Mapping[str, Tensor]], Tensor]
    encode: Callable[[Tensor], Tensor]
    reconstruct: Callable[[Tensor], Tensor]
    translate: Callable[..., Tensor]
    latent_style: Callable[[Tensor, str], Tensor]
    image_style: Callable[[Tensor, str], Tensor]
    inpaint: Callable[[Tensor, Tensor], Tensor]
    draw_holes: Callable[[int, torch.Generator], Tensor]
    fillable: tuple[int, int, int, int]
    blend: Callable[[Tensor], Tensor]
    classify: Callable[[Tensor], Tensor]
    stages: Callable[..., dict[str, Tensor]]
    cell: int
    draw_map: Callable[[tuple[int, int], torch.Generator, bool], Tensor]
    paint: Callable[[Tensor, tuple[int, int], bool], Iterator[tuple[int, int, Tensor]]]
    factor: int
    reach: int
    upscale: Callable[[Tensor], Tensor]
    reduce: Callable[[Tensor], Tensor]
    low_of: Callable[..., Tensor]
    log_likelihood: Callable[[Tensor], Tensor]
    mapping: Callable[..., Tensor]
    synthesize: Callable[..., Tensor]
    every_layer: Callable[[Tensor], Tensor]
    noise_maps: Callable[[], list[Tensor]]

    def __init__(self, spec: DataSpec, objective: Objective) -> None:
        super().__init__()
        self.spec = spec
        self.objective = objective

    @classmethod
    def needs_of(cls, options: Any) -> Needs:
        """Return what the system asks of its data with these options; its `needs` are then these."""
        return cls.needs

    @classmethod
    def lacks_of(cls, options: Any) -> frozenset[str]:
        """Return the abilities (names of gancli.game.abilities) that the class defines and these options do without."""
        return frozenset()

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        """Raise a UserError if the system cannot be trained on such data."""
        name, needs = options.name, cls.needs_of(options)
        if needs.labels and not spec.classes:
            raise UserError(f"model={name} needs labels and this data set has none: give one with labels "
                            "(a folder with one sub-folder a class will do), or use model=dcgan.")
        if spec.kind not in needs.kinds:
            known = {"points": "use model=gan.", "tokens": "use model=seqgan."}
            other = ("use dataset=text dataset.path=FILE (a text a line)." if needs.kinds == ("tokens",)
                     else known.get(spec.kind, f"give a data set of {' or '.join(needs.kinds)}."))
            raise UserError(f"model={name} needs {' or '.join(needs.kinds)} and this data set holds {spec.kind}: {other}")
        if needs.attributes and not spec.attributes:
            raise UserError(f"model={name} needs attributes and this data set has none: give one with "
                            "dataset.attributes=[NAME,...], as celeba.")
        if needs.labeled and not (spec.labeled or spec.classes):
            raise UserError(f"model={name} needs some labels and this data set has none: give one with labels.")
        if spec.labeled and not needs.labeled:
            raise UserError(f"model={name} does not learn from labels of some examples: leave dataset.labeled= out.")
        if len(spec.domains) < needs.domains:
            data = "paired" if needs.paired else "unpaired"
            second = "" if needs.paired else ", or give dataset.second=edges"
            raise UserError(f"model={name} needs images of {needs.domains} domains and this data set has one: use "
                            f"dataset={data} dataset.path=FOLDER (with a sub-folder a domain){second}.")
        if len(spec.domains) > needs.domains:
            raise UserError(f"model={name} learns from one domain and this data set has {len(spec.domains)}: use "
                            "model=cyclegan or cogan, or a data set of one domain (dataset=folder).")
        if needs.paired and not spec.paired:
            raise UserError(f"model={name} learns from pairs and these domains are not paired: use dataset=paired "
                            "dataset.path=FOLDER (equal names in two sub-folders, or dataset.side_by_side=true), or "
                            "model=cyclegan, which needs no pairs.")
        if spec.is_image and min(spec.shape[1:]) < needs.min_side:
            raise UserError(f"model={name} needs images of at least {needs.min_side}x{needs.min_side} and these are "
                            f"{spec.shape[1]}x{spec.shape[2]}: give dataset.size={needs.min_side} or more.")

    @classmethod
    def check_files(cls, options: Any, data_dir: Path) -> None:
        """Raise a UserError if files that training reads beside the data (frozen weights) are absent or of another kind."""

    def read_files(self, data_dir: Path) -> None:
        """Read such files, once before training; a trained model is used without them."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The domains into which the model translates, where it does; the last one is meant where none is named.

        They are the data's own, or the classes of data that have one.
        """
        return self.spec.domains if len(self.spec.domains) > 1 else self.spec.classes

    def shows(self, domain: str, batch: Batch) -> Tensor:
        """Return which examples are in a domain of `targets` already, bool [N], by their labels or attributes alone."""
        assert batch.labels is not None  # a model of other domains says itself what they are
        return batch.labels == self.targets.index(domain)

    def begin(self, reference: Batch) -> None:
        """Look at a batch of real data before the first round; a continued run's state is then put over what that set.

        Args:
            reference: the same whole batch on every rank; buffers that it fills have their shape from the start.
        """
        self.objective.begin(self, reference)

    def logit_networks(self) -> list[nn.Module]:
        """Return the networks whose logits tell real from fake: all of the discriminating players that have weights.

        What changes discriminators (loss.minibatch_stddev, loss.packing, ...) changes these; a system whose discriminator
        has further networks beside it (a classifier on its features) names those that are meant.
        """
        return [network for player in self.discriminators for network in self.players[player]
                if next(network.parameters(), None) is not None]

    def phase(self, progress: Progress, default: Phase) -> Phase:
        """Return what is played from here on: a function of the images shown and the options, never of the run's length.

        Args:
            default: all players in their order, those that discriminate trainer.discriminator_turns times.
        """
        return default

    def prepare(self, batch: Batch) -> Any:
        """Return what turns of several players on this very batch share; they find it as `batch.prepared`.

        The engine calls it before the first of these turns if trainer.reuse_generated, while all weights ask for gradients.
        """
        return None

    @abstractmethod
    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar that `player` minimizes on this turn and detached scalars to record."""

    def part_loss(self, part: str, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        """Return one part of a player's loss alone, and its scalars, for the turns of a phase that name it."""
        raise ValueError(f"{type(self).__name__} has no part {part} of the {player}'s loss")

    def forward(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        """Return `player_loss`, so that torch.func.functional_call can ask for it with other weights."""
        return self.player_loss(player, batch, progress)

    def after_step(self, player: str) -> None:
        """Enforce constraints after the player's optimizer step (weight clipping)."""
        if player in self.discriminators:
            self.objective.constrain(self.players[player])

    @abstractmethod
    def showcase(self, fixed: "Fixed") -> dict[str, Tensor]:
        """Return named batches of examples for the sample grids (or texts), from fixed latents and fixed real data."""

    def bands(self, name: str, fixed: "Fixed") -> tuple[str, ...]:
        """Return what the rows of a batch of `showcase` are, which repeat from above; none where all rows are alike."""
        return ("real", "reconstructed") if name == "reconstructions" else ()

    def sample(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return n generated examples, [n, C, H, W] in [-1, 1] (or [n, P] or [n, T]); needs draw_latents and generate."""
        device = next(self.parameters()).device
        z = self.draw_latents(n, generator).to(device)
        return self.generate(z) if labels is None else self.generate(z, labels.to(device))


@dataclass
class Fixed:
    """What every sample grid of a run shows: the same latents, labels and real examples throughout."""

    z: Tensor | None  # [N, ...] None where the model draws no latents
    labels: Tensor | None  # [N] int64, one class a row
    batch: Batch  # N real examples
    columns: int  # of the grid


def no_loss_for(player: str, model: Model) -> ValueError:
    """Return the error for a player the model does not have."""
    return ValueError(f"{type(model).__name__} has no player called {player}; it has {', '.join(model.players)}")
