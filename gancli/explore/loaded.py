"""Trained models in memory: rebuilt from a checkpoint alone, ready to sample and to use their other abilities.

Legend: N images, C channels, H height, W width, P coordinates of a point, Z latent size (any shape).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.blank import blank
from gancli.data.spec import DataSpec
from gancli.devices import pick_device, pick_precision
from gancli.errors import UserError, check_choice, near
from gancli.explore.codes import spread_codes
from gancli.explore.earlier import once_called
from gancli.explore.labels import blend, class_indices, spread
from gancli.explore.options import WEIGHTS
from gancli.explore.soundness import tell_odd_numbers
from gancli.explore.walks import walk
from gancli.game.abilities import ABILITIES, able, refusal
from gancli.game.build import adapt, build_model, build_objective, model_options
from gancli.game.model import Model
from gancli.game.sampler import Latents
from gancli.losses.augmentation import NONE, augment_options
from gancli.losses.options import LossOptions
from gancli.monitor.grids import grid_size, image_grid, preview_zoom, quick_png, to_uint8
from gancli.options import typed
from gancli.precision import computing
from gancli.runs.checkpoint import Checkpoint, read
from gancli.runs.find import OUTPUTS, find_checkpoint
from gancli.seeds import mix

MAP_STREAM = 1 << 38  # of maps of noise; kept apart from the latents'
SHOWN, SHOWN_COLUMNS = 16, 8  # samples in a notebook
Labels = str | int | Sequence[str | int] | Tensor | None


def load(path: str | Path, device: str = "auto", weights: str = "ema", root: str | Path = OUTPUTS) -> "Loaded":
    """Load the trained model that `path` names.

    Args:
        path: a checkpoint file; a run's directory, id or unique part of it (its best checkpoint, else the latest);
            `run@kimg`, `run@best` or `run@latest`.
        device: auto (CUDA, else MPS, else CPU) or the name of a device.
        weights: "ema", the averaged weights where the run kept them, or "raw".
        root: where runs are looked for by id.

    Raises:
        UserError: no such checkpoint or device, or the checkpoint cannot be read or does not fit its own config.
    """
    try:
        check_choice("weights", weights, WEIGHTS)
    except ValueError as error:
        raise UserError(str(error)) from None
    target = pick_device(device)
    checkpoint = read(find_checkpoint(str(path), root), prefixes=("model/", "ema/"))
    model = _rebuild(checkpoint)
    tensors = checkpoint.under("model/") | (checkpoint.under("ema/") if weights == "ema" else {})
    model.load_state_dict(tensors)
    tell_odd_numbers(checkpoint.path, tensors)
    return Loaded(model.to(target).eval().requires_grad_(False), checkpoint, target)


class Loaded:
    """A trained model in evaluation mode; images go in and out on the CPU as float32 in [-1, 1]."""

    def __init__(self, model: Model, checkpoint: Checkpoint, device: torch.device) -> None:
        self.model, self.device = model, device
        self.config, self.spec, self.path = checkpoint.config, model.spec, checkpoint.path
        self.kimg, self.images = checkpoint.kimg, checkpoint.header.images
        self.name: str = checkpoint.config["model"]["name"]
        self.data_fingerprint: str | None = checkpoint.extra.get("data_fingerprint")  # absent where a test wrote it
        self._latents = Latents(model)
        self.precision = "fp32"  # in which the networks compute
        self._make: Callable[..., Tensor] | None = None  # images of latents and labels; None: model.generate

    def __repr__(self) -> str:
        abilities = [name for name in ABILITIES if able(self.model, name)]
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        return (f"<{self.name}, trained for {self.kimg:g} kimg on {self.spec.describe()}; {weights:,} weights "
                f"on {self.device}; can {', '.join(abilities) or 'do nothing but train'}; {self.path}>")

    def _repr_png_(self) -> bytes | None:
        """Return a grid of samples, which notebooks show; None (they show the text) of a model that draws no images."""
        if not able(self.model, "sample") or self.spec.kind != "images":
            return None
        images = self.sample(SHOWN)
        zoom = preview_zoom(*grid_size(images.shape[2], images.shape[3], SHOWN, SHOWN_COLUMNS))
        return quick_png(image_grid(images, columns=SHOWN_COLUMNS, zoom=zoom))

    @once_called("labels", "label")
    def sample(self, n: int, seed: int = 0, label: Labels = None, batch_size: int = 64,
               codes: Mapping[str, Any] | None = None, domain: str | None = None) -> Tensor:
        """Return n generated images [N, C, H, W] (or points [N, P], or tokens [N, T], which spec.texts turns into text).

        Image i depends on (seed, i, its label) alone, up to the rounding of batches of another size.

        Args:
            label: of a conditional model: one class for all (name or index), or one for each image; None spreads
                the images over all classes, sorted.
            codes: values of a model's codes by name, one for all images, or several that are spread over them.
            domain: of a model of two: the name of the one whose images are returned; None is the first.

        Raises:
            UserError: the model cannot sample, takes no labels, or has no such class, code or domain.
        """
        return torch.cat([x for _, _, x in self.sample_batches(n, seed, label, batch_size, codes, domain)])

    @once_called("labels", "label")
    def sample_batches(self, n: int, seed: int = 0, label: Labels = None, batch_size: int = 64,
                       codes: Mapping[str, Any] | None = None,
                       domain: str | None = None) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """Yield (latents, labels, images) of `sample` in batches, so that any n fits in memory."""
        if n < 1 or batch_size < 1:
            raise UserError(f"n and batch_size must be at least 1, not {n} and {batch_size}.")
        self.require("sample")
        given = self.labels_for(n, label)
        batches, make = self.latent_batches(n, seed, batch_size, codes), self.maker(domain)
        for (start, stop), z in zip(spans(n, batch_size), batches, strict=True):
            part = None if given is None else given[start:stop]
            yield z, part, self._run(make, z, part)

    def maker(self, domain: str | None) -> Callable[..., Tensor]:
        """Return what makes examples of latents, those of a domain where one is named; a UserError if there is none such."""
        if domain is None:
            return self._make or self.model.generate
        self.require("domains")
        place = self._domain(domain)
        return lambda *inputs: self.model.generate_domains(*inputs)[place]

    def labels_for(self, n: int, labels: Labels) -> Tensor | None:
        """Return the labels [N] int64 of n images, or given weights [N, classes]; None where the model takes none."""
        if isinstance(labels, Tensor) and labels.is_floating_point():
            indices = labels
        else:
            named = labels.tolist() if isinstance(labels, Tensor) else labels
            listed = class_indices(named, self.model, self.name)
            if listed is None:
                return spread(n, range(len(self.spec.classes))) if self.model.needs.labels else None
            one = not isinstance(named, (list, tuple))
            indices = torch.tensor(listed * n if one else listed)
        if len(indices) != n:
            raise UserError(f"{len(indices)} labels were given for {n} images: give one, or one for each.")
        return indices

    def latents(self, n: int, seed: int = 0, start: int = 0) -> Tensor:
        """Return the latents [N, Z] of n images of `seed` from number `start` on, on the CPU."""
        self.require("sample")
        return self._latents.take(start, start + n, seed)

    def latent_batches(self, n: int, seed: int = 0, batch_size: int = 64,
                       codes: Mapping[str, Any] | None = None) -> Iterator[Tensor]:
        """Yield the latents of `sample_batches` alone."""
        self.require("sample")
        fixed = spread_codes(None, codes, self.model, self.name, n)
        for start, stop in spans(n, batch_size):
            z = self.latents(stop - start, seed, start)
            yield self.model.with_codes(z, {name: values[start:stop] for name, values in fixed.items()}) if fixed else z

    @once_called("labels", "label")
    def generate(self, z: Tensor, label: Labels = None, batch_size: int = 64) -> Tensor:
        """Return the images [N, C, H, W] of latents [N, Z]; label may be weights [N, classes]."""
        return torch.cat(list(self.generate_batches(z, label, batch_size)))

    @once_called("labels", "label")
    def generate_batches(self, z: Tensor, label: Labels = None, batch_size: int = 64) -> Iterator[Tensor]:
        """Yield the images of `generate` in batches, so that any number of latents will do."""
        self.require("sample")
        yield from self._batches(self._make or self.model.generate, batch_size, z, self.labels_for(len(z), label))

    def making(self, make: Callable[..., Tensor]) -> "Loaded":
        """Return the same model whose images are `make(z, labels)` (`make(z)` without labels), in [-1, 1]."""
        other = copy(self)
        other._make = make
        return other

    def computing_in(self, precision: str) -> "Loaded":
        """Return the same model, whose networks compute in fp32 or bf16, or as the run trained them (run)."""
        other = copy(self)
        trained = self.config.get("trainer", {}).get("precision", "fp32")
        other.precision = pick_precision(trained, self.device) if precision == "run" else precision
        return other

    @once_called("labels", "label")
    def styles(self, z: Tensor, label: Labels = None, batch_size: int = 64) -> Tensor:
        """Return the styles [N, S] that the model maps latents to; label may be weights [N, classes]."""
        self.require("styles")
        return torch.cat(list(self._batches(self.model.mapping, batch_size, z, self.labels_for(len(z), label))))

    def stage_names(self) -> list[str]:
        """Return what the stages are called through which an image of the model comes about."""
        self.require("stages")
        with torch.inference_mode():
            labels = self.labels_for(1, None)
            inputs = [self.latents(1), *([] if labels is None else [labels])]
            return list(self.model.stages(*(each.to(self.device) for each in inputs)))

    @once_called("labels", "label")
    def stages(self, n: int, seed: int = 0, label: Labels = None, batch_size: int = 64,
               codes: Mapping[str, Any] | None = None) -> Tensor:
        """Return the images of `sample` as they come about, [N, S, C, H, W]; the last of S stages is the image."""
        return torch.cat(list(self.stage_batches(n, seed, label, batch_size, codes)))

    @once_called("labels", "label")
    def stage_batches(self, n: int, seed: int = 0, label: Labels = None, batch_size: int = 64,
                      codes: Mapping[str, Any] | None = None) -> Iterator[Tensor]:
        """Yield what `stages` returns in batches, so that any n fits in memory."""
        self.require("stages")
        given = self.labels_for(n, label)
        for (start, stop), z in zip(spans(n, batch_size), self.latent_batches(n, seed, batch_size, codes), strict=True):
            yield self._run(self._staged, z, None if given is None else given[start:stop])

    def _staged(self, *inputs: Tensor) -> Tensor:
        return torch.stack(list(self.model.stages(*inputs).values()), 1)

    def paint(self, number: int, size: tuple[int, int], seed: int = 0, tile: bool = False) -> Tensor:
        """Return image `number` of a seed at any size, [C, H, W] uint8, made in blocks so that it alone takes memory.

        Args:
            size: height and width; with `tile` multiples of the model's cell.
            tile: it goes on at its opposite side.
        """
        self.require("sizes")
        generator = torch.Generator().manual_seed(mix(MAP_STREAM, seed, number))
        noise = self.model.draw_map(size, generator, tile)
        image = torch.empty(self.spec.shape[0], *size, dtype=torch.uint8)
        with torch.inference_mode(), computing(self.precision, self.device):
            for top, left, block in self.model.paint(noise, size, tile):
                image[:, top:top + block.shape[1], left:left + block.shape[2]] = to_uint8(block).cpu()
        return image

    def synthesize(self, w: Tensor, label: None = None, batch_size: int = 64) -> Tensor:
        """Return the images of styles, which know their labels."""
        self.require("styles")
        return torch.cat(list(self._batches(self.model.synthesize, batch_size, w))).clamp(-1, 1)

    @once_called("labels", "label")
    def interpolate(self, seeds: Sequence[int], steps: int = 10, path: str = "spherical", loop: bool = False,
                    label: Labels = None, batch_size: int = 64) -> Tensor:
        """Return the images [M, C, H, W] on a path through the first image of each seed (see walks.walk).

        Args:
            steps: images from one point to the next, both included.
            label: one class for all points, or one for each, blended on the way; None is the first class.
        """
        points = torch.cat([self.latents(1, seed) for seed in seeds])
        weights = None
        if self.model.needs.labels:
            weights = self.labels_for(len(points), 0 if label is None else label)
            assert weights is not None  # the model needs labels
            weights = weights if weights.is_floating_point() else blend(weights, len(self.spec.classes))
        elif label is not None:
            class_indices(label, self.model, self.name)
        return self.generate(*self.walk(points, weights, steps, path, loop), batch_size=batch_size)

    def walk(self, points: Tensor, weights: Tensor | None, steps: int, path: str,
             loop: bool) -> tuple[Tensor, Tensor | None]:
        """Return latents [M, Z] and label weights [M, classes] on the path through points and weights of K points."""
        z = walk(points, steps, path, loop, prior=getattr(self.model, "prior", None))
        return z, None if weights is None else walk(weights, steps, "linear", loop)

    def encode(self, x: Tensor, batch_size: int = 64) -> Tensor:
        """Return the latents [N, Z] that the model's encoder gives images."""
        return self._ability("encode", x, batch_size)

    @once_called("labels", "label")
    def reconstruct(self, x: Tensor, batch_size: int = 64, label: Tensor | None = None) -> Tensor:
        """Return images as the model sees them, [N, C, H, W]; with their labels [N] where it takes labels."""
        self.require("reconstruct")
        if (label is None) == bool(self.model.needs.labels):
            raise UserError(f"model={self.name} reconstructs {'with' if label is None else 'without'} labels.")
        return torch.cat(list(self._batches(self.model.reconstruct, batch_size, x, label)))

    def classify(self, x: Tensor, batch_size: int = 64) -> Tensor:
        """Return the logits [N, classes] of images."""
        return self._ability("classify", x, batch_size)

    def translate(self, x: Tensor, domain: str, batch_size: int = 64, style: Tensor | None = None) -> Tensor:
        """Return images of another domain as `domain` would show them, all in a style [S] where the model takes one."""
        self.require("translate")
        if domain not in self.model.targets:
            raise UserError(f"There is no domain called {domain} to translate into; {near(domain, self.model.targets)}")
        if style is None:
            return torch.cat(list(self._batches(lambda part: self.model.translate(part, domain), batch_size, x)))
        self.require("guided")
        one = style.to(self.device)
        return torch.cat(list(self._batches(lambda part: self.model.translate(part, domain, one.expand(len(part), -1)),
                                            batch_size, x)))

    def latent_styles(self, n: int, domain: str, seed: int = 0) -> Tensor:
        """Return the styles [N, S] of a domain that the first n latents of a seed stand for."""
        self.require("guided")
        return torch.cat(list(self._batches(lambda z: self.model.latent_style(z, domain), n, self._latents.take(0, n, seed))))

    def image_styles(self, x: Tensor, domain: str, batch_size: int = 64) -> Tensor:
        """Return the styles [N, S] of images of a domain."""
        self.require("guided")
        return torch.cat(list(self._batches(lambda part: self.model.image_style(part, domain), batch_size, x)))

    def upscale(self, x: Tensor, batch_size: int = 64) -> Tensor:
        """Return images [N, C, H, W] of any size enlarged as the model does it."""
        return self._ability("upscale", x, batch_size)

    def inpaint(self, x: Tensor, mask: Tensor, batch_size: int = 64) -> Tensor:
        """Return images with other content in their holes, where the mask [N, 1, H, W] is 1, and the same elsewhere."""
        self.require("inpaint")
        return torch.cat(list(self._batches(self.model.inpaint, batch_size, x, mask)))

    def blend(self, x: Tensor, batch_size: int = 64) -> Tensor:
        """Return composites as if what was pasted into them belonged there."""
        return self._ability("blend", x, batch_size).clamp(-1, 1)

    def _domain(self, name: str) -> int:
        if name not in self.spec.domains:
            raise UserError(f"There is no domain called {name}; {near(name, self.spec.domains)}")
        return self.spec.domains.index(name)

    def _ability(self, name: str, x: Tensor, batch_size: int) -> Tensor:
        self.require(name)
        return torch.cat(list(self._batches(getattr(self.model, name), batch_size, x)))

    def require(self, ability: str) -> None:
        """Raise a UserError unless the model has an ability."""
        if not able(self.model, ability):
            raise UserError(refusal(self.name, ability))

    def _batches(self, function: Callable[..., Tensor], batch_size: int, x: Tensor,
                 *more: Tensor | None) -> Iterator[Tensor]:
        if not len(x):
            raise UserError("There is nothing to work on: the batch is empty.")
        for start, stop in spans(len(x), batch_size):
            yield self._run(function, *(None if part is None else part[start:stop] for part in (x, *more)))

    @torch.inference_mode()
    def _run(self, function: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
        with computing(self.precision, self.device):
            x = function(*(part.to(self.device) for part in inputs if part is not None)).cpu()
        return x.float() if x.is_floating_point() else x


def spans(n: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last number (exclusive) of each batch of n examples."""
    for start in range(0, n, batch_size):
        yield start, min(start + batch_size, n)


def _rebuild(checkpoint: Checkpoint) -> Model:
    """Build the model of the checkpoint's config, without a draw from the caller's random streams.

    It is built without memory first: weights that do not fit are found before a stranger's sizes are allocated.
    """
    config, path = checkpoint.config, checkpoint.path
    for key in ("model", "loss"):
        if not isinstance(config.get(key), dict):
            raise UserError(f"The checkpoint {path} has no {key} in its config: it is not one of a gancli run.")
    try:
        spec = DataSpec.from_dict(checkpoint.spec)
    except (KeyError, TypeError, ValueError):
        raise UserError(f"The checkpoint {path} does not say which data it was trained on.") from None
    loss = typed(LossOptions, config["loss"], "loss")
    augment = augment_options(config.get("augment", NONE))
    options = model_options(adapt(config["model"], loss)[0])
    with blank():
        expected = build_model(options, build_objective(loss, augment, spec), spec).state_dict()
    _check_fit(checkpoint, expected, options.name)
    with torch.random.fork_rng(devices=[]):
        return build_model(options, build_objective(loss, augment, spec), spec)


def _check_fit(checkpoint: Checkpoint, expected: dict[str, Tensor], name: str) -> None:
    """Raise a UserError unless the checkpoint holds every tensor of the model, of its shape, and no other."""
    raw, averaged = checkpoint.under("model/"), checkpoint.under("ema/")
    wrong = [key for key in expected if key not in raw]
    wrong += [key for key, tensor in [*raw.items(), *averaged.items()]
              if key not in expected or tensor.shape != expected[key].shape]
    if wrong:
        raise UserError(f"The weights in {checkpoint.path} are not those of model={name} as its config describes it "
                        f"({len(wrong)} tensors differ, {wrong[0]} is the first): the checkpoint is of another model.")
