"""Plain training loops as public example scripts have them, on the same networks: what gancli is compared with.

A DataLoader decodes, scales and normalizes image after image; real and fake go through the discriminator one after
the other; everything is float32; losses are fetched with .item() at every step.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, softplus
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from gancli.gradients import library_kernels
from gancli.networks import styled as styled_layers
from gancli.networks.resampling import smoothed

TURNS, WEIGHT, LAMBDA_CYCLE, LAMBDA_IDENTITY = 5, 10.0, 10.0, 5.0


class Pictures(Dataset):
    """Images as torchvision's data sets give them: a PIL image a call, transformed."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays = arrays  # uint8 [N, H, W, C], one for each domain
        channels = arrays[0].shape[-1]
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * channels, [0.5] * channels)])

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        pictures = (array[index] for array in self.arrays)
        return tuple(self.transform(Image.fromarray(p[:, :, 0] if p.shape[2] == 1 else p)) for p in pictures)


def batches(arrays: list[np.ndarray], batch: int, device: torch.device) -> Iterator[tuple[Tensor, ...]]:
    """Yield shuffled batches without end: of pictures, or of sequences of tokens [N, T]."""
    examples = Pictures(arrays) if arrays[0].ndim == 4 else TensorDataset(torch.from_numpy(arrays[0]))
    loader = DataLoader(examples, batch, shuffle=True, drop_last=True)
    for _ in itertools.count():
        for pictures in loader:
            yield tuple(picture.to(device) for picture in pictures)


def optimizers(plan, *networks: nn.Module) -> list[torch.optim.Optimizer]:
    """Return one optimizer a network with the plan's settings and torch's defaults for the rest."""
    options = plan.optimizer
    if options.name == "sgd":
        return [torch.optim.SGD(n.parameters(), options.lr, options.momentum) for n in networks]
    return [torch.optim.Adam(n.parameters(), options.lr, tuple(options.betas)) for n in networks]


def pair(plan, model, data: Iterator) -> Iterator[int]:
    """Train a generator against a discriminator with the non-saturating loss; yield the images shown a step."""
    generator, discriminator, cost = model.generator, model.discriminator, nn.BCEWithLogitsLoss()
    by_generator, by_discriminator = optimizers(plan, generator, discriminator)
    for (real,) in data:
        ones, zeros = torch.ones(len(real), device=real.device), torch.zeros(len(real), device=real.device)
        by_discriminator.zero_grad()
        loss_real = cost(discriminator(real), ones)
        loss_real.backward()
        fake = generator(model.latents_for(real))
        loss_fake = cost(discriminator(fake.detach()), zeros)
        loss_fake.backward()
        by_discriminator.step()
        by_generator.zero_grad()
        loss = cost(discriminator(fake), ones)
        loss.backward()
        by_generator.step()
        (loss_real.item(), loss_fake.item(), loss.item())
        yield len(real)


def wgan_gp(plan, model, data: Iterator) -> Iterator[int]:
    """Train five critic steps with a gradient penalty to each generator step."""
    generator, critic = model.generator, model.discriminator
    by_generator, by_critic = optimizers(plan, generator, critic)
    while True:
        shown = 0
        for _ in range(TURNS):
            (real,) = next(data)
            by_critic.zero_grad()
            fake = generator(model.latents_for(real)).detach()
            epsilon = torch.rand(len(real), 1, 1, 1, device=real.device)
            between = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
            slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
            penalty = ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
            loss = critic(fake).mean() - critic(real).mean() + WEIGHT * penalty
            loss.backward()
            by_critic.step()
            loss.item()
            shown += len(real)
        by_generator.zero_grad()
        loss = -critic(generator(model.latents_for(real))).mean()
        loss.backward()
        by_generator.step()
        loss.item()
        yield shown


