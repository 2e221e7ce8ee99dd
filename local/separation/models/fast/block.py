"""The convolutional block of Conv-TasNet on a CPU, in few passes over memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, cast

import torch
from asteroid.masknn.convolutional import Conv1DBlock
from torch import nn
from torch.autograd.function import once_differentiable

from separation.models.fast.layers import TINY_SLOPE
from separation.models.fast.matmul import eager_on_cpu, matmul, mix, precision
from separation.models.fast.native import (
    OF_FILTER,
    Weights,
    block_backward,
    block_forward,
    is_available,
)
from separation.models.fast.norms import FusedGlobLN, SteadyCumLN
from separation.models.ragged import LeavesOut, ragged

FOLDED = {FusedGlobLN: "global", SteadyCumLN: "cumulative"}


class FoldedBlock(LeavesOut, Conv1DBlock):
    """Asteroid's block; gain and bias of its second norm are folded into the matmuls after it.

    A global norm scales and shifts each channel. The convolutions after it can do that with their
    own weights, so the norm costs its statistics alone, forward and backward. Of a cumulative norm,
    which scales and shifts each frame, too, that holds for gain and bias. All that is between the
    matmuls is compiled for the processor; where that cannot be done, and for other norms,
    Asteroid's layers do it.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """``(batch, channel, frame)`` to the residual of that shape, and what skips, if any."""
        if not self._folds(x):
            if self.frames is None:
                return super().forward(x)
            with ragged(self.shared_block, self.frames):
                return super().forward(x)
        pointwise, prelu, norm, _, next_prelu, next_norm = self.shared_block
        depthwise = self._depthwise
        ways = [self.res_conv, self.skip_conv] if self.skip_out_chan else [self.res_conv]
        compute = _Block.apply if torch.is_grad_enabled() else _without_gradients
        out = compute(
            x,
            (depthwise.dilation[0], depthwise.padding[0], FOLDED[type(norm)]),
            self.frames,
            *(pointwise.weight, pointwise.bias, prelu.weight, norm.gamma, norm.beta),
            *(depthwise.weight, depthwise.bias, next_prelu.weight),
            *(next_norm.gamma, next_norm.beta),
            *(parameter for way in ways for parameter in (way.weight, way.bias)),
        )
        return out if self.skip_out_chan else out[0]

    @property
    def _depthwise(self) -> nn.Conv1d:
        """The convolution over frames; one that pads on the left cuts the right off afterwards."""
        depthwise = self.shared_block[3]
        return cast(nn.Conv1d, depthwise[0] if isinstance(depthwise, nn.Sequential) else depthwise)

    def _folds(self, x: torch.Tensor) -> bool:
        if not eager_on_cpu(x):
            return False
        _, prelu, norm, _, next_prelu, next_norm = self.shared_block
        prelus, depthwise = (prelu, next_prelu), self._depthwise
        sides = 1 if self.shared_block[3] is not depthwise else 2
        reach = (depthwise.kernel_size[0] - 1) * depthwise.dilation[0]
        return (
            type(norm) is type(next_norm)
            and type(norm) in FOLDED
            and all(isinstance(p, nn.PReLU) and p.num_parameters == 1 for p in prelus)
            and abs(next_prelu.weight.item()) > TINY_SLOPE
            and sides * depthwise.padding[0] == reach  # as many frames out as in
            # Nothing that looks back alone sees what is after the end.
            and (self.frames is None or type(norm) is FusedGlobLN or sides == 1)
            and not any(map(_is_watched, islice(self.modules(), 1, None)))
            and {p.dtype for p in self.parameters()} <= {norm.gamma.dtype}
            and is_available(precision(x), norm.gamma.dtype, FOLDED[type(norm)])
        )


