"""bfloat16 products on a CPU without units for them."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from separation.models import bfloat16
from separation.models.bfloat16 import MATMULS, bfloat16_matmuls, has_units, is_faster

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cpu_without_units(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)


class Products(TorchDispatchMode):
    """The types of the numbers that Torch itself multiplies."""

    def __init__(self):
        super().__init__()
        self.types = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function in MATMULS or "conv" in str(function):
            self.types.append(args[0].dtype)
        return function(*args, **kwargs or {})


def test_a_product_is_that_of_the_rounded_factors_rounded():
    a, b = torch.randn(2, 3, 50), torch.randn(2, 50, 7)
    with bfloat16_matmuls(CPU):
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
    for context in (bfloat16_matmuls(CPU), bfloat16.nullcontext()):
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


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
def test_products_are_taken_in_float32(mode):
    layers = nn.Sequential(nn.Conv1d(4, 6, 3), nn.Linear(18, 5), nn.ConvTranspose1d(6, 4, 3))
    x = torch.randn(2, 4, 20)
    with Products() as products, bfloat16_matmuls(CPU), mode():
        with torch.autocast("cpu", torch.bfloat16):
            y = layers(x)
        if y.requires_grad:
            y.float().square().sum().backward()
    assert y.dtype == torch.bfloat16
    assert len(products.types) >= (3 if mode is torch.inference_mode else 7)
    assert set(products.types) == {torch.float32}


def test_float32_is_left_alone():
    a = torch.randn(3, 50)
    with bfloat16_matmuls(CPU):
        assert torch.equal(a @ a.t(), torch.mm(a, a.t()))
        assert (a @ a.t()).dtype == torch.float32


@pytest.mark.parametrize("units", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_a_processor_with_units_uses_them(monkeypatch, units):
    assert not has_units(CPU)
    monkeypatch.setattr(torch.cpu, units, lambda: True)
    assert has_units(CPU)
    with Products() as products, bfloat16_matmuls(CPU):
        torch.ones(2, 2, dtype=torch.bfloat16) @ torch.ones(2, 2, dtype=torch.bfloat16)
    assert products.types == [torch.bfloat16]


@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "vendor", "faster"),
    [
        (True, True, "GenuineIntel", True),
        (False, True, "GenuineIntel", False),  # half the speed of float32 there
        (False, True, "AuthenticAMD", True),
        (False, False, "AuthenticAMD", False),
        (False, True, "", False),
    ],
)
def test_bfloat16_is_chosen_by_the_processor(monkeypatch, amx, avx512_bf16, vendor, faster):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(bfloat16, "cpu_vendor", lambda: vendor)
    assert is_faster(CPU) is faster


def test_the_vendor_is_that_of_this_processor():
    text = bfloat16.Path("/proc/cpuinfo").read_text() if bfloat16.Path("/proc").is_dir() else ""
    assert f": {bfloat16.cpu_vendor()}\n" in text or bfloat16.cpu_vendor() == ""


def test_only_cpus_are_helped():
    assert isinstance(bfloat16_matmuls(torch.device("cuda")), bfloat16.nullcontext)
