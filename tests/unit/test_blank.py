"""Models without data: nothing is drawn, and torch's compiler stays out; a stand-in gives way when it is asked for more."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from gancli.blank import blank
from gancli.unloaded import without_compiler

HEAVY = ("torch._dynamo", "sympy", "torch.fx.experimental.symbolic_shapes")
PLAN = f"""
import sys
from gancli.config.compose import compose
from gancli.plan.validate import report

for model in ("dcgan", "stylegan2"):
    report(compose("train", [f"model={{model}}", "run_dir=none"]), [])
print([name for name in {HEAVY} if name in sys.modules])
"""


@pytest.mark.recipe  # torch is imported anew
def test_a_plan_loads_neither_the_compiler_nor_its_algebra():
    done = subprocess.run([sys.executable, "-c", PLAN], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_shapes_and_types_are_those_of_torch_itself():
    x, y, z = torch.rand(4, 1, 8), torch.rand(3, 8), torch.zeros(2, dtype=torch.int64)

    def described(x, y, z):
        found = (2 * x + y, x.expand(4, 5, 8), z + 0.5, torch.cat([y, y]), y.mean(1), y @ y.T, (y > 0).sum(), y.norm())
        return [(each.shape, each.stride(), each.dtype) for each in found]

    with blank():
        assert described(*(each.to("meta") for each in (x, y, z))) == described(x, y, z)


def test_blank_layers_are_those_of_the_real_ones_and_draw_nothing():
    def network() -> nn.Module:
        layers = nn.Linear(3, 4), nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(3, 2, 4), nn.LSTM(3, 5), nn.Embedding(5, 2)
        return nn.Sequential(*layers)

    real, before = network().state_dict(), torch.random.get_rng_state()
    with blank():
        drawn = torch.rand(3, 4, generator=torch.Generator()), torch.randn(2, dtype=torch.float64)
        made = network().state_dict()
        on_cpu = torch.rand(3, device="cpu")
    assert {name: tensor.shape for name, tensor in made.items()} == {name: tensor.shape for name, tensor in real.items()}
    assert all(tensor.is_meta for tensor in made.values()) and len(made) == len(real) > 8
    assert drawn[0].shape == (3, 4) and drawn[1].dtype == torch.float64 and drawn[0].is_meta
    assert not on_cpu.is_meta and on_cpu.std() > 0  # what is asked for elsewhere is drawn there
    torch.random.set_rng_state(before)
    with blank():
        network()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_impossible_shapes_are_still_refused():
    with blank(), pytest.raises(RuntimeError):
        torch.empty(3, 4) + torch.empty(3, 5)


def test_a_stand_in_gives_way_to_the_real_module(monkeypatch):
    for name in [name for name in sys.modules if name in HEAVY or name.split(".")[0] == "sympy"]:
        monkeypatch.delitem(sys.modules, name)
    with without_compiler():
        import sympy

        assert not hasattr(sympy, "__file__")  # the stand-in
        assert sympy.Integer(3) + 1 == 4  # the real one's answer
        assert sys.modules["sympy"] is not sympy
    with without_compiler():
        pass
    assert "torch._dynamo" not in sys.modules and "sympy" in sys.modules
