"""StarGAN v2: images of one domain in many styles of another, drawn from latents or taken from a reference (Choi 2020).

From the paper (1912.01865) and its code (github.com/clovaai/stargan-v2, its settings for AFHQ): networks, weights, losses,
rates and the four steps of a round on one batch: the discriminator, with styles of latents and then of references; translator,
mapping and style encoder together, with styles of latents; the translator alone, with styles of references.  Domains are the
data's classes, one an image.

Differs: references are the batch's own images in a new order, and their seconds are others of the same class in it (an image
without a fellow stands for itself, and then adds no diversity), where the code draws both beside the batch; examples come
in the data's proportions, there each domain is as frequent as another; no image is resized or cut at random (mirrored with
dataset.flip=true); the high-pass skips of its settings for CelebA-HQ need a network that finds faces, and are left out;
widths are a sixteenth of the paper's for two cores (channel_base=16384 channel_max=512 are the paper's); an image that is
translated is cut off at -1 and 1; without a style, `translate` takes that of one fixed latent.

Legend: N batch, C channels, H height, W width, Z latent size, S style size, K domains.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import l1_loss

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_range
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.phase import Phase, Turn
from gancli.game.prior import Normal
from gancli.game.showcase import bands_of, shown_with_targets
from gancli.losses.objective import Objective
from gancli.networks.initialization import he_normal_init
from gancli.networks.stargan_v2 import (
    BOTTLENECK,
    DomainDiscriminator,
    StyleEncoder,
    StyleMapping,
    StyleTranslator,
    halvings,
    of_domains,
)
from gancli.options import Recipe
from gancli.ranks import shards
from gancli.registry import models

REFERENCE = "reference"  # the part of both losses that takes styles of images
Scalars = dict[str, Tensor]


class References(NamedTuple):
    """The images of a batch in a new order, one for each image that is translated, and another one of each one's domain."""

    x: Tensor  # [N, C, H, W]
    second: Tensor
    labels: Tensor  # [N] int64: the targets


class Made(NamedTuple):
    """What is made of a batch with styles of latents."""

    references: References
    style: Tensor  # [N, S]
    fake: Tensor  # [N, C, H, W]


