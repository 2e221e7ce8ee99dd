"""Blocks of Asteroid's with small sizes, and the check of the folded ones against them."""

import copy

import torch
from asteroid.masknn.convolutional import Conv1DBlock
from torch import nn

from separation.models.fast import speed_up
from separation.models.fast.block import FoldedBlock


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


def gradients(block, x):
    """Of a sum in which every output has another weight, with and without what skips."""
    found = []
    for used in (slice(None), slice(-1, None)):
        block.zero_grad()
        data = x.clone().requires_grad_()
        out = block(data)
        for y in (out if isinstance(out, tuple) else (out,))[used]:
            weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).sin().view(y.shape)
            (y * weights).sum().backward(retain_graph=True)
        found += [data.grad, *(p.grad for p in block.parameters() if p.grad is not None)]
    return found


def computed_by_layers(block, x):
    """How many of the block's layers are called."""
    calls = []
    forward = block.shared_block.forward
    block.shared_block.forward = lambda y: calls.append(1) or forward(y)
    block(x)
    del block.shared_block.forward
    return bool(calls)


def check(stock, x, by_layers=False):
    """The folded block gives what Asteroid's gives, without its parameters or input changing."""
    before = x.clone()
    fast = speed_up(copy.deepcopy(stock))
    assert type(fast) is FoldedBlock
    assert computed_by_layers(fast, x) == by_layers
    with torch.no_grad():
        torch.testing.assert_close(outputs(fast, x), outputs(stock, x), rtol=1e-9, atol=1e-9)
    for one, other in zip(gradients(fast, x), gradients(stock, x), strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)
    assert torch.equal(x, before)
    for one, other in zip(fast.parameters(), stock.parameters(), strict=True):
        assert torch.equal(one, other)
    return fast
