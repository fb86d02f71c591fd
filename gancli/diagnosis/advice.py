"""What to change in the next run, as overrides of the command line with the run's own numbers (torch-free).

A run cannot be continued with another loss or rate, so that the advice is for a new one.
"""

import math

from gancli.diagnosis.setting import PROBABILITY, Setting


def _try(*overrides: str) -> str:
    return f"Try {', or '.join(overrides[:3])}."


def _lr(setting: Setting, player: str, factor: float) -> str:
    if not setting.discriminators:
        return f"optimizer.lr={setting.lr['generator'] * factor:.2g}"
    return f"optimizer.{player}.lr={setting.lr[player] * factor:.2g}"


def _even(setting: Setting) -> list[str]:
    """Return one rate for both players, between theirs, if these differ: whoever is slower falls behind."""
    rates = setting.lr["discriminator"], setting.lr["generator"]
    if rates[0] == rates[1] or not all(rates):
        return []
    middle = math.sqrt(rates[0] * rates[1])
    return [f"optimizer.discriminator.lr={middle:.2g} optimizer.generator.lr={middle:.2g}"]


def _hold(setting: Setting) -> list[str]:
    """Return the penalty that keeps the discriminator from running ahead, if it has none."""
    return ["loss.r1.weight=1"] if setting.exchangeable and not setting.penalized else []


def weaken(setting: Setting) -> str:
    """Discriminator too strong."""
    options = []
    if setting.saturating:
        options.append("loss=nonsaturating" if setting.rule == "minimax" else "loss.saturating=false")
    if setting.discriminator_turns > 1:
        options.append("trainer.discriminator_turns=1")
    if setting.lr["discriminator"] > setting.lr["generator"]:
        options += _even(setting)
    options += _hold(setting)
    if setting.rule in ("minimax", "nonsaturating", "maximum_likelihood", "lsgan") and not setting.label_smoothing:
        options.append("loss.label_smoothing=0.1")
    return _try(*options, _lr(setting, "discriminator", 0.25))


def strengthen(setting: Setting) -> str:
    """Discriminator too weak."""
    slower = setting.lr["discriminator"] < setting.lr["generator"]
    options = _even(setting) if slower else [_lr(setting, "discriminator", 4)]
    options.append(f"trainer.discriminator_turns={setting.discriminator_turns + 2}")
    return _try(*options, _lr(setting, "generator", 0.25))


def spread(setting: Setting) -> str:
    """Mode collapse, of all samples or within classes."""
    options = ["loss=rpgan"] if setting.exchangeable and setting.rule != "rpgan" else []
    if setting.reading == PROBABILITY:
        options += _hold(setting)
    if setting.lr["discriminator"] < setting.lr["generator"]:
        options = [*_even(setting), *options]
    if setting.exchangeable and setting.rule != "wgan":
        options.append("loss=wgan_gp")
    return _try(*options, _lr(setting, "generator", 0.25))


def use_labels(setting: Setting) -> str:
    """Labels ignored."""
    weight = setting.model.get("lambda_class")  # of a classifier's loss
    if isinstance(weight, (int, float)):
        return _try(f"model.lambda_class={max(1.0, 2 * weight):g}", "model=cgan")
    options = ["model=acgan", _lr(setting, "discriminator", 2)]
    return f"Check that labels and images belong together. {_try(*options)}"


def calm(setting: Setting) -> str:
    """Oscillation."""
    options = [f"optimizer.lr={min(setting.lr.values()) * 0.2:.2g}"]
    if setting.discriminators and setting.betas is not None and setting.betas[0] > 0.5:
        options.insert(0, f"optimizer.betas=[0.5,{setting.betas[1]:g}]")
    options += _hold(setting)
    if not setting.averaged:
        options.append("trainer.ema_kimg=10")
    return _try(*options)


def tame(setting: Setting) -> str:
    """Divergence."""
    options = ["loss=wgan_gp"] if setting.rule == "wgan" and not setting.penalized else _hold(setting)
    if setting.clip_grad_norm is None:
        options.append("trainer.clip_grad_norm=1")
    return _try(f"optimizer.lr={min(setting.lr.values()) * 0.1:.2g}", *options)


def more_data(setting: Setting) -> str:
    """Memorization."""
    smaller = next((f"model.{key}={max(1, setting.model[key] // 2)}" for key in ("width", "units", "generator_units")
                    if isinstance(setting.model.get(key), int)), None)
    options = ["dataset.flip=true", *_hold(setting), *([smaller] if smaller else [])]
    return f"More data, an earlier checkpoint (ckpt=RUN@KIMG), or a smaller model help. {_try(*options)}"


def revive(setting: Setting, player: str) -> str:
    """Dead units."""
    rate = f"optimizer.{player}.lr" if player in setting.lr else "optimizer.lr"
    value = setting.lr.get(player, min(setting.lr.values()))
    return _try(f"{rate}={value * 0.1:.2g}", "loss.orthogonal_init=true")