@dataclass
class StarGANv2Options:
    """A translator with styles, a mapping and an encoder to styles, and a discriminator, each with an output a domain."""

    name: str
    latent_size: int
    style_size: int
    mapping_width: int
    mapping_rate: float  # the mapping learns at this part of the others' rate
    channel_base: int  # maps as large as images have channel_base / (shorter side) channels, and
    channel_max: int  # no more than this
    depth: int | None  # halvings of the translator; null: down to 16 pixels
    r1_gamma: float  # of R1, gamma/2 E |grad D(x)|^2; it yields to penalties of the loss
    lambda_style: float  # weight of the style's reconstruction
    lambda_diversity: float  # weight of the distance of two styles' images, which falls to 0
    diversity_kimg: float | None  # after so many thousand images it is 0; null: at the end of the run
    lambda_cycle: float  # weight of the image's reconstruction
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("latent_size", "style_size", "mapping_width", "channel_base", "channel_max"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("mapping_rate", "r1_gamma", "lambda_style", "lambda_diversity", "lambda_cycle"):
            check_range(f"model.{key}", getattr(self, key), 0)
        check_range("model.depth", self.depth, 0)
        check_range("model.diversity_kimg", self.diversity_kimg, 0, open_low=True)


@models.register("stargan_v2", options=StarGANv2Options)
class StarGANv2(Model):
    """min over G, F, E and max over D of L_adv + L_sty - L_ds + L_cyc with their weights (Choi 2020, eqs. 1 to 5)."""

    needs = Needs(labels=True)
    small = {"latent_size": 4, "style_size": 5, "mapping_width": 6, "channel_base": 64, "channel_max": 6}
    variants = ({}, {"depth": 1, "r1_gamma": 0})

    def __init__(self, options: StarGANv2Options, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        self.options = options
        channels, *sides = spec.shape
        size = sides[0], sides[1]
        width, domains = first_width(options, size), len(spec.classes)
        depth = halvings(*size, BOTTLENECK) if options.depth is None else options.depth
        self.prior = Normal(options.latent_size)
        self.generator = StyleTranslator(channels, width, options.channel_max, depth, options.style_size)
        self.mapping = StyleMapping(options.latent_size, options.mapping_width, options.style_size, domains)
        self.encoder = StyleEncoder(channels, size, width, options.channel_max, options.style_size, domains)
        self.discriminator = DomainDiscriminator(channels, size, width, options.channel_max, domains)
        for network in (self.generator, self.mapping, self.encoder, self.discriminator):
            he_normal_init(network)
        self.rates = {"mapping": options.mapping_rate}
        self.r1 = options.r1_gamma if not objective.options.punishes_input_gradients else 0.0
        self.players = {"discriminator": [self.discriminator],
                        "generator": [self.generator, self.mapping, self.encoder]}

    @classmethod
    def check_data(cls, options: StarGANv2Options, spec: DataSpec) -> None:
        super().check_data(options, spec)
        if len(spec.classes) < 2:
            raise UserError(f"model={options.name} translates among classes and this data set has one: give data with more.")
        check_range("model.depth", options.depth, 0, halvings(spec.shape[1], spec.shape[2], 2))

    # Training

    def phase(self, progress: Progress, default: Phase) -> Phase:
        """Behind each player's (last) turn, a step with styles of references."""
        phase = default
        for player in self.players:
            last = max(place for place, turn in enumerate(phase.turns) if turn.player == player)
            phase = phase.with_turn(last, Turn(player, draws=False, part=REFERENCE))
        return replace(phase, full_steps=True)

    def prepare(self, batch: Batch) -> Made:
        references = self.references(batch)
        style = of_domains(self.mapping(self.prior.like(batch.real)), references.labels)
        return Made(references, style, self.generator(batch.real, style))

    def references(self, batch: Batch) -> References:
        """Return references for a batch, alike however many ranks there are."""
        assert batch.labels is not None  # needs asks for them
        images, labels = shards.gathered(batch.real), shards.gathered(batch.labels)
        order = torch.rand(len(labels), device=labels.device).argsort()  # alike on every rank
        images, labels = images[order], labels[order]
        return References(*(shards.mine(whole) for whole in (images, images[fellows(labels)], labels)))

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        made = self.prepare(batch) if batch.prepared is None else batch.prepared
        if player == "discriminator":
            fake = made.fake if batch.prepared is None else made.fake.detach()  # its graph is the generator's
            return self._discriminators_loss(made.references, fake, progress)
        if player != "generator":
            raise no_loss_for(player, self)
        other = of_domains(self.mapping(self.prior.like(batch.real)), made.references.labels)
        return self._generators_loss(batch, made, other, self.encoder, progress)

    def part_loss(self, part: str, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        if part != REFERENCE:
            return super().part_loss(part, player, batch, progress)
        references = self.references(batch) if batch.prepared is None else batch.prepared.references
        encoder = self._fixed_encoder()
        style = of_domains(encoder(references.x), references.labels)
        made = Made(references, style, self.generator(batch.real, style))
        if player == "discriminator":
            return self._discriminators_loss(references, made.fake, progress)
        other = of_domains(encoder(references.second), references.labels)
        return self._generators_loss(batch, made, other, encoder, progress)

    def _discriminators_loss(self, references: References, fake: Tensor, progress: Progress) -> tuple[Tensor, Scalars]:
        """Return the loss on real images in the references' order, so that each stands beside a fake one of its domain."""
        real, fakes = (references.x, references.labels), (fake, references.labels)
        judged = self.objective.discriminator(self.judge, real, fakes, progress.turns.get("discriminator", 0))
        if not self.r1:
            return judged.loss, judged.scalars
        penalty = self.objective.zero_centered(self.judge, real)
        return judged.loss + self.r1 * penalty, judged.scalars | {"r1": penalty.detach()}

    def _generators_loss(self, batch: Batch, made: Made, other: Tensor, encoder: Callable[[Tensor], Tensor],
                         progress: Progress) -> tuple[Tensor, Scalars]:
        """Return the loss of what was made with a style, beside what another style [N, S] makes of the same images."""
        x, labels, options = batch.real, made.references.labels, self.options
        assert batch.labels is not None
        judged = self.objective.generator(self.judge, (made.fake, labels), (made.references.x, labels))
        style = _distance(of_domains(encoder(made.fake), labels), made.style)
        with torch.no_grad():  # the formula holds the second image still (the authors' code)
            second = self.generator(x, other)
        diversity = _distance(made.fake, second)
        cycle = _distance(self.generator(made.fake, of_domains(encoder(x), batch.labels)), x)
        loss = (judged.loss + options.lambda_style * style + options.lambda_cycle * cycle
                - options.lambda_diversity * self.diversity_share(progress) * diversity)
        return loss, judged.scalars | {"style": style.detach(), "diversity": diversity.detach(), "cycle": cycle.detach()}

    def diversity_share(self, progress: Progress) -> float:
        """Return the part of lambda_diversity that is left: it falls from 1 to 0 with the images shown."""
        limit = self.options.diversity_kimg
        return max(0.0, 1 - progress.images / (progress.total if limit is None else 1000 * limit))

    def _fixed_encoder(self) -> Callable[[Tensor], Tensor]:
        """Return the style encoder whose weights have no part in the turn, while its input may ask for gradients."""
        weights = {name: parameter.detach() for name, parameter in self.encoder.named_parameters()}
        return lambda x: functional_call(self.encoder, weights, (x,))

    def judge(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return the logits [N] of images for the domains that they belong to."""
        return of_domains(self.discriminator(x), labels)

    # Abilities

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents [n, Z] of styles, on the CPU."""
        return self.prior.draw(n, generator)

    def latent_style(self, z: Tensor, domain: str) -> Tensor:
        """Return the styles [N, S] of a domain that latents [N, Z] stand for."""
        return self.mapping(z)[:, self.targets.index(domain)]

    def image_style(self, x: Tensor, domain: str) -> Tensor:
        """Return the styles [N, S] of images of a domain."""
        return self.encoder(x)[:, self.targets.index(domain)]

    def translate(self, x: Tensor, domain: str, style: Tensor | None = None) -> Tensor:
        """Return images as `domain` would show them, in styles [N, S] of it or, without any, all in one style."""
        if domain not in self.targets:
            raise ValueError(f"there is no domain called {domain}; there is {', '.join(self.targets)}")
        if style is None:
            z = self.draw_latents(1, torch.Generator().manual_seed(0)).to(x.device)
            style = self.latent_style(z, domain).expand(len(x), -1)
        return self.generator(x, style).clamp(-1, 1)

    def bands(self, name: str, fixed: Fixed) -> tuple[str, ...]:
        return *bands_of(self.targets), "reference", "in its style"

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        return {"translations": shown_with_targets(fixed, self.targets, self.translate, self._by_references(fixed))}

    def _by_references(self, fixed: Fixed) -> tuple[Tensor, Tensor]:
        """Return references, each image's neighbor in the batch, and the images in their domains and styles."""
        x, labels = fixed.batch.real, fixed.batch.labels
        assert labels is not None
        references = x.roll(-1, 0)
        return references, self.generator(x, of_domains(self.encoder(references), labels.roll(-1, 0))).clamp(-1, 1)


def first_width(options: StarGANv2Options, size: tuple[int, int]) -> int:
    """Return the channels of maps as large as images."""
    return min(max(1, options.channel_base // min(size)), options.channel_max)


def fellows(labels: Tensor) -> Tensor:
    """Return for each of the labels [N] the place of another one that equals it, at random; its own where there is none."""
    chance = torch.rand(len(labels), len(labels), device=labels.device).masked_fill(labels[:, None] != labels, -2.0)
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return chance.masked_fill(own, -1.0).argmax(1)


def _distance(x: Tensor, y: Tensor) -> Tensor:
    return l1_loss(x.float(), y.float())
