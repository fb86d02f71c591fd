"""SeqGAN: a generator of discrete tokens that learns from a discriminator by policy gradient (Yu 2017).

Three phases, as in algorithm 1 and the authors' code (github.com/LantaoYu/SeqGAN): the generator learns by maximum
likelihood; the discriminator learns to tell its sequences from real ones; then both play.  Networks, initialization,
rates, lengths and the 4,680 turns of the discriminator for each of the generator are that code's, for its oracle
(`dataset=oracle`); data_recipe/ has smaller ones for text.

As in that code, rewards come without dropout and without a baseline, the roll-outs' policy is always the present generator
(its update rate does nothing there), gradients are clipped, likelihood and policy gradient have Adam states of their own,
and half the squared norm of the discriminator's output layer is part of its loss.

What differs: generated sequences that the discriminator sees are new ones on each turn, where that code trains three
times on the same 10,000.  Clipping, there of the generator's gradient alone, is of each player's.  The highway layer's
biases begin at 0.  A text may end before its last token: then the end is a token like others, of which no choice and no
loss follows; all sequences of the paper are equally long.  Sequences are chosen by uniform numbers and the inverse of
the distribution function, so that a seed means the same text whatever it is asked for with.

Legend: N sequences, T tokens of each, P = T - 1 beginnings, R roll-outs of each.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gancli.data.spec import Batch, DataSpec
from gancli.errors import check_range
from gancli.game.model import Fixed, Model, Needs, Progress, no_loss_for
from gancli.game.phase import Phase, Turn, in_turn
from gancli.game.prior import Uniform
from gancli.gradients import halves_apart
from gancli.losses.objective import Objective
from gancli.networks.sequences import Reader, State, Writer
from gancli.options import Recipe
from gancli.ranks import shards
from gancli.registry import models

JUDGED = 1024  # completed sequences that are judged at once
REAL = 1  # of the discriminator's two classes


@dataclass
class SeqGANOptions:
    """The networks, how long each phase is, and how much of what a turn sees."""

    name: str
    embedding_size: int  # of the generator
    units: int  # of its LSTM
    discriminator_embedding: int
    widths: list[int]  # of the discriminator's windows, in tokens; those wider than a sequence are left out
    filters: list[int]  # of each width
    dropout: float
    weight_penalty: float  # on half the squared norm of the discriminator's output layer
    roll_outs: int  # of each beginning (the paper's N)
    likelihood_kimg: float  # length of the generator's pretraining
    discriminator_kimg: float  # length of the discriminator's pretraining
    discriminator_batch: int  # real sequences of its turns, beside as many generated ones
    policy_batch: int  # sequences of a turn of policy gradient, over all devices
    policy_lr: float | None  # the generator's rate from then on; null: that of its pretraining (the paper)
    recipe: Recipe

    def __post_init__(self) -> None:
        for key in ("embedding_size", "units", "discriminator_embedding", "roll_outs", "discriminator_batch", "policy_batch"):
            check_range(f"model.{key}", getattr(self, key), 1)
        for key in ("likelihood_kimg", "discriminator_kimg", "weight_penalty"):
            check_range(f"model.{key}", getattr(self, key), 0)
        for value in (*self.widths, *self.filters):
            check_range("model.widths and model.filters", value, 1)
        check_range("model.dropout", self.dropout, 0, 0.99)
        check_range("model.policy_lr", self.policy_lr, 0)
        if not self.widths or len(self.widths) != len(self.filters):
            raise ValueError(f"model.widths and model.filters must be lists of one length, not of {len(self.widths)} and "
                             f"{len(self.filters)}")
        if self.policy_batch % self.discriminator_batch:
            raise ValueError(f"model.policy_batch={self.policy_batch} must be a multiple of model.discriminator_batch="
                             f"{self.discriminator_batch}, whose turns it shares with")


@models.register("seqgan", options=SeqGANOptions)
class SeqGAN(Model):
    """An LSTM against a convolutional network; each token is rewarded by what the discriminator says of its completions."""

    needs = Needs(kinds=("tokens",))
    losses = ()
    small = {"embedding_size": 4, "units": 5, "discriminator_embedding": 4, "widths": [1, 2, 30], "filters": [3, 4, 5],
             "roll_outs": 2, "likelihood_kimg": 0.016, "discriminator_kimg": 0.016, "discriminator_batch": 4,
             "policy_batch": 8}

    def __init__(self, options: SeqGANOptions, spec: DataSpec, objective: Objective) -> None:
        super().__init__(spec, objective)
        vocabulary, (length,) = len(spec.vocabulary), spec.shape
        self.prior = Uniform(length, low=0.0, high=1.0)
        self.generator = Writer(vocabulary, options.embedding_size, options.units, spec.end)
        self.discriminator = Reader(vocabulary, length, options.discriminator_embedding, options.widths, options.filters,
                                    options.dropout)
        self.players = {"discriminator": [self.discriminator], "generator": [self.generator]}
        self.options = options
        self.pretrained = round(1000 * options.likelihood_kimg)  # images after which each phase has ended
        self.prepared = self.pretrained + round(1000 * options.discriminator_kimg)

    def phase(self, progress: Progress, default: Phase) -> Phase:
        """Likelihood, then the discriminator, then a turn of the generator in every so many of the discriminator's.

        The generator's optimizer begins anew after its pretraining; the discriminator's has no state by then.
        """
        size = self.options.discriminator_batch
        if progress.images < self.pretrained:
            return in_turn(["generator"], name="likelihood")
        if progress.images < self.prepared:
            return in_turn(["discriminator"], name="discriminator", batch_size=size, fresh_optimizers=True)
        every = sum(turn.player == "discriminator" for turn in default.turns)
        rate = self.options.policy_lr
        return Phase((Turn("discriminator", draws=True), Turn("generator", draws=False, every=every)), name="adversarial",
                     batch_size=size, lr={} if rate is None else {"generator": rate},
                     fresh_optimizers=self.prepared == self.pretrained)

    def player_loss(self, player: str, batch: Batch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        if player == "discriminator":
            return self._judging(batch.real)
        if player != "generator":
            raise no_loss_for(player, self)
        if progress.images < self.pretrained:
            return self._likelihood(batch.real)
        return self._policy(len(batch) * (self.options.policy_batch // self.options.discriminator_batch), batch.real)

    def _likelihood(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return -log p of real sequences [N, T], the mean over all places."""
        logs = self.generator.log_likelihood(real)
        loss = -logs.mean()
        return loss, {"nll": -logs.detach().sum() / self.generator.chosen(real).sum()}

    def _judging(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the discriminator's cross-entropy on real and as many generated sequences, with its penalty."""
        n, output = len(real), self.discriminator.output
        both = torch.cat((real, self._written(n, real)[0]))
        with halves_apart():
            logits = self.discriminator(both)  # [2 N, 2]
        classes = (torch.arange(2 * n, device=real.device) < n).long()
        entropy = cross_entropy(logits, classes)
        penalty = (output.weight.square().sum() + output.bias.square().sum()) / 2
        of_real, of_fake = logits.detach().softmax(1)[:, REAL].chunk(2)
        return entropy + self.options.weight_penalty * penalty, {
            "adversarial": entropy.detach(), "D(x)": of_real.mean(), "D(G(z))": of_fake.mean()}

    def _policy(self, n: int, like: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return - sum over sequences and tokens of log p(y_t | before) Q_t (Yu 2017, eq. 7 and 8).

        The sum is that over the whole batch of all devices, of which this one's mean is an estimate.
        """
        tokens, states = self._written(n, like)
        rewards = self._rewards(tokens, states)  # [N, T]
        total = (self.generator.log_likelihood(tokens) * rewards).sum(1).mean()
        return -self.options.policy_batch * total, {
            "adversarial": -total.detach(), "D(G(z))": rewards[:, -1].mean(), "reward": rewards.mean()}

    @torch.no_grad()
    def _rewards(self, tokens: Tensor, states: list[State]) -> Tensor:
        """Return Q_t of each token [N, T] (Yu 2017, eq. 4): the mean verdict on its completions, and that on the whole.

        Q is a number in the policy gradient, of which no derivative is taken.
        """
        n, length = tokens.shape
        u = shards.rand(n, self.options.roll_outs, length - 1, length, device=tokens.device)
        completed = self.generator.roll_out(tokens, states, u)  # [P, R, N, T]
        verdicts = self._verdicts(completed.flatten(0, 2)).view(completed.shape[:3]).mean(1)  # [P, N]
        return torch.cat((verdicts, self._verdicts(tokens)[None])).T

    def _verdicts(self, tokens: Tensor) -> Tensor:
        """Return the discriminator's probability that sequences [N, T] are real, [N], without dropout."""
        return torch.cat([self.discriminator(some, drops=False).softmax(1)[:, REAL] for some in tokens.split(JUDGED)])

    @torch.no_grad()
    def _written(self, n: int, like: Tensor) -> tuple[Tensor, list[State]]:
        """Return n new sequences [N, T] and the states in which each token was chosen; no gradient passes a choice."""
        return self.generator.write(shards.rand(n, *self.prior.shape, device=like.device))

    def draw_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return the uniform numbers that choose n sequences, [n, T], on the CPU."""
        return self.prior.draw(n, generator)

    def generate(self, z: Tensor) -> Tensor:
        """Return the sequences [N, T] int64 that uniform numbers z [N, T] choose."""
        return self.generator.write(z)[0]

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Return log p of each token of sequences [N, T] in nats, [N, T]; 0 behind a text's end."""
        return self.generator.log_likelihood(x)

    def showcase(self, fixed: Fixed) -> dict[str, Tensor]:
        assert fixed.z is not None  # it draws latents
        return {"samples": self.generate(fixed.z)}