def seqgan(plan, model, data: Iterator) -> Iterator[int]:
    """Train the discriminator ten times and the generator once, roll-outs place by place (public ports of Yu 2017)."""
    writer, judge, options = model.generator, model.discriminator, model.options
    by_writer, by_judge = optimizers(plan, writer, judge)
    lstm = nn.LSTM(options.embedding_size, options.units, batch_first=True).to(next(writer.parameters()).device)
    cost, (length,) = nn.CrossEntropyLoss(), plan.spec.shape
    lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0 = writer.inputs.weight, writer.recurrent.weight, writer.inputs.bias
    nn.init.zeros_(lstm.bias_hh_l0)

    def write_on(tokens: Tensor) -> Tensor:
        """Complete beginnings [N, t] one token after the other."""
        start = torch.zeros_like(tokens[:, :1]) if tokens.shape[1] else tokens.new_zeros(len(tokens), 1)
        hidden, state = lstm(writer.embedding(torch.cat((start, tokens), 1)))
        while tokens.shape[1] < length:
            chosen = torch.multinomial(writer.output(hidden[:, -1]).softmax(1), 1)
            tokens = torch.cat((tokens, chosen), 1)
            hidden, state = lstm(writer.embedding(chosen), state)
        return tokens

    while True:
        shown = 0
        for _ in range(plan.trainer.discriminator_turns):
            real = next(data)[0][:options.discriminator_batch]
            by_judge.zero_grad()
            with torch.no_grad():
                fake = write_on(real[:, :0])
            classes = torch.cat((torch.ones_like(real[:, 0]), torch.zeros_like(real[:, 0])))
            penalty = (judge.output.weight.square().sum() + judge.output.bias.square().sum()) / 2
            loss = cost(judge(torch.cat((real, fake))), classes) + options.weight_penalty * penalty
            loss.backward()
            nn.utils.clip_grad_norm_(judge.parameters(), 5.0)
            by_judge.step()
            loss.item()
            shown += len(real)
        with torch.no_grad():
            tokens = write_on(real.new_zeros(options.policy_batch, 0))
            rewards = []
            for place in range(1, length + 1):
                whole = write_on(tokens[:, :place].repeat(options.roll_outs if place < length else 1, 1))
                verdicts = judge(whole, drops=False).softmax(1)[:, 1]
                rewards.append(verdicts.view(-1, len(tokens)).mean(0))
        by_writer.zero_grad()
        hidden, _ = lstm(writer.embedding(torch.cat((torch.zeros_like(tokens[:, :1]), tokens[:, :-1]), 1)))
        logs = writer.output(hidden).log_softmax(2).gather(2, tokens[:, :, None])[:, :, 0]
        loss = -(logs * torch.stack(rewards, 1)).sum()
        loss.backward()
        nn.utils.clip_grad_norm_(writer.parameters(), 5.0)
        by_writer.step()
        loss.item()
        yield shown


