"""The contract between a published system and the engine: players, the loss each minimises, and abilities.

Abilities are methods that commands look for (`hasattr`); a model has those that its paper gives it:

    draw_latents(n, generator) -> z          [n, ...] on the CPU, so that a seed means the same on every device
    generate(z, labels=None) -> x            [n, C, H, W] in [-1, 1] (or [n, P])
    encode(x) -> z
    reconstruct(x) -> x'
    translate(x, domain) -> y                x of the other domain, y of `domain` (a name of the data's domains)
    classify(x) -> logits                    [n, classes]

Legend: N batch, C channels, H height, W width, P coordinates, Z latent size.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError
from gancli.losses.objective import Objective


@dataclass
class Progress:
    """Where a run stands; counted in real images shown, so that batch size and devices do not matter."""

    total: int  # images of the whole run
    images: int = 0  # real images shown to the first player so far
    rounds: int = 0
    turns: dict[str, int] = field(default_factory=dict)  # turns each player has finished

    @property
    def kimg(self) -> float:
        """Thousands of real images shown."""
        return self.images / 1000


class Model(nn.Module, ABC):
    """One published system: its networks, its players in order of play, and the loss that each player minimises.

    Subclasses are built as `cls(options, spec, objective)`, create their networks, set `players`, and define
    `player_loss` and `showcase`.  They draw random numbers by gancli.ranks.shards from torch's global generators, which
    the engine seeds for every turn from (seed, images, turn), alike on every rank.
    """

    needs_labels: ClassVar[bool] = False
    needs_images: ClassVar[bool] = True  # False: points in the plane are welcome too
    domains: ClassVar[int] = 1
    min_side: ClassVar[int] = 8  # smallest height and width

    players: dict[str, list[nn.Module]]

    def __init__(self, spec: DataSpec, objective: Objective) -> None:
        super().__init__()
        self.spec = spec
        self.objective = objective

    @classmethod
    def check_data(cls, options: Any, spec: DataSpec) -> None:
        """Raise a UserError if the system cannot be trained on such data."""
        name = options.name
        if cls.needs_labels and not spec.classes:
            raise UserError(f"model={name} needs labels and this data set has none: give one with labels "
                            "(a folder with one sub-folder a class will do), or use model=dcgan.")
        if cls.needs_images and not spec.is_image:
            raise UserError(f"model={name} needs images and this data set holds points: use model=gan.")
        if len(spec.domains) < cls.domains:
            raise UserError(f"model={name} translates between {cls.domains} domains and this data set has one: use "
                            "dataset=unpaired dataset.path=FOLDER (with a sub-folder a domain).")
        if len(spec.domains) > cls.domains:
            raise UserError(f"model={name} learns from one domain and this data set has {len(spec.domains)}: use "
                            "model=cyclegan, or dataset=folder.")
        if spec.is_image and min(spec.shape[1:]) < cls.min_side:
            raise UserError(f"model={name} needs images of at least {cls.min_side}x{cls.min_side} and these are "
                            f"{spec.shape[1]}x{spec.shape[2]}: give dataset.size={cls.min_side} or more.")

    def prepare(self, batch: Batch) -> None:
        """Make, and remember, what turns of several players on this very batch share (none unless a subclass does).

        The engine calls it before the first of these turns if trainer.reuse_generated; all weights ask for gradients.
        """

    @abstractmethod
    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar that `player` minimises on this turn and detached scalars to record."""

    def after_step(self, player: str) -> None:
        """Enforce constraints after the player's optimizer step (weight clipping)."""
        if player == "discriminator":
            self.objective.constrain(self.players[player])

    @abstractmethod
    def showcase(self, fixed: "Fixed") -> dict[str, Tensor]:
        """Return named batches of pictures for the sample grids, from fixed latents and fixed real data."""

    def sample(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return n generated examples, [n, C, H, W] in [-1, 1] (or [n, P]); needs draw_latents and generate."""
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
