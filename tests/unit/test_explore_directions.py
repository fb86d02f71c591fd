"""Principal directions by their closed forms, and the first layer of every kind of network."""

import pytest
import torch
from composing import compose_model, spec_for
from systems import VARIANTS, name_of, system

from gancli.errors import UserError
from gancli.explore.directions import FirstLayer, ganspace, sefa
from gancli.game.abilities import able


def decomposed(size=4, outputs=6):
    """Return a weight [outputs, size], its right singular vectors as rows, and their singular values."""
    torch.manual_seed(0)
    weight = torch.randn(outputs, size, dtype=torch.float64)
    _, singular, rows = torch.linalg.svd(weight, full_matrices=False)
    return weight, rows, singular


def white(n, size):
    """Return latents [n, size] whose covariance is exactly the identity."""
    z = torch.randn(n, size, dtype=torch.float64)
    z = z - z.mean(0)
    return torch.linalg.qr(z).Q * (n - 1) ** 0.5


def same_lines(one, two):
    return torch.allclose((one * two).sum(1).abs(), torch.ones(len(one), dtype=one.dtype)) and torch.allclose(
        one.norm(dim=1), torch.ones(len(one), dtype=one.dtype))


def test_sefa_finds_the_right_singular_vectors():
    weight, rows, _ = decomposed()
    found = sefa(weight)
    assert same_lines(found, rows) and (found.gather(1, found.abs().argmax(1, keepdim=True)) > 0).all()


@pytest.mark.parametrize("outputs", [6, 40])  # 40: more than twice the latents, the way by projections
def test_ganspace_of_a_linear_layer_over_white_latents_is_sefa(outputs):
    weight, rows, _ = decomposed(outputs=outputs)
    z = white(50, 4)
    assert same_lines(ganspace(z, z @ weight.t() + 3.0), rows)


def test_ganspace_of_latents_themselves_has_steps_of_one_deviation():
    deviations = torch.tensor([3.0, 1.0, 0.2], dtype=torch.float64)
    z = white(200, 3) * deviations
    assert torch.allclose(ganspace(z, z), torch.diag(deviations), atol=1e-8)


def test_what_does_not_vary_is_no_direction():
    z = white(30, 3)
    flat = torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=torch.float64)
    assert len(ganspace(z, z @ flat.t())) == 2 and len(sefa(flat)) == 2


SAMPLING = [(name, changes) for name, changes in VARIANTS if able(system(name), "sample")]


@pytest.mark.parametrize(("name", "changes"), SAMPLING, ids=name_of)
def test_the_first_layer_of_every_model_is_found_and_left_alone(name, changes):
    model = compose_model(name, spec=spec_for(name), **changes).eval().requires_grad_(False)
    z = model.draw_latents(3, torch.Generator().manual_seed(0))
    labels = [torch.zeros(3, dtype=torch.int64)] if model.needs.labels else []
    layer = FirstLayer(model, model.generate)
    seen, outputs = layer.inputs(z, *labels), layer.outputs(z, *labels)
    size = z[0].numel()
    if seen.shape[1] != size:
        with pytest.raises(UserError, match="give method=ganspace"):
            layer.weight(size, z, *labels)
        return
    weight = layer.weight(size, z, *labels)
    assert weight.shape == (outputs.shape[1], size) and weight.abs().sum(0).min() > 0
    assert torch.allclose(outputs[0] - outputs[1], weight @ (seen[0] - seen[1]), atol=1e-4)
    assert not any(part._forward_hooks for part in model.modules())


def test_models_without_weights_have_none():
    with pytest.raises(UserError, match="no principal directions"):
        FirstLayer(torch.nn.Identity(), lambda z: z).outputs(torch.ones(2, 3))
