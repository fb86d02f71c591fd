"""Drawings as ONNX files, made by torch.onnx and run by onnxruntime; both are an extra of the package.

Legend: N images, C channels, H height, W width.
"""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from gancli.errors import UserError
from gancli.explore.drawing import Drawing, Run, quiet

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
LARGEST_BYTES = 2**31 - 1  # of a protocol buffer, which the file is
OUTPUT = "images"


def require_onnx(out: str) -> None:
    """Raise a UserError unless ONNX files can be written and run."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UserError(f"{out} needs {', '.join(missing)}: type pip install 'gancli[export]', or end out= in .pt2, which "
                        "needs nothing more.")


def to_onnx(drawing: Drawing, program: ExportedProgram) -> bytes:
    """Return a graph as an ONNX file with inputs z [N, Z], labels [N] int64 and truncation [], as the drawing has them.

    Raises:
        UserError: an operation has no counterpart in ONNX, or the file would be larger than one can be.
    """
    with quiet(), torch.no_grad():
        try:
            made = torch.onnx.export(program, drawing.inputs(3, 0), None, dynamo=True, input_names=drawing.names,
                                     output_names=[OUTPUT], verbose=False)
        except Exception as error:  # of many kinds, by whatever the translation could not follow
            raise UserError(f"model={drawing.loaded.name} has no form in ONNX: end out= in .pt2.") from error
    _forget_origins(made.model)
    try:
        data = made.model_proto.SerializeToString()
    except Exception as error:  # the library's own kind, which it does not export
        raise UserError("An ONNX file holds 2 GiB at most and this model is larger: end out= in .pt2.") from error
    if len(data) > LARGEST_BYTES:
        raise UserError("An ONNX file holds 2 GiB at most and this model is larger: end out= in .pt2.")
    return data


def _forget_origins(model: Any) -> None:
    """Remove notes on the code that a graph came from, with this machine's paths; half of a small file is such."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


def onnx_run(data: bytes, names: tuple[str, ...]) -> Run:
    """Return what onnxruntime makes of a file on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> Tensor:
        given = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run([OUTPUT], given)[0])

    return run


def runtime_name() -> str:
    """Return onnxruntime's name and version."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"
