"""The fast layers are Torch's and Asteroid's layers: outputs, gradients, names, fall-backs."""

import copy

import pytest
import torch
from asteroid_filterbanks import Decoder, Encoder, FreeFB
from torch import nn

from separation.config import ROOT, load_config
from separation.models.architecture import architecture
from separation.models.fast import keep_freed_memory, matmul, speed_up
from separation.models.fast.layers import (
    DepthwiseConv1d,
    FastDecoder,
    FastEncoder,
    FastPReLU,
    PointwiseConv1d,
)
from separation.models.whole import WHOLE
from separation.training.losses import LOSSES, PIT

TAGS = sorted(path.stem for path in (ROOT / "conf").glob("*.yaml") if path.stem != "base")


def same(stock, x, tolerance=2e-5):
    """Compare a layer with its fast version: output and every gradient."""
    fast = speed_up(copy.deepcopy(stock))
    assert type(fast) is not type(stock)
    results = []
    for layer in (stock, fast):
        layer.zero_grad()
        data = x.clone().requires_grad_()
        y = layer(data)
        y.backward(torch.linspace(-1, 1, y.numel()).reshape(y.shape))
        results.append([y.detach(), data.grad, *(p.grad for p in layer.parameters())])
    for one, other in zip(*results, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(other, one, rtol=tolerance, atol=tolerance * one.abs().max())
    return fast


@pytest.mark.parametrize("slope", [0.25, 0.0, -0.3, 1.5, 1e-4, 1e-8])
def test_prelu(slope):
    torch.manual_seed(0)
    x = torch.randn(3, 5, 41)
    x[0, 0, :4] = 0
    assert type(same(nn.PReLU(init=slope), x)) is FastPReLU


@pytest.mark.parametrize("spacing", [1, 16])
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 7), (3, 800), (3, 801)])
def test_pointwise(monkeypatch, batch, length, spacing):
    monkeypatch.setattr(matmul, "SPACING", spacing)
    torch.manual_seed(0)
    fast = same(nn.Conv1d(6, 9, 1), torch.randn(batch, 6, length))
    assert type(fast) is PointwiseConv1d


@pytest.mark.parametrize("length", [1, 2, 5, 300])
@pytest.mark.parametrize(("taps", "dilation"), [(3, 1), (3, 8), (1, 1), (2, 4), (5, 2)])
def test_depthwise_symmetric_and_causal(taps, dilation, length):
    torch.manual_seed(0)
    reach = (taps - 1) * dilation
    for padding in {reach // 2, reach}:
        stock = nn.Conv1d(4, 4, taps, padding=padding, dilation=dilation, groups=4)
        if length + 2 * padding > reach:
            fast = same(stock, torch.randn(2, 4, length))
            assert type(fast) is DepthwiseConv1d


@pytest.mark.parametrize(("kernel", "stride"), [(40, 20), (16, 8), (6, 2), (5, 5), (7, 3)])
@pytest.mark.parametrize("length", [40, 41, 59, 403])
def test_encoder_and_decoder(kernel, stride, length):
    torch.manual_seed(0)
    filters = FreeFB(6, kernel, stride)
    fast = same(Encoder(filters), torch.randn(3, 1, length))
    assert type(fast) is FastEncoder
    frames = fast(torch.randn(3, 1, length)).shape[-1]
    assert type(same(Decoder(filters), torch.randn(3, 2, 6, frames))) is FastDecoder


def test_encoder_and_decoder_of_other_shapes_are_asteroid_s():
    torch.manual_seed(0)
    filters = FreeFB(6, 10, 5)
    same(Encoder(filters), torch.randn(3, 4, 55))
    same(Encoder(filters, padding=3), torch.randn(3, 1, 55))
    same(Decoder(filters), torch.randn(3, 6, 12))
    same(Decoder(filters, padding=2), torch.randn(3, 2, 6, 12))
    cut = speed_up(Decoder(filters))(torch.randn(3, 2, 6, 12), length=21)
    assert cut.shape == (3, 2, 21)


def test_keeping_freed_memory_leaves_results_alone():
    torch.manual_seed(0)
    x = torch.randn(1000, 1000)
    before = x @ x
    keep_freed_memory()
    assert torch.equal(x @ x, before)


def test_gradients_are_the_derivatives():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 9, dtype=torch.float64, requires_grad=True)
    for stock in (
        nn.Conv1d(3, 3, 3, padding=2, dilation=2, groups=3),
        nn.Conv1d(3, 3, 3, padding=4, dilation=2, groups=3),
        nn.PReLU(),
    ):
        layer = speed_up(stock.double())
        assert torch.autograd.gradcheck(layer, (x,))
        weight = next(layer.parameters())
        inputs = (weight.detach().requires_grad_(),)
        assert torch.autograd.gradcheck(
            lambda w, layer=layer: torch.func.functional_call(layer, {"weight": w}, (x.detach(),)),
            inputs,
        )


