"""Blocks with folded norms against Asteroid's, in float64 to rounding."""

import copy

import pytest
import torch
from asteroid.masknn.convolutional import Conv1DBlock
from torch import nn

from separation.models import blocks
from separation.models.blocks import FoldedBlock, as_scaling, suits_convolution
from separation.models.fast import speed_up
from separation.models.norms import FusedGlobLN
from separation.models.ragged import ragged


def make_block(skip=6, taps=3, dilation=4, norm="gLN", causal=False, slope=0.25):
    """A block whose parameters all matter, and some of whose channels have no gain."""
    torch.manual_seed(0)
    reach = (taps - 1) * dilation
    padding = reach if causal else reach // 2
    block = Conv1DBlock(5, 8, skip, taps, padding, dilation, norm_type=norm, causal=causal)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for module in block.modules():
            if isinstance(module, nn.PReLU):
                module.weight.fill_(slope)
        block.shared_block[2].gamma[3] = 0
    return block.double()


def outputs(block, x):
    out = block(x)
    return torch.cat(out, 1) if isinstance(out, tuple) else out


def check(stock, x):
    """The folded block gives what Asteroid's gives, without its parameters or input changing."""
    before = x.clone()
    fast = speed_up(copy.deepcopy(stock))
    assert type(fast) is FoldedBlock
    with torch.no_grad():
        torch.testing.assert_close(outputs(fast, x), outputs(stock, x), rtol=1e-9, atol=1e-9)
    assert torch.equal(x, before)
    for one, other in zip(fast.parameters(), stock.parameters(), strict=True):
        assert torch.equal(one, other)
    return fast


@pytest.mark.parametrize("frames", [1, 3, 4, 7, 8, 9, 50])
@pytest.mark.parametrize("skip", [0, 6])
def test_lengths_around_the_reach_of_the_taps(frames, skip):
    check(make_block(skip), torch.randn(3, 5, frames, dtype=torch.float64))


@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (3, 1), (5, 2), (4, 2)])
@pytest.mark.parametrize("slope", [0.25, 0.0, -0.4, 2.0])
def test_taps_and_slopes(taps, dilation, slope):
    block = make_block(taps=taps, dilation=dilation, slope=slope)
    check(block, torch.randn(2, 5, 40, dtype=torch.float64))


@pytest.mark.parametrize(("batch", "frames"), [(1, 33), (1, 32), (2, 33)])
@pytest.mark.parametrize("skip", [0, 6])
def test_large_products(monkeypatch, skip, batch, frames):
    monkeypatch.setattr(blocks, "LARGE_PRODUCT", 0)
    convolved = []
    conv1d = nn.functional.conv1d

    def see(x, weight, bias, *rest):
        convolved.append((x.shape[1], weight.shape[0]))
        return conv1d(x, weight, bias, *rest)

    monkeypatch.setattr(nn.functional, "conv1d", see)
    fast, x = speed_up(make_block(skip)), torch.randn(batch, 5, frames, dtype=torch.float64)
    with torch.no_grad():
        fast(x)
    # The first product has one weight for the batch, the last one for each example.
    assert ((8, 5 + skip) in convolved) == (batch == 1 and frames == 33)
    check(make_block(skip), x)


@pytest.mark.parametrize(("norm", "causal"), [("cgLN", True), ("gLN", True), ("cLN", False)])
def test_other_norms_and_causal_blocks_are_computed_as_ever(norm, causal):
    check(make_block(norm=norm, causal=causal), torch.randn(2, 5, 30, dtype=torch.float64))


def test_norms_are_left_out_only_where_no_gradient_is_wanted():
    x = torch.randn(2, 5, 30, dtype=torch.float64)
    stock = make_block()
    fast = check(stock, x)
    calls = []
    fast.shared_block[2].forward = lambda y: (
        calls.append(1) or FusedGlobLN.forward(fast.shared_block[2], y)
    )
    with torch.no_grad():
        fast(x)
    assert not calls
    for block in (fast, stock):
        outputs(block, x).square().sum().backward()
    assert calls
    for one, other in zip(fast.parameters(), stock.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_products_that_are_small_or_in_line_stay_products():
    """128 to 256 channels: those of conf/convtasnet.yaml over 4 s are large."""
    assert suits_convolution(torch.empty(1, 128, 1599), 256)
    assert not suits_convolution(torch.empty(1, 128, 1600), 256)
    assert not suits_convolution(torch.empty(1, 128, 399), 256)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("skip", [0, 6])
def test_in_bfloat16_the_products_alone_are_rounded(skip, batch):
    stock = make_block(skip).float()
    x = torch.randn(batch, 5, 400).bfloat16().float()
    with torch.no_grad():
        expected = outputs(copy.deepcopy(stock).double(), x.double())
        with torch.autocast("cpu", torch.bfloat16):
            found = outputs(speed_up(copy.deepcopy(stock)), x)
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() <= 2**-7 * expected.norm()


def test_hooks_see_every_layer():
    """A ragged batch is separated by hooks on the layers."""
    fast = check(make_block(), torch.randn(1, 5, 30, dtype=torch.float64))
    x = torch.randn(2, 5, 30, dtype=torch.float64)
    x[0, :, 20:] = 0
    with torch.no_grad():
        with ragged(fast, torch.tensor([20, 30])):
            found = outputs(fast, x)
        alone = outputs(fast, x[:1, :, :20])
    torch.testing.assert_close(found[:1, :, :20], alone, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[1:], outputs(fast, x[1:]).detach(), rtol=1e-9, atol=1e-9)


def test_statistics_of_minutes_stay_right():
    """In float32, over 30 million values whose mean is three standard deviations."""
    torch.manual_seed(0)
    norm = FusedGlobLN(8)
    x = torch.randn(1, 8, 4_000_000) + 3
    scale, shift = as_scaling(norm, x)
    exact_mean, exact_std = x.double().mean(), x.double().var(correction=0).sqrt()
    assert (scale * exact_std - 1).abs().max() < 1e-5
    assert (shift + exact_mean / exact_std).abs().max() < 1e-4
