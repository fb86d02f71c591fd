"""Runs on disk that look trained: tiny models from the real conf files, saved as the engine saves them."""

from pathlib import Path

import torch
from composing import read, spec_for
from omegaconf import OmegaConf
from systems import CONF, loss_for, system

from gancli.data.spec import DataSpec
from gancli.game.build import adapt, build_model, model_options
from gancli.losses.objective import Objective
from gancli.losses.options import LossOptions
from gancli.options import typed
from gancli.runs.checkpoint import CheckpointFolder


def config_of(name: str, loss: str | None = None, **changes) -> dict:
    """Return the resolved model and loss of a run."""
    model = OmegaConf.merge(read(CONF / f"model/{name}.yaml"), dict(system(name).small), changes)
    values = OmegaConf.merge(read(CONF / "stabilizer/off.yaml"), read(CONF / f"loss/{loss or loss_for(name)}.yaml"))
    return {"model": OmegaConf.to_container(model), "loss": OmegaConf.to_container(values),
            "dataset": {"name": "digits"}}


def save_run(run_dir: Path, name: str, loss: str | None = None, spec: DataSpec | None = None, images: int = 2000,
             averaged: bool = True, **changes) -> Path:
    """Save a run of model `name` with random weights, its averaged ones half as large again; return its directory."""
    config, spec = config_of(name, loss, **changes), spec or spec_for(name)
    options = typed(LossOptions, config["loss"], "loss")
    torch.manual_seed(1)
    model = build_model(model_options(adapt(config["model"], options)[0]), Objective(options), spec)
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            if key.endswith("strength"):  # of noise, which starts as none
                tensor.fill_(0.3)
            elif tensor.dim() > 1 and tensor.square().mean() < 2:  # a mapping's weights are stored 100 times as large
                tensor.copy_(torch.randn_like(tensor) * (2 / tensor[0].numel()) ** 0.5)
    state = model.state_dict()
    tensors = {f"model/{key}": tensor for key, tensor in state.items()}
    if averaged:
        tensors |= {f"ema/{key}": 1.5 * state[key] for key in state if key.startswith("generator.")
                    and state[key].is_floating_point()}
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    CheckpointFolder(run_dir).save(images, tensors, {"config": config, "spec": spec.as_dict(),
                                                     "progress": {"images": images}})
    return run_dir
