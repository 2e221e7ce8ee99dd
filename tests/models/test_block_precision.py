"""Folded blocks in bfloat16, and statistics in float32 over minutes."""

import copy

import pytest
import torch

from blocks import computed_by_layers, make_block, outputs
from separation.models.fast import native, speed_up


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("skip", [0, 6])
@pytest.mark.parametrize("norm", ["gLN", "cgLN"])
def test_in_bfloat16(norm, skip, batch):
    """Near what float64 gives, statistics in float32, gradients of weights in float32."""
    stock = make_block(skip, norm=norm, slope=0.9).float()  # few inputs are rounded across a kink
    x = torch.randn(batch, 5, 400).bfloat16().float()
    exact, fast = copy.deepcopy(stock).double(), speed_up(copy.deepcopy(stock))
    with torch.autocast("cpu", torch.bfloat16):
        assert not computed_by_layers(fast, x)
        found = outputs(fast, x)
    expected = outputs(exact, x.double())
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() <= 2**-7 * expected.norm()
    grad = torch.randn(found.shape).bfloat16()
    found.backward(grad)
    expected.backward(grad.double())
    assert all(p.grad.dtype == torch.float32 for p in fast.parameters())
    one, other = (torch.cat([p.grad.flatten() for p in b.parameters()]) for b in (fast, exact))
    assert (one - other).norm() <= 2**-7 * other.norm()


def test_statistics_of_minutes_stay_right():
    """In float32, over 30 million values whose mean is three standard deviations."""
    torch.manual_seed(0)
    ones, zeros = torch.ones(8), torch.zeros(8)
    weights = native.Weights(
        *(zeros, torch.ones(1), ones, zeros, torch.ones(8, 1, 1), zeros, torch.ones(1)),
        *(2 * ones, ones, 1, 0),
    )
    x = torch.randn(1, 8, 4_000_000) + 3
    mean, deviation = x.double().mean(), x.double().var(correction=0).sqrt()
    z, positive, moments, ((gain, shift),) = native.block_forward(x, weights)
    ((found_mean, found_scale, next_mean, next_scale),) = moments
    assert torch.equal(positive.bool(), z > 0)
    assert abs(found_mean / mean - 1) < 1e-6
    assert abs(found_scale * deviation - 1) < 1e-5
    assert abs(next_mean) < 1e-5
    assert abs(next_scale - 1) < 1e-5
    assert (gain - 2).abs().max() < 1e-4
    assert (shift - 1).abs().max() < 1e-4
    assert (z[0, :, :1000] - ((x[0, :, :1000] - mean) / deviation)).abs().max() < 1e-4


def test_cumulative_statistics_of_minutes_stay_right():
    """In float32, over 4 million frames whose mean is three standard deviations."""
    torch.manual_seed(0)
    ones, zeros = torch.ones(8), torch.zeros(8)
    weights = native.Weights(
        *(zeros, torch.ones(1), ones, zeros, torch.ones(8, 1, 1), zeros, torch.ones(1)),
        *(ones, zeros, 1, 0, "cumulative"),
    )
    x = torch.randn(1, 8, 4_000_000) + 3
    z, _, (found,), _ = native.block_forward(x.clone(), weights)
    exact, row = [], x[0].double()
    count = 8 * torch.arange(1, x.shape[2] + 1)
    for _ in range(2):
        mean = row.sum(0).cumsum(0) / count
        scale = (row.square().sum(0).cumsum(0) / count - mean.square() + 1e-8).rsqrt()
        row = (row - mean) * scale
        exact += [mean, scale]
    torch.testing.assert_close(found, torch.stack(exact), rtol=2e-6, atol=1e-6)
    assert (z[0] - row).abs().max() < 5e-6
