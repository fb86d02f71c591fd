"""The loop of somebody who knows PyTorch well: bf16 where the hardware has it, channels last, fused optimizers, data in
memory, nothing recorded.

On the same networks as the plain loop, a pair of players alone; what is left between it and gancli is gancli's own work.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn.functional import softplus

from benching.reference import TURNS, WEIGHT
from gancli.devices import pick_precision
from gancli.engine.players import build_optimizer


def expert_steps(kind: str, plan, model, images: np.ndarray, device: torch.device) -> Iterator[int]:
    """Yield the images shown by each generator step.

    Args:
        images: uint8 [N, H, W, C].
    """
    generator, judge = (network.to(memory_format=torch.channels_last) for network in (model.generator, model.discriminator))
    data = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    size = plan.trainer.batch_size
    bf16 = pick_precision(plan.trainer.precision, device) == "bf16"
    lower = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    by_generator, by_judge = (build_optimizer(plan.optimizer.of(name, name == "discriminator"), list(network.parameters()))
                              for name, network in (("generator", generator), ("discriminator", judge)))
    critic = kind == "wgan_gp"
    while True:
        for _ in range(TURNS if critic else 1):
            real = data[torch.randint(len(data), (size,), device=device)].float().mul_(1 / 127.5).sub_(1)
            by_judge.zero_grad()
            with lower:
                fake = generator(model.latents_for(real))
                if critic:
                    fake = fake.detach()
                    share = torch.rand(size, 1, 1, 1, device=device)
                    between = (share * real + (1 - share) * fake).requires_grad_()
                    slope = torch.autograd.grad(judge(between).sum(), between, create_graph=True)[0]
                    penalty = ((slope.float().flatten(1).norm(2, dim=1) - 1) ** 2).mean()
                    loss = judge(fake).mean() - judge(real).mean() + WEIGHT * penalty
                else:
                    loss = softplus(-judge(real)).mean() + softplus(judge(fake.detach())).mean()
            loss.backward()
            by_judge.step()
        by_generator.zero_grad()
        judge.requires_grad_(False)
        with lower:
            scores = judge(generator(model.latents_for(real)) if critic else fake)
            loss = -scores.mean() if critic else softplus(-scores).mean()
        loss.backward()
        by_generator.step()
        judge.requires_grad_(True)
        yield size * (TURNS if critic else 1)