@pytest.mark.parametrize(
    ("tag", "spacing"), [*((tag, 16) for tag in TAGS), ("convtasnet", 1), ("causal", 1)]
)
def test_every_system_gives_asteroid_s_estimates_and_gradients(monkeypatch, tag, spacing):
    """Outputs within 1e-5 of the peak, gradients within 1e-4, in float64 and in float32.

    Where rounding moves an input of a PReLU across 0, gradients of Asteroid itself change by some
    1e-3. So they are compared in float32 with slopes near 1, where that matters little.
    """
    monkeypatch.setattr(matmul, "SPACING", spacing)
    torch.manual_seed(0)
    settings = architecture(load_config("minilibri-2mix", tag, None, []))
    fast = settings.build(8000)
    stock = copy.deepcopy(fast)  # not sped up
    if type(fast) in WHOLE.values():
        stock.__class__ = type(fast).__bases__[1]
    assert list(speed_up(fast).state_dict()) == list(stock.state_dict())
    length = settings.stride * 2 * 60  # whole frames
    mixture, sources = torch.randn(2, length), torch.randn(2, 2, length)
    with torch.no_grad():
        expected = stock(mixture)
        assert (fast(mixture) - expected).abs().max() <= 1e-5 * expected.abs().max()

    def gradients(model, dtype):
        PIT(LOSSES["si_sdr"](8000))(
            model(mixture.to(dtype)), sources, torch.tensor([length] * 2)
        ).backward()
        # With skip connections nothing comes after the last residual convolution.
        return [p.grad.flatten() for p in model.parameters() if p.grad is not None]

    exact = [gradients(copy.deepcopy(model).double(), torch.float64) for model in (stock, fast)]
    assert len(exact[0]) >= len(list(stock.parameters())) - 2
    for one, other in zip(*exact, strict=True):
        assert (one - other).norm() <= 1e-4 * one.norm()
    for model in (stock, fast):
        for module in model.modules():
            if isinstance(module, nn.PReLU):
                nn.init.constant_(module.weight, 0.99)
    one, other = (torch.cat(gradients(model, torch.float32)) for model in (stock, fast))
    assert (one - other).norm() <= 1e-4 * one.norm()


def test_under_tracing_the_stock_layers_run():
    torch.manual_seed(0)
    layer = speed_up(nn.Conv1d(4, 4, 3, padding=1, groups=4))
    x = torch.randn(1, 4, 20)
    traced = torch.jit.trace(layer, x)
    assert "convolution" in str(traced.graph)
    torch.testing.assert_close(traced(x), layer(x))


@pytest.mark.parametrize(
    "stock",
    [
        nn.PReLU(),
        nn.PReLU(init=1e-8),
        nn.Conv1d(6, 9, 1),
        nn.Conv1d(6, 6, 3, padding=4, dilation=4, groups=6),
        nn.Conv1d(6, 6, 3, padding=8, dilation=4, groups=6),
        FreeFB(9, 16, 8),
    ],
)
def test_under_autocast_layers_are_exact_to_the_rounding_of_bfloat16(stock):
    """Of output and gradients, against the same layer in float64: as near as Torch's own are."""
    torch.manual_seed(0)
    x = torch.randn(5, 6, 403).bfloat16()
    if isinstance(stock, FreeFB):
        stock, x = Encoder(stock), x[:, :1]

    def run(layer, x, grad=None):
        layer.zero_grad()
        x = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=grad is None):
            y = layer(x)
        grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y)
        y.backward(grad.bfloat16().to(y))
        return [y.detach(), x.grad, *(p.grad.clone() for p in layer.parameters())]

    exact = run(copy.deepcopy(stock).double(), x.double(), True)
    fast = speed_up(copy.deepcopy(stock))
    assert type(fast) is not type(stock)
    for true, found in zip(exact, run(fast, x), strict=True):
        assert found.dtype in (torch.bfloat16, torch.float32)
        assert (found - true).norm() <= 2**-8 * true.norm()
    assert all(p.grad.dtype == torch.float32 for p in fast.parameters())


def test_under_autocast_a_pointwise_convolution_is_a_product_in_bfloat16():
    torch.manual_seed(0)
    stock = nn.Conv1d(16, 24, 1)
    fast, x = speed_up(copy.deepcopy(stock)), torch.randn(3, 16, 41)
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = stock(x), fast(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    assert "_Product" in found.grad_fn.name()
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=2**-7)
    for y in (expected, found):
        y.float().square().sum().backward()
    torch.testing.assert_close(fast.weight.grad, stock.weight.grad, rtol=0.02, atol=0.05)


def test_rows_in_bfloat16_have_no_gaps(monkeypatch):
    monkeypatch.setattr(matmul, "SPACING", 16)
    x = torch.zeros(2, 5, 33)
    assert matmul.empty_rows(x, 3).stride() == (144, 48, 1)
    assert matmul.empty_rows(x.bfloat16(), 3).is_contiguous()


def test_other_convolutions_stay_as_they_are():
    for stock in (
        nn.Conv1d(4, 4, 3, padding=1),
        nn.Conv1d(4, 4, 1, stride=2),
        nn.Conv1d(4, 4, 1, bias=False),
        nn.Conv1d(4, 4, 3, padding=1, groups=4, padding_mode="circular"),
    ):
        assert type(speed_up(stock)) is nn.Conv1d
