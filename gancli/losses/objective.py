"""The objective that players share: an adversarial rule with its penalties, constraints and augmentation."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gancli.gradients import halves_apart
from gancli.losses.adversarial import Rule, rule_of
from gancli.losses.augmentation import Augmentation
from gancli.losses.options import LossOptions
from gancli.losses.output import Inputs, Judge, Judged, Output, halves, logits_only, outputs_of
from gancli.losses.penalties import clip_weights, dragan_penalty, gradient_penalty, zero_centered_penalty


class Objective(nn.Module):
    """What a discriminator and its opponents minimize; its state, if it has any, travels in the checkpoint.

    A judge is a callable from inputs to outputs ([N] or [N, 1, h, w], with features or without); real and fake are tuples
    of its inputs: (x,) for a GAN, (x, labels) for a conditional one, (x, z) for a BiGAN.
    """

    augment: Augmentation | None

    def __init__(self, options: LossOptions, augment: Augmentation | None = None) -> None:
        super().__init__()
        self.options = options
        self.rule = None if options.rule == "none" else rule_of(options)
        self.one_pass = False  # real and fake share one forward pass: the model allows it where no layer forbids
        self.augment = augment

    # What the engine calls beside the losses

    def begin(self, model: Any, reference: Any) -> None:
        """Look at a batch of real data, the same on every rank, before the first round (see Model.begin)."""

    def of_weights(self, player: str) -> Tensor | None:
        """Return what a player's loss says about its weights alone; None for nothing."""
        return None

    def constrain(self, modules: Iterable[nn.Module]) -> None:
        """Enforce what holds between steps: clip the discriminator's weights."""
        if self.options.weight_clip is not None:
            clip_weights(modules, self.options.weight_clip)

    def after_round(self, images: int) -> None:
        """Adapt after a round that showed so many images; nothing waits for the device."""
        if self.augment is not None:
            self.augment.after_round(images)

    # Losses

    def discriminator(self, judge: Judge, real: Inputs, fake: Inputs, turn: int, penalties: float = 1.0) -> Judged:
        """Return the discriminator's loss with the penalties due on this turn (counted from 0), and its parts.

        Args:
            penalties: what their weights are multiplied by: a schedule of the model's.
        """
        judge = self._augmented(judge)
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
        judge = self._augmented(judge)
        of_real: Output | None
        if encoder or self._shared.relativistic:
            of_real, of_fake = self._judge_both(judge, real, fake)
        else:
            of_real, of_fake = None, outputs_of(judge, fake)
        loss = self._shared.generator(of_fake.logits, None if of_real is None else of_real.logits)
        if encoder and of_real is not None:
            loss = loss + self._shared.encoder(of_real.logits)
        return Judged(loss, {"adversarial": loss.detach(), "D(G(z))": self._score(of_fake)}, of_real, of_fake)

    def zero_centered(self, judge: Judge, inputs: Inputs) -> Tensor:
        """Return 1/2 E |grad D|^2 at inputs, which pass the augmentation on their way: R1 on a turn of its own."""
        return zero_centered_penalty(logits_only(self._augmented(judge)), inputs)

    @property
    def _shared(self) -> Rule:
        if self.rule is None:
            raise ValueError("loss=none has no rule: its model brings losses of its own")
        return self.rule

    def _augmented(self, judge: Judge) -> Judge:
        """Return the judge behind the augmentation, which every example among its inputs passes."""
        augment = self.augment
        if augment is None:
            return judge
        return lambda *inputs: judge(*augment(inputs))

    def _score(self, output: Output) -> Tensor:
        return self._shared.score(output.logits.detach()).mean()

    def _judge_both(self, judge: Judge, real: Inputs, fake: Inputs) -> tuple[Output, Output]:
        if not self.one_pass:
            return outputs_of(judge, real), outputs_of(judge, fake)
        both = tuple(torch.cat((x, g.to(x.dtype))) for x, g in zip(real, fake, strict=True))
        with halves_apart():
            return halves(outputs_of(judge, both))

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