def modulated_by_example(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool = True, double: bool = False,
                         gain: float = 1.0) -> Tensor:
    """Return what gancli.networks.styled.modulated does, by weights of each example's own and a grouped convolution."""
    n, channels, height, width = x.shape
    own = weight[None] * style[:, None, :, None, None]  # [N, F, C, K, K]
    if demodulate:
        own = own * (own.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt() * gain
    x = x.reshape(1, n * channels, height, width)
    if double:
        x = conv_transpose2d(x, own.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
        return smoothed(x.view(n, -1, *x.shape[2:]), padding=1, gain=4)
    return conv2d(x, own.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n).view(n, -1, height, width)


def styled(plan, model, data: Iterator) -> Iterator[int]:
    """Train a style-based pair with the logistic loss and R1, which is part of every so many-th step."""
    styled_layers.modulated = modulated_by_example  # in this process, which trains nothing else
    generator, discriminator, interval = model.generator, model.discriminator, plan.model.r1_interval
    by_generator, by_discriminator = optimizers(plan, generator, discriminator)
    for step, (real,) in enumerate(data):
        by_discriminator.zero_grad()
        fake = model.make(model.styles_for(real)).detach()
        real.requires_grad_()
        scores = model.judge(real)
        loss_d = softplus(-scores).mean() + softplus(model.judge(fake)).mean()
        if step % interval == 0:
            slope = torch.autograd.grad(scores.sum(), real, create_graph=True)[0]
            loss_d = loss_d + interval * model.gamma(real) / 2 * slope.square().sum((1, 2, 3)).mean()
        loss_d.backward()
        by_discriminator.step()
        by_generator.zero_grad()
        loss = softplus(-model.judge(model.make(model.styles_for(real)))).mean()
        loss.backward()
        by_generator.step()
        (loss_d.item(), loss.item())
        yield len(real)


def relativistic(plan, model, data: Iterator) -> Iterator[int]:
    """Train a pair with relativistic pairing, R1 and R2 on every step of the discriminator."""
    generator, discriminator, gamma = model.generator, model.discriminator, plan.loss.r1.weight
    by_generator, by_discriminator = optimizers(plan, generator, discriminator)
    for (real,) in data:
        by_discriminator.zero_grad()
        real.requires_grad_()
        fake = generator(model.latents_for(real)).detach().requires_grad_()
        of_real, of_fake = discriminator(real), discriminator(fake)
        loss_d = softplus(of_fake - of_real).mean()
        for scores, x in ((of_real, real), (of_fake, fake)):
            slope = torch.autograd.grad(scores.sum(), x, create_graph=True)[0]
            loss_d = loss_d + gamma / 2 * slope.square().sum((1, 2, 3)).mean()
        loss_d.backward()
        by_discriminator.step()
        by_generator.zero_grad()
        loss = softplus(discriminator(real.detach()) - discriminator(generator(model.latents_for(real)))).mean()
        loss.backward()
        by_generator.step()
        (loss_d.item(), loss.item())
        yield len(real)


def cyclegan(plan, model, data: Iterator) -> Iterator[int]:
    """Train two translators and two patch discriminators as Zhu 2017's scripts do, network by network."""
    to_b, to_a, judge_a, judge_b = model.to_b, model.to_a, model.judge_a, model.judge_b
    square, absolute = nn.MSELoss(), nn.L1Loss()
    by_translators, by_a, by_b = optimizers(plan, nn.ModuleList([to_b, to_a]), judge_a, judge_b)
    for a, b in data:
        by_translators.zero_grad()
        identity = absolute(to_b(b), b) + absolute(to_a(a), a)
        fake_b, fake_a = to_b(a), to_a(b)
        score_b, score_a = judge_b(fake_b), judge_a(fake_a)
        adversarial = square(score_b, torch.ones_like(score_b)) + square(score_a, torch.ones_like(score_a))
        cycle = absolute(to_a(fake_b), a) + absolute(to_b(fake_a), b)
        loss = adversarial + LAMBDA_CYCLE * cycle + LAMBDA_IDENTITY * identity
        loss.backward()
        by_translators.step()
        losses = [loss]
        for judge, real, made, optimizer, pool in ((judge_a, a, fake_a, by_a, model.pool_a),
                                                   (judge_b, b, fake_b, by_b, model.pool_b)):
            optimizer.zero_grad()
            on_real, on_made = judge(real), judge(pool.exchange(made.detach()))
            loss = 0.5 * (square(on_real, torch.ones_like(on_real)) + square(on_made, torch.zeros_like(on_made)))
            loss.backward()
            optimizer.step()
            losses.append(loss)
        [loss.item() for loss in losses]
        yield len(a)


LOOPS = {"pair": pair, "wgan_gp": wgan_gp, "cyclegan": cyclegan, "seqgan": seqgan, "styled": styled,
         "relativistic": relativistic}


def steps(kind: str, plan, model, arrays: list[np.ndarray], device: torch.device) -> Iterator[int]:
    """Return the loop `kind`, which yields the images shown by each generator step; only the library's kernels run."""
    return by_library(LOOPS[kind](plan, model, batches(arrays, plan.trainer.batch_size, device)))


def by_library(loop: Iterator[int]) -> Iterator[int]:
    """Return a loop of which the library's kernels alone do the work."""
    while True:
        with library_kernels():
            shown = next(loop)
        yield shown
