"""Normalisations equal to Asteroid's, computed faster; their weights stay Asteroid's."""

from __future__ import annotations

from typing import Any

import torch
from asteroid.masknn.norms import ChanLN, CumLN, GlobLN
from torch import nn
from torch.autograd.function import once_differentiable

from separation.models.fast.matmul import eager_on_cpu
from separation.models.fast.native import is_available, norm_backward, norm_forward

COMPILED_EPS = 1e-8  # EPS of rows.h


class FusedGlobLN(GlobLN):
    """Global layer norm (gLN of Luo and Mesgarani 2019) as one fused kernel.

    With one group, group norm takes mean and variance over channels and time of each example and
    scales each channel: the same function as Asteroid's ``GlobLN``, which is written out in steps.
    """

    def forward(self, x: torch.Tensor, EPS: float = 1e-8) -> torch.Tensor:
        """Normalise ``x`` of shape ``(batch, channel, time)``."""
        return nn.functional.group_norm(x, 1, self.gamma, self.beta, EPS)


class SteadyCumLN(CumLN):
    """Cumulative layer norm (cLN of Luo and Mesgarani 2019) that is right after an hour, too.

    On a CPU it is compiled for the processor, where that can be done.

    Mean and variance of all frames so far come from running sums, and the variance is a difference
    of two of them. A running sum in float32 is off by 4e-3 of a standard deviation after an hour of
    frames (L 16, a mean of one standard deviation). Asteroid's, which Torch adds up in float64 on
    a CPU and rounds to float32, is right there, and off by 4e-4 where the mean is 30 standard
    deviations. Here they stay float64, after sums over a frame in float32: 5e-6. Frames do not
    depend on later ones.
    """

    def forward(self, x: torch.Tensor, EPS: float = 1e-8) -> torch.Tensor:
        """Normalise ``x`` of shape ``(batch, channel, frame)``."""
        x = _not_half(x)
        suits = eager_on_cpu(x) and x.ndim == 3 and EPS == COMPILED_EPS
        if suits and is_available(x.dtype, self.gamma.dtype, "cumulative"):
            return _CompiledCumulative.apply(x, self.gamma, self.beta)
        return _Cumulative.apply(x, self.gamma, self.beta, EPS)


class ExactChanLN(ChanLN):
    """Layer norm of each frame by itself, with statistics in float32 of bfloat16, too."""

    def forward(self, x: torch.Tensor, EPS: float = 1e-8) -> torch.Tensor:
        """Normalise ``x`` of shape ``(batch, channel, frame)``."""
        return super().forward(_not_half(x), EPS)


def _not_half(x: torch.Tensor) -> torch.Tensor:
    """The input of a norm: what autocast hands over in bfloat16 is too coarse for statistics."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class _CompiledCumulative(torch.autograd.Function):
    """The same as :class:`_Cumulative`, in C."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        y, moments = norm_forward(x, gamma, beta)
        ctx.save_for_backward(x, gamma, moments)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return norm_backward(grad, *ctx.saved_tensors)


class _Cumulative(torch.autograd.Function):
    """Cumulative layer norm with its gradient written out; what is kept for it is the input."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float
    ) -> torch.Tensor:
        channels, frames = x.shape[1:]
        count = channels * torch.arange(1, frames + 1, dtype=torch.float64, device=x.device)
        mean = x.sum(1).double().cumsum(-1) / count
        power = x.square().sum(1).double().cumsum(-1) / count
        scale = (power - mean.square()).clamp(min=0).add(eps).rsqrt()
        ctx.save_for_backward(x, gamma, mean, scale, count)
        normed = (x - mean.to(x.dtype)[:, None]).mul_(scale.to(x.dtype)[:, None])
        return normed.mul_(gamma[:, None]).add_(beta[:, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, gamma, mean, scale, count = ctx.saved_tensors
        scaled = grad * scale.to(x.dtype)[:, None]
        shift = (mean * scale).to(x.dtype)[:, :, None]
        grad_gamma = (scaled * x).sum((0, 2)) - torch.bmm(grad, shift).sum((0, 2))
        inner = grad * gamma[:, None]
        # Per-frame sums over channels, then gradients of the running mean and power with respect
        # to earlier frames.
        total = inner.sum(1).double()
        with_x = (inner * x).sum(1).double()
        cubed = scale**3 * (with_x - mean * total)
        grad_mean, grad_power = cubed * mean - scale * total, -0.5 * cubed
        of_sum, of_power = (_sum_of_later(g / count).to(x.dtype) for g in (grad_mean, grad_power))
        grad_x = inner.mul_(scale.to(x.dtype)[:, None]).add_(of_sum[:, None])
        grad_x.addcmul_(x, 2 * of_power[:, None])
        return grad_x, grad_gamma, grad.sum((0, 2)), None


def _sum_of_later(x: torch.Tensor) -> torch.Tensor:
    """Sum of each frame of ``(batch, frame)`` and all that come after it."""
    return x.flip(-1).cumsum(-1).flip(-1)
