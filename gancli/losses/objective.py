"""The objective that players share: an adversarial rule with its penalties, constraints and augmentation."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gancli.gradients import halves_apart
from gancli.losses.adversarial import Rule, rule_of
from gancli.losses.augmentation import Augmentation
from gancli.losses.features import Watch, feature_distance
from gancli.losses.history import History
from gancli.losses.options import LossOptions
from gancli.losses.output import Inputs, Judge, Judged, Output, logits_only, outputs_of, parted
from gancli.losses.packing import judging_packs, packed, unpacked
from gancli.losses.penalties import clip_weights, dragan_penalty, gradient_penalty, zero_centered_penalty
from gancli.ranks import shards


class Objective(nn.Module):
    """What a discriminator and its opponents minimize; its state, if it has any, travels in the checkpoint.

    A judge is a callable from inputs to outputs ([N] or [N, 1, h, w], with features or without); real and fake are tuples
    of its inputs: (x,) for a GAN, (x, labels) for a conditional one, (x, z) for a BiGAN.
    """

    augment: Augmentation | None
    history: History | None

    def __init__(self, options: LossOptions, augment: Augmentation | None = None, count: int | None = None) -> None:
        """Build the objective.

        Args:
            count: examples of the data set, of which loss.top_k counts the passes; None: they never end.
        """
        super().__init__()
        self.options = options
        self.rule = None if options.rule == "none" else rule_of(options)
        self.one_pass = False  # real and fake share one forward pass: the model allows it where no layer forbids
        self.together = False  # a model's wish: they share it with its batch statistics, in every player's loss
        self.augment = augment
        self.history = None  # game/build.py sets it where loss.historical_averaging is on
        self.watch = Watch()  # of the layers that game/build.py shows it
        self.count = count
        self.images = 0  # shown before this round

    # What the engine calls beside the losses

    def begin(self, model: Any, reference: Any) -> None:
        """Look at a batch of real data, the same on every rank, before the first round (see Model.begin)."""
        if self.history is not None:
            self.history.begin()

    def before_round(self, images: int) -> None:
        """Note where the run stands: so many images have been shown."""
        self.images = images

    def of_weights(self, player: str, ahead: Mapping[str, Tensor] | None = None) -> Tensor | None:
        """Return what a player's loss says about its weights alone; None for nothing.

        Args:
            ahead: weights by their names in the model that stand in place of their present values.
        """
        if self.history is None:
            return None
        return self.options.historical_averaging * self.history.distance(player, ahead or {})

    def constrain(self, modules: Iterable[nn.Module]) -> None:
        """Enforce what holds between steps: clip the discriminator's weights."""
        if self.options.weight_clip is not None:
            clip_weights(modules, self.options.weight_clip)

    def after_round(self, images: int) -> None:
        """Adapt after a round that showed so many images; nothing waits for the device."""
        if self.augment is not None:
            self.augment.after_round(images)
        if self.history is not None:
            self.history.after_round()

    # Losses

    def discriminator(self, judge: Judge, real: Inputs, fake: Inputs, turn: int, penalties: float = 1.0) -> Judged:
        """Return the discriminator's loss with the penalties due on this turn (counted from 0), and its parts.

        Args:
            penalties: what their weights are multiplied by: a schedule of the model's.
        """
        judge, real, fake = self._prepared(judge, real, fake)
        of_real, of_fake = self._judge_both(judge, real, fake)
        loss = self._shared.discriminator(of_real.logits, of_fake.logits)
        scalars = {"adversarial": loss.detach(), "D(x)": self._score(of_real), "D(G(z))": self._score(of_fake)}
        if self.augment is not None:
            self.augment.observe(of_real.logits.detach() - (self._shared.undecided or 0.0))
            scalars |= self.augment.scalars()
        for name, weight, penalty in self._penalties(logits_only(judge), real, fake, turn):
            scalars[name] = penalty.detach()
            loss = loss + penalties * weight * penalty
        return Judged(loss, scalars, of_real, of_fake)

    def generator(self, judge: Judge, fake: Inputs, real: Inputs, encoder: bool = False) -> Judged:
        """Return the loss of the generator, and of the encoder that makes the real pairs where `encoder`."""
        judge, real, fake = self._prepared(judge, real, fake)
        matching = self.options.feature_matching
        of_real: Output | None
        if encoder or self.together or self._shared.relativistic or matching.weight > 0:
            of_real, of_fake = self._judge_both(judge, real, fake)
        else:
            of_real, of_fake = None, outputs_of(judge, fake)
        scalars = {"D(G(z))": self._score(of_fake)}
        loss = of_fake.logits.new_zeros(())
        if matching.weight == 0 or not matching.instead:
            loss = self._adversarial(of_fake, of_real, encoder)
            scalars = {"adversarial": loss.detach(), **scalars}
        if matching.weight > 0 and of_real is not None:
            distance = feature_distance(of_real.watched, of_fake.watched, matching.distance)
            scalars["feature_matching"] = distance.detach()
            loss = loss + matching.weight * distance
        return Judged(loss, scalars, of_real, of_fake)

    def _adversarial(self, of_fake: Output, of_real: Output | None, encoder: bool) -> Tensor:
        """Return the rule's loss of the generator, and of an encoder that makes the real pairs."""
        fake, real = of_fake.logits, None if of_real is None else of_real.logits
        if self.options.picks:
            fake, real = self._most_real(fake, real if self._shared.relativistic else None)
        loss = self._shared.generator(fake, real)
        if encoder and of_real is not None:
            loss = loss + self._shared.encoder(of_real.logits)
        return loss

    def _most_real(self, fake: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the logits of the generated examples that the discriminator finds most real, and of reals paired with them.

        Of a patch discriminator's map the mean counts.  They are picked from the whole batch, whose loss every rank
        computes (Sinha 2020).
        """
        passes = 0 if self.count is None else self.images // self.count
        fake = shards.stacked(fake).flatten(0, 1)
        chosen = fake.detach().flatten(1).mean(1) if fake.dim() > 1 else fake.detach()
        places = chosen.topk(self.options.top_k.of(len(chosen), passes)).indices
        return fake[places], None if real is None else shards.stacked(real).flatten(0, 1)[places]

    def zero_centered(self, judge: Judge, inputs: Inputs) -> Tensor:
        """Return 1/2 E |grad D|^2 at inputs, which pass the augmentation on their way: R1 on a turn of its own."""
        judge, inputs, _ = self._prepared(judge, inputs, inputs)
        return zero_centered_penalty(logits_only(judge), inputs)

    @property
    def _shared(self) -> Rule:
        if self.rule is None:
            raise ValueError("loss=none has no rule: its model brings losses of its own")
        return self.rule

    def _prepared(self, judge: Judge, real: Inputs, fake: Inputs) -> tuple[Judge, Inputs, Inputs]:
        """Return the judge behind the augmentation, which every example among its inputs passes, and what it takes.

        Packs are made first: penalties take the gradient with respect to a pack, as it is before the augmentation.
        """
        size = self.options.packing
        real, fake = packed(real, size), packed(fake, size)
        behind = self._watched(judging_packs(judge, size))
        augment = self.augment
        if augment is None:
            return behind, real, fake
        return (lambda *inputs: behind(*packed(augment(unpacked(inputs, size)), size))), real, fake

    def _watched(self, judge: Judge) -> Judge:
        """Return the judge with what the objective watches among its outputs."""
        if self.options.feature_matching.weight == 0:
            return judge

        def found(*inputs: Tensor) -> Output:
            with self.watch.noting() as noted:
                output = outputs_of(judge, inputs)
            return output._replace(watched=tuple(noted))

        return found

    def _score(self, output: Output) -> Tensor:
        return self._shared.score(output.logits.detach()).mean()

    def _judge_both(self, judge: Judge, real: Inputs, fake: Inputs) -> tuple[Output, Output]:
        if not (self.one_pass or self.together):
            return outputs_of(judge, real), outputs_of(judge, fake)
        both = tuple(torch.cat((x, g.to(x.dtype))) for x, g in zip(real, fake, strict=True))
        with nullcontext() if self.together else halves_apart():
            return parted(outputs_of(judge, both), len(real[0]), len(fake[0]))

    def _penalties(self, judge: Callable[..., Tensor], real: Inputs, fake: Inputs,
                   turn: int) -> Iterator[tuple[str, float, Tensor]]:
        """Yield (name, weight, value) of each penalty that is due; a lazy one weighs its interval more."""
        options = self.options
        due = options.gradient_penalty
        if due.due(turn):
            yield "gradient_penalty", due.weight * due.interval, gradient_penalty(judge, real, fake, due.one_sided)
        if options.dragan.due(turn):
            yield "dragan", options.dragan.weight * options.dragan.interval, dragan_penalty(judge, real)
        if options.r1.due(turn):
            yield "r1", options.r1.weight * options.r1.interval, zero_centered_penalty(judge, real)
        if options.r2.due(turn):
            yield "r2", options.r2.weight * options.r2.interval, zero_centered_penalty(judge, fake)