def _is_watched(module: nn.Module) -> bool:
    """Whether hooks want to see what a layer does, or are part of it."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


class _Block(torch.autograd.Function):
    """The block as one function.

    Saved for the backward pass are the input, the first matmul's output, the second PReLU's output
    and where its input was above 0, and the norms' moments.

    Sums over a channel's frames, of the gradient ``g`` before the last convolutions and of ``g z``,
    come from small matrices: ``g`` is ``W^T d``, so they are sums over ``W`` and ``d z^T``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        kind: tuple[int, int, str],
        frames: torch.Tensor | None,
        *parameters: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        out, kept = _outputs(x, kind, frames, parameters)
        ctx.kind, ctx.frames = kind, frames
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*kept, *parameters)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        with torch.autocast("cpu", enabled=False):
            return _gradients(ctx, grads)


def _outputs(
    x: torch.Tensor,
    kind: tuple[int, int, str],
    frames: torch.Tensor | None,
    parameters: Sequence[torch.Tensor],
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """What the block gives, and what its gradients need."""
    dtype = precision(x)
    with torch.autocast("cpu", enabled=False):
        x = x.to(dtype)
        weight, weights, ways = _sorted(kind, parameters)
        y = matmul(weight, x)
        *kept, scaling = block_forward(y, weights, frames)
        gain, shift = scaling.unbind(1)
        out = tuple(mix(w * gain[:, None], b + shift @ w.t(), kept[0]) for w, b in ways)
    return out, (x, scaling, y, *kept)


def _without_gradients(
    x: torch.Tensor, kind: Any, frames: torch.Tensor | None, *parameters: Any
) -> tuple[torch.Tensor, ...]:
    return _outputs(x, kind, frames, parameters)[0]


def _gradients(ctx: Any, grads: tuple[torch.Tensor | None, ...]) -> tuple[torch.Tensor | None, ...]:
    """Of what :class:`_Block` took."""
    x, scaling, y, z, positive, moments, *parameters = ctx.saved_tensors
    weight, weights, ways = _sorted(ctx.kind, parameters)
    gain, shift = scaling.unbind(1)
    grad, of_ways = None, list[torch.Tensor | None]()
    # Of what the second norm gives: sums of its gradient over frames, and of that times z.
    total = with_z = torch.zeros(())
    for (w, _), there in zip(ways, grads, strict=True):
        if there is None:  # the last residual, where there are skip connections
            of_ways += [None, None]
            continue
        here = matmul(w.t(), there)
        grad = here if grad is None else grad.add_(here)
        with_there = torch.bmm(there, z.transpose(1, 2)).to(w.dtype)
        sums = there.sum(-1, dtype=w.dtype)
        total = total + sums @ w
        with_z = with_z + (w * with_there).sum(1)
        of_weight = (with_there * gain[:, None]).sum(0) + sums.t() @ shift
        of_ways += [of_weight[:, :, None], sums.sum(0)]
    if grad is None:
        return (None,) * (3 + len(parameters))
    found = block_backward(grad, (total, with_z), (y, z, positive, moments), weights, ctx.frames)
    slopes, found = found.sum(0).to(weight.dtype), found.to(weight.dtype)
    bias, _, gamma, beta, filter_bias, _, next_gamma, next_beta, *_ = found.unbind(1)
    of_weight = torch.bmm(grad, x.transpose(1, 2)).sum(0, dtype=weight.dtype)
    return (
        matmul(weight.t(), grad),
        None,
        None,
        *(of_weight[:, :, None], bias, slopes[1:2], gamma, beta),
        *(found[:, None, OF_FILTER:], filter_bias, slopes[5:6], next_gamma, next_beta),
        *of_ways,
    )


def _sorted(
    kind: tuple[int, int, str], parameters: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, Weights, list[tuple[torch.Tensor, torch.Tensor]]]:
    """Weight of the first matmul, weights up to the last ones, and those with their biases."""
    weight, bias, slope, gamma, beta, filters, filter_bias = parameters[:7]
    next_slope, next_gamma, next_beta, *ways = parameters[7:]
    norms = (next_slope, next_gamma, next_beta)
    between = Weights(bias, slope, gamma, beta, filters, filter_bias, *norms, *kind)
    mixing = [(w[:, :, 0], b) for w, b in zip(ways[::2], ways[1::2], strict=True)]
    return weight[:, :, 0], between, mixing
