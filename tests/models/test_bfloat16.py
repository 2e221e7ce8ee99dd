"""bfloat16 products on a CPU without units for them."""

import pytest
import torch
from torch import nn

from separation.models import bfloat16
from separation.models.bfloat16 import bfloat16_products


@pytest.fixture(autouse=True)
def cpu_without_units(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


def test_a_product_is_that_of_the_rounded_factors_rounded():
    a, b = torch.randn(2, 3, 50), torch.randn(2, 50, 7)
    with bfloat16_products(torch.device("cpu")):
        found = torch.bmm(a.bfloat16(), b.bfloat16())
    assert found.dtype == torch.bfloat16
    exact = a.bfloat16().double() @ b.bfloat16().double()
    spacing = 2.0**-8 * exact.abs()  # half of the distance between two neighbours, at most
    assert ((found.double() - exact).abs() <= spacing + 1e-5).all()


@pytest.mark.parametrize(
    "layer",
    [nn.Conv1d(4, 6, 3, padding=1), nn.ConvTranspose1d(4, 6, 3), nn.Linear(20, 5)],
    ids=["convolution", "transposed", "linear"],
)
def test_outputs_and_gradients_are_those_of_torch(layer):
    x = torch.randn(2, 4, 20, requires_grad=True)
    found = []
    for context in (bfloat16_products(torch.device("cpu")), bfloat16.nullcontext()):
        x.grad = None
        layer.zero_grad()
        with context:
            with torch.autocast("cpu", torch.bfloat16):
                y = layer(x)
            y.float().square().sum().backward()
        found.append([y.float(), x.grad, *(p.grad for p in layer.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(
            ours, theirs, rtol=0.02, atol=0.02 * float(theirs.detach().abs().max())
        )


def test_float32_is_left_alone():
    a = torch.randn(3, 50)
    with bfloat16_products(torch.device("cpu")):
        assert torch.equal(a @ a.t(), torch.mm(a, a.t()))
        assert (a @ a.t()).dtype == torch.float32


def test_a_processor_with_units_uses_them(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert isinstance(bfloat16_products(torch.device("cpu")), bfloat16.nullcontext)
    assert isinstance(bfloat16_products(torch.device("cuda")), bfloat16.nullcontext)
