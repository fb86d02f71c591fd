"""Adversarial autoencoders: a discriminator holds the codes of an autoencoder to a prior (Makhzani 2016, 1511.05644).

Five forms (model.form), in the paper's order:

    unsupervised     codes follow a prior: normal, petals on a ring, or a swiss roll
    label_informed   the discriminator is also told the label of a code, or that it has none: each class takes a section of
                     the prior (dataset.labeled=N: the labels of N examples; without it, all)
    supervised       the decoder is told the label, so that codes hold the style alone
    semisupervised   the encoder gives a class beside the style, each held to its prior by a discriminator of its own, and
                     learns the class from labeled examples in a turn of its own (dataset.labeled=100)
    clustering       the same without labels: a category in place of the class

On each minibatch: the autoencoder reconstructs, the discriminators learn, the encoder fools them, and in the
semi-supervised form it classifies.

All networks have two hidden layers of 1,000 ReLU units and weights from N(0, 0.01), as in the paper, which a sigmoid ends
where images are decoded; a reconstruction costs half the squared distance of values in [0, 1], summed over them.  Encoders are
deterministic.  No code by the authors is known; optimizer, rates and lengths are ours (Adam), and so are batch norm
and noise on the inputs (model.norm, model.input_noise), which the forms with categories are trained with in docs/encoders.md.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gancli.data.spec import Batch, DataSpec
from gancli.errors import UserError, check_choice, check_range
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.prior import Normal, Prior, Ring, Sectioned, Styled, SwissRoll
from gancli.game.showcase import reconstructions
from gancli.losses.objective import Objective
from gancli.networks.autoencoder import CodeDiscriminator, MLPDecoder, MLPReader
from gancli.networks.initialization import normal_init
from gancli.networks.layers import label_weights
from gancli.options import Recipe
from gancli.ranks import shards
from gancli.registry import models

FORMS = ("unsupervised", "label_informed", "supervised", "semisupervised", "clustering")
PRIORS = ("gaussian", "ring", "swiss_roll")
CATEGORICAL = ("semisupervised", "clustering")  # forms whose codes begin with a category
Inputs = tuple[Tensor, ...]
Scalars = dict[str, Tensor]


@dataclass
class AAEOptions:
    """The form, the prior of the (style) codes, and the sizes of the networks."""

    name: str
    form: str  # one of FORMS
    prior: str  # one of PRIORS; ring and swiss_roll are laws in the plane
    prior_std: float  # gaussian: deviation of every code
    sections: int  # ring and swiss_roll: petals, or stretches; label_informed has one for each class
    latent_size: int  # codes (beside the category)
    categories: int  # clustering: clusters
    units: int  # of every hidden layer
    layers: int  # hidden layers of each network
    norm: str  # of encoder and decoder: none or batch
    input_noise: float  # deviation of noise on the encoder's inputs in training, of values in [0, 1]
    init_std: float  # of the weights at the start
    recipe: Recipe

    def __post_init__(self) -> None:
        check_choice("model.form", self.form, FORMS)
        check_choice("model.prior", self.prior, PRIORS)
        check_choice("model.norm", self.norm, ("none", "batch"))
        for key in ("prior_std", "init_std"):
            check_range(f"model.{key}", getattr(self, key), 0, open_low=True)
        for key in ("latent_size", "units", "layers", "sections"):
            check_range(f"model.{key}", getattr(self, key), 1)
        check_range("model.categories", self.categories, 2)
        check_range("model.input_noise", self.input_noise, 0)
        if self.prior != "gaussian" and self.latent_size != 2:
            raise ValueError(f"model.prior={self.prior} is a law in the plane, and model.latent_size={self.latent_size}: give "
                             "model.latent_size=2, or model.prior=gaussian")
        if self.prior == "gaussian" and self.form == "label_informed":
            raise ValueError("model.form=label_informed gives each class a section of the prior, and a Gaussian has none: "
                             "give model.prior=ring or model.prior=swiss_roll")


@models.register("aae", options=AAEOptions)
class AAE(Model):
    """Autoencoder, discriminator of codes and encoder move in this order; semi-supervised, the classifier after them."""

    needs = Needs(kinds=("images", "points"), min_side=1)
    refuses_augment = "its discriminators see codes, and no examples"
    small = {"latent_size": 2, "units": 16, "categories": 3, "init_std": 0.3}
    variants = ({}, {"form": "label_informed", "prior": "ring"}, {"form": "supervised", "prior": "swiss_roll"},
                {"form": "semisupervised", "norm": "batch", "input_noise": 0.3})

    def __init__(self, options: AAEOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        self.form, self.input_noise, self.classes = options.form, options.input_noise, len(spec.classes)
        self.categories = {"semisupervised": self.classes, "clustering": options.categories}.get(self.form, 0)
        self.style = style_prior(options, self.classes)
        self.prior: Prior = Styled(self.categories, self.style) if self.categories else self.style
        told = self.classes if self.form == "supervised" else 0  # numbers of a label that the decoder sees
        sizes = options.units, options.layers
        codes = self.categories + options.latent_size
        self.encoder = MLPReader(spec.shape, *sizes, spec.is_image, codes, options.norm)
        self.decoder = MLPDecoder(codes + told, *sizes, spec.shape, options.norm)
        self.discriminator = CodeDiscriminator(options.latent_size, *sizes, self.classes + 1 if self.is_informed else 0)
        judges = [self.discriminator]
        if self.categories:
            self.category_discriminator = CodeDiscriminator(self.categories, *sizes)
            judges.append(self.category_discriminator)
        normal_init(self, options.init_std)
        self.players = {"autoencoder": [self.encoder, self.decoder], "discriminator": [*judges], "encoder": [self.encoder]}
        if self.form == "semisupervised":
            self.players["classifier"] = [self.encoder]

    @property
    def is_informed(self) -> bool:
        """Whether the discriminator is told labels."""
        return self.form == "label_informed"

    @classmethod
    def needs_of(cls, options: AAEOptions) -> Needs:
        some = options.form in ("label_informed", "semisupervised")
        return Needs(cls.needs.kinds, labels=options.form == "supervised", labeled=some, min_side=1)

    @classmethod
    def lacks_of(cls, options: AAEOptions) -> frozenset[str]:
        return frozenset() if options.form in CATEGORICAL else frozenset({"codes", "classify"})

    @classmethod
    def check_data(cls, options: AAEOptions, spec: DataSpec) -> None:
        needs = cls.needs_of(options)
        if (needs.labels or needs.labeled) and not spec.classes:
            raise UserError(f"model=aae model.form={options.form} needs labels and this data set has none: give one with "
                            "labels, or model.form=unsupervised or clustering.")
        if spec.labeled and not needs.labeled:
            raise UserError(f"model=aae model.form={options.form} does not learn from labels of some examples: leave "
                            "dataset.labeled= out, or give model.form=semisupervised or label_informed.")
        super().check_data(options, spec)

    # Losses

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, Scalars]:
        match player:
            case "autoencoder":
                return self._reconstruction(batch)
            case "discriminator":
                return self._judged(batch, progress.turns.get(player, 0))
            case "encoder":
                return self._fooling(batch)
            case "classifier" if player in self.players:
                return self._classification(_labeled(batch))
        raise no_loss_for(player, self)

    def _reconstruction(self, batch: Batch) -> tuple[Tensor, Scalars]:
        outputs = self.decoder(self._told(self._codes(batch.real), batch.labels)).to(batch.real.dtype)
        loss = half_squared_distance(outputs.sigmoid(), (batch.real + 1) / 2) if self.spec.is_image else \
            half_squared_distance(outputs, batch.real)
        return loss, {"reconstruction": loss.detach()}

    def _judged(self, batch: Batch, turn: int) -> tuple[Tensor, Scalars]:
        """Return the discriminators' losses: the prior's codes are real, the encoder's are fake."""
        styles, categories = self._pairs(batch)
        judged = self.objective.discriminator(self.discriminator, *styles, turn)
        if categories is None:
            return judged.loss, judged.scalars
        other = self.objective.discriminator(self.category_discriminator, *categories, turn)
        return judged.loss + other.loss, judged.scalars | _of_category(other.scalars)

    def _fooling(self, batch: Batch) -> tuple[Tensor, Scalars]:
        """Return what the encoder minimizes as the generator of codes."""
        (real, fake), categories = self._pairs(batch)
        judged = self.objective.generator(self.discriminator, fake, real)
        if categories is None:
            return judged.loss, judged.scalars
        real, fake = categories
        other = self.objective.generator(self.category_discriminator, fake, real)
        return judged.loss + other.loss, judged.scalars | _of_category(other.scalars)

    def _classification(self, labeled: Batch) -> tuple[Tensor, Scalars]:
        logits = self._outputs(labeled.real)[:, :self.categories]
        loss = cross_entropy(logits, labeled.labels)
        return loss, {"class": loss.detach(), "class_accuracy": (logits.argmax(1) == labeled.labels).float().mean()}

    def _pairs(self, batch: Batch) -> tuple[tuple[Inputs, Inputs], tuple[Inputs, Inputs] | None]:
        """Return the discriminators' inputs, from the prior and from the encoder: for styles, and for categories if any."""
        codes, drawn = self._codes(batch.real), self.prior.like(batch.real)
        if self.categories:
            (y, z), (prior_y, prior_z) = (each.split((self.categories, each.shape[1] - self.categories), 1)
                                          for each in (codes, drawn))
            return ((prior_z,), (z,)), ((prior_y,), (y,))
        return self._informed(batch, codes, drawn) if self.is_informed else ((drawn,), (codes,)), None

    def _informed(self, batch: Batch, codes: Tensor, drawn: Tensor) -> tuple[Inputs, Inputs]:
        """Return codes with their labels for the discriminator; unlabeled ones have a class of their own, the last."""
        assert isinstance(self.style, Sectioned)  # AAEOptions sees to it
        if batch.labels is not None:
            return (self.style.within(batch.labels), batch.labels), (codes, batch.labels)
        labeled = _labeled(batch)
        labels = torch.cat((torch.full_like(labeled.labels[:1], self.classes).expand(len(codes)), labeled.labels))
        return ((torch.cat((drawn, self.style.within(labeled.labels))), labels),
                (torch.cat((codes, self._codes(labeled.real))), labels))

    # What the networks say

    def _outputs(self, x: Tensor) -> Tensor:
        """Return the encoder's outputs for examples, [N, categories + Z], float32; in training for examples with noise."""
        if self.training and self.input_noise:
            x = x + (2 if self.spec.is_image else 1) * self.input_noise * shards.randn_like(x)
        return self.encoder(x).float()

    def _codes(self, x: Tensor) -> Tensor:
        outputs = self._outputs(x)
        if not self.categories:
            return outputs
        return torch.cat((outputs[:, :self.categories].softmax(1), outputs[:, self.categories:]), 1)

    def _told(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        """Return what the decoder sees: the codes, in the supervised form behind the label."""
        if self.form != "supervised":
            return codes
        assert labels is not None  # the form needs them
        return torch.cat((label_weights(labels, self.classes), codes), 1)

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n latents of the prior, [n, categories + Z], on the CPU."""
        return self.prior.draw(n, generator)

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the examples of latents [N, categories + Z]; labels [N] or [N, classes] in the supervised form alone."""
        outputs = self.decoder(self._told(z, labels))
        return outputs.sigmoid() * 2 - 1 if self.spec.is_image else outputs

    def sample(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return n generated examples; labels that are not given are drawn at random where the decoder is told any."""
        if labels is None and self.form == "supervised":
            labels = torch.randint(self.classes, (n,), generator=generator)
        return super().sample(n, generator, labels)

    @property
    def codes(self) -> dict[str, int | None]:
        """The category, where latents have one: c1."""
        return self.prior.codes if isinstance(self.prior, Styled) else {}

    def with_codes(self, z: Tensor, values: dict[str, Tensor]) -> Tensor:
        """Return latents in which the category c1 has other values [N]."""
        assert isinstance(self.prior, Styled)
        return self.prior.with_codes(z, values)

    def encode(self, x: Tensor) -> Tensor:
        """Return the latents [N, categories + Z] of examples; categories as their probabilities."""
        return self._codes(x)

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return examples as their codes, and in the supervised form their labels [N], tell them."""
        return self.generate(self._codes(x), labels)

    def classify(self, x: Tensor) -> Tensor:
        """Return the logits of classes, or of clusters, [N, categories]."""
        return self._outputs(x)[:, :self.categories]

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # the prior is there to be drawn from
        return {"samples": self.generate(fixed.z, fixed.labels), "reconstructions": reconstructions(self, fixed)}


def style_prior(options: AAEOptions, classes: int) -> Prior:
    """Return what the codes beside the category are held to."""
    if options.prior == "gaussian":
        return Normal(options.latent_size, std=options.prior_std)
    sections = classes if options.form == "label_informed" else options.sections
    return (Ring if options.prior == "ring" else SwissRoll)(sections)


def half_squared_distance(one: Tensor, two: Tensor) -> Tensor:
    """Return half the squared distance of examples [N, ...], its mean over them."""
    return 0.5 * (one - two).square().flatten(1).sum(1).mean()


def _labeled(batch: Batch) -> Batch:
    """Return the examples whose labels are known: a batch beside this one, or itself where all are."""
    labeled = batch if batch.labeled is None else batch.labeled
    assert labeled.labels is not None  # the data were checked
    return labeled


def _of_category(scalars: Scalars) -> Scalars:
    """Return the figures of the category's discriminator under names of their own."""
    return {f"category_{name.replace('D(G(z))', 'fake').replace('D(x)', 'real')}": value for name, value in scalars.items()}
