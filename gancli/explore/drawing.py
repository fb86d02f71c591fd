"""The part of a trained model that makes images of latents, as programs without gancli take it: traced, and checked.

Legend: N images, C channels, H height, W width, Z latent size (any shape).
"""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from gancli.errors import UserError
from gancli.explore.loaded import Loaded
from gancli.game.model import Model
from gancli.game.styles import truncated
from gancli.gradients import library_kernels

TOLERANCE = 1e-4  # of values from -1 to 1, in float32: a hundredth of a level of 8 bits is 8e-5
SEEDS, BATCHES = (0, 1, 2), (1, 5)  # by which a file is compared with its model; traced is a batch of another size
TRACED = 3
PSI = 0.7  # at which truncation is traced and compared
NOISY_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
Run = Callable[..., Tensor]


class Drawing(nn.Module):
    """Images [N, C, H, W] in [-1, 1] of latents [N, Z], labels [N] where the model takes some, truncation [] where asked."""

    def __init__(self, loaded: Loaded, domain: str | None = None, truncation: bool = False) -> None:
        """Copy the model, so that what images do not need can be left out.

        Args:
            domain: of a model of two: the one whose images it makes.
            truncation: psi is a further input, by which styles are moved to their average.

        Raises:
            UserError: the model's images are no function of latents, or it has no such domain.
        """
        super().__init__()
        _require_images(loaded)
        loaded.maker(domain)  # or there is none of that name
        self.loaded, self.model = loaded, deepcopy(loaded.model)
        _decide(self.model)
        self.labels, self.truncation = bool(self.model.needs.labels), truncation
        self.domain = None if domain is None else loaded.spec.domains.index(domain)

    @property
    def names(self) -> tuple[str, ...]:
        """What the inputs are called, in their order."""
        return ("z", *["labels"] * self.labels, *["truncation"] * self.truncation)

    def forward(self, z: Tensor, *more: Tensor) -> Tensor:
        return self._images_of(self.model, z, *more)

    def _images_of(self, model: Model, z: Tensor, *more: Tensor) -> Tensor:
        labels = more[:1] if self.labels else ()
        if self.domain is not None:
            return model.generate_domains(z, *labels)[self.domain]
        if not self.truncation:
            return model.generate(z, *labels)
        styles = truncated(model.mapping(z, *labels), model.mean_style, more[-1])
        return model.synthesize(styles).clamp(-1, 1)

    def inputs(self, n: int, seed: int) -> tuple[Tensor, ...]:
        """Return n latents of a seed with the rest of the inputs; classes come in turn."""
        labels = [torch.arange(n) % len(self.loaded.spec.classes)] if self.labels else []
        return (self.loaded.latents(n, seed), *labels, *[torch.tensor(PSI)] * self.truncation)

    def largest_difference(self, run: Run) -> float:
        """Return the largest distance of a file's images from the model's.

        Raises:
            UserError: it is larger than TOLERANCE, or no number.
        """
        worst = 0.0
        with torch.inference_mode():
            for seed in SEEDS:
                for n in BATCHES:
                    inputs = self.inputs(n, seed)
                    made, right = run(*inputs), self._images_of(self.loaded.model, *inputs)
                    difference = (made - right).abs().max().item() if made.shape == right.shape else float("inf")
                    worst = max(worst, difference) if difference == difference else float("nan")
                    if not worst <= TOLERANCE:
                        raise UserError(f"The file's images are {worst:.2g} away from the model's, more than {TOLERANCE:g}: "
                                        "nothing was written; take another format.")
        return worst


def _require_images(loaded: Loaded) -> None:
    loaded.require("sample")
    if loaded.spec.kind == "tokens":
        raise UserError(f"model={loaded.name} draws its text token by token, at random: it has no picture of a latent to "
                        "export.")


class _Number(float):
    """What a model keeps in a buffer to decide by, as how far it has grown: a graph has no choice left."""

    def item(self) -> float:
        return float(self)


def _decide(model: nn.Module) -> None:
    """Turn single numbers among the buffers of a model's copy into plain ones."""
    for part in model.modules():
        for name, buffer in list(part._buffers.items()):
            if buffer is not None and buffer.dim() == 0 and buffer.is_floating_point():
                del part._buffers[name]
                setattr(part, name, _Number(buffer.item()))


def traced(drawing: Drawing) -> ExportedProgram:
    """Return the drawing as a graph for any number of images, with the weights that it needs and no other.

    Raises:
        UserError: what the model does depends on values in a way that a graph cannot hold.
    """
    program = _trace(drawing)
    if any([_emptied(drawing, name) for name in _unused(program)]):
        program = _trace(drawing)
    for node in program.graph.nodes:  # where this machine's files lie
        node.meta.pop("stack_trace", None)
    return program


def _unused(program: ExportedProgram) -> Iterator[str]:
    """Yield the names of tensors that a graph carries and does not read: discriminators, encoders."""
    idle = {node.name for node in program.graph.nodes if node.op == "placeholder" and not node.users}
    return (spec.target for spec in program.graph_signature.input_specs if spec.target is not None and spec.arg.name in idle)


def _emptied(drawing: Drawing, name: str) -> bool:
    """Leave nothing of a parameter or a buffer; returns whether it is one."""
    owner, _, key = name.rpartition(".")
    part = drawing.get_submodule(owner)
    empty = torch.empty(0, dtype=getattr(part, key).dtype) if hasattr(part, key) else None
    if key in part._parameters and empty is not None:
        part._parameters[key] = nn.Parameter(empty, requires_grad=False)
    elif key in part._buffers:
        part._buffers[key] = empty
    else:
        return False
    return True


def _trace(drawing: Drawing) -> ExportedProgram:
    inputs = drawing.inputs(TRACED, SEEDS[0])
    several = Dim("n", min=1)
    first, *more = ({0: several} if each.dim() else {} for each in inputs)
    shapes = (first, tuple(more)) if more else (first,)
    with quiet(), torch.no_grad(), library_kernels():  # which other programs have, too
        try:
            drawing(*inputs)  # filters are made when they are first needed, and the tracer's would hold no numbers
            return torch.export.export(drawing, inputs, dynamic_shapes=shapes, strict=False)
        except Exception as error:  # of many kinds, by whatever the tracer could not follow
            raise UserError(f"model={drawing.loaded.name} cannot be exported: {_first_line(error)}") from error


def packed(program: ExportedProgram) -> bytes:
    """Return a graph as torch.export.load reads it."""
    file = io.BytesIO()
    with quiet():
        torch.export.save(program, file)
    return file.getvalue()


def unpacked(data: bytes) -> Run:
    """Return what a file of torch.export does."""
    with quiet():
        return torch.export.load(io.BytesIO(data)).module()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' progress and advice, which are about their own insides, from the terminal."""
    loggers = [logging.getLogger(name) for name in NOISY_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line if line.endswith(".") else f"{line}."

