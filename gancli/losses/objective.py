"""The objective that players share: an adversarial rule with its penalties and constraints."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gancli.gradients import halves_apart
from gancli.losses.adversarial import rule_of
from gancli.losses.options import LossOptions
from gancli.losses.penalties import (
    Inputs,
    Judge,
    clip_weights,
    dragan_penalty,
    gradient_penalty,
    zero_centred_penalty,
)

Scalars = dict[str, Tensor]


class Objective:
    """What a discriminator and its opponents minimise.

    A judge is a callable from inputs to outputs ([N] or [N, 1, h, w]); real and fake are tuples of its inputs:
    (x,) for a GAN, (x, labels) for a conditional one, (x, z) for a BiGAN.
    """

    def __init__(self, options: LossOptions) -> None:
        self.options = options
        self.rule = rule_of(options)
        self.one_pass = False  # real and fake share one forward pass: the model allows it where no layer forbids

    def discriminator(self, judge: Judge, real: Inputs, fake: Inputs, turn: int) -> tuple[Tensor, Scalars]:
        """Return the discriminator's loss with the penalties due on this turn (counted from 0), and its parts."""
        real_outputs, fake_outputs = self._judge_both(judge, real, fake)
        loss = self.rule.discriminator(real_outputs, fake_outputs)
        scalars = {"adversarial": loss.detach(), "D(x)": self._score(real_outputs), "D(G(z))": self._score(fake_outputs)}
        for name, weight, penalty in self._penalties(judge, real, fake, turn):
            scalars[name] = penalty.detach()
            loss = loss + weight * penalty
        return loss, scalars

    def generator(self, judge: Judge, fake: Inputs, real: Inputs, encoder: bool = False) -> tuple[Tensor, Scalars]:
        """Return the loss of the generator, and of the encoder that makes the real pairs where `encoder`."""
        if encoder or self.rule.relativistic:
            real_outputs, fake_outputs = self._judge_both(judge, real, fake)
        else:
            real_outputs, fake_outputs = None, judge(*fake).float()
        loss = self.rule.generator(fake_outputs, real_outputs)
        if encoder:
            loss = loss + self.rule.encoder(real_outputs)
        return loss, {"adversarial": loss.detach(), "D(G(z))": self._score(fake_outputs)}

    def constrain(self, modules: Iterable[nn.Module]) -> None:
        """Enforce what holds between steps: clip the discriminator's weights."""
        if self.options.weight_clip is not None:
            clip_weights(modules, self.options.weight_clip)

    def _score(self, outputs: Tensor) -> Tensor:
        return self.rule.score(outputs.detach()).mean()

    def _judge_both(self, judge: Judge, real: Inputs, fake: Inputs) -> tuple[Tensor, Tensor]:
        if not self.one_pass:
            return judge(*real).float(), judge(*fake).float()
        both = (torch.cat((x, g.to(x.dtype))) for x, g in zip(real, fake, strict=True))
        with halves_apart():
            return judge(*both).float().chunk(2)

    def _penalties(self, judge: Judge, real: Inputs, fake: Inputs, turn: int):
        """Yield (name, weight, value) of each penalty that is due; a lazy one weighs its interval more."""
        options = self.options
        due = options.gradient_penalty
        if due.due(turn):
            yield "gradient_penalty", due.weight * due.interval, gradient_penalty(judge, real, fake, due.one_sided)
        if options.dragan.due(turn):
            yield "dragan", options.dragan.weight * options.dragan.interval, dragan_penalty(judge, real)
        if options.r1.due(turn):
            yield "r1", options.r1.weight * options.r1.interval, zero_centred_penalty(judge, real)
        if options.r2.due(turn):
            yield "r2", options.r2.weight * options.r2.interval, zero_centred_penalty(judge, fake)
