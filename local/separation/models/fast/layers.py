"""Encoder, decoder, convolutions and PReLU, computed faster on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import torch
from asteroid_filterbanks import Decoder, Encoder
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from separation.models.fast.matmul import eager_on_cpu, matmul, mix, precision

# Smallest slope from which a PReLU's negative input can be recovered.
TINY_SLOPE = 1e-6
PIECE = 2**21  # numbers handled at a time by a backward pass, so that they stay in the cache


class FastEncoder(Encoder):
    """Asteroid's encoder as a matmul of the filters and the frames."""

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Encode ``(batch, 1, time)`` into ``(batch, filter, frame)``."""
        if not eager_on_cpu(waveform) or waveform.shape[1:-1] != (1,) or self.padding:
            return super().forward(waveform)
        filters = self.get_filters()[:, 0]
        frames = waveform[:, 0].unfold(-1, filters.shape[1], self.stride).transpose(1, 2)
        return _Product.apply(frames, filters, None)


class FastDecoder(Decoder):
    """Asteroid's decoder as a matmul, and an overlap-add of whole hops."""

    def forward(self, spec: torch.Tensor, length: int | None = None) -> torch.Tensor:
        """Decode ``(..., filter, frame)`` into ``(..., time)``."""
        if not eager_on_cpu(spec):
            return super().forward(spec, length)
        filters = self.get_filters()[:, 0]
        hops, rest = divmod(filters.shape[1], self.stride)
        if rest or self.padding or self.output_padding or spec.ndim < 4:
            return super().forward(spec, length)
        flat = spec.flatten(0, -3)
        pieces = _Product.apply(flat, filters.t(), None).unflatten(1, (hops, -1))
        shifted = [F.pad(pieces[:, k], (k, hops - 1 - k)) for k in range(hops)]
        summed = reduce(torch.add, shifted)
        return summed.transpose(1, 2).reshape(*spec.shape[:-2], -1)[..., :length]


class FastPReLU(nn.PReLU):
    """PReLU with one slope: Torch's vectorised leaky ReLU, the slope's gradient as a dot product.

    Torch's own PReLU computes a slope gradient for every element before it adds them up.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``x`` of any shape."""
        return _PReLU.apply(x, self.weight) if eager_on_cpu(x) else super().forward(x)


class PointwiseConv1d(nn.Conv1d):
    """A convolution with a kernel of 1 as a batched matmul."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the channels of ``(batch, channel, time)``."""
        if not eager_on_cpu(x) or x.ndim != 3 or self.bias is None:
            return super().forward(x)
        return _Product.apply(x, self.weight[:, :, 0], self.bias)


class DepthwiseConv1d(nn.Conv1d):
    """A depthwise convolution as shifted multiply-adds, one for each tap."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter every channel of ``(batch, channel, time)``."""
        padding, dilation = self.padding[0], self.dilation[0]
        reach = (self.kernel_size[0] - 1) * dilation
        if not eager_on_cpu(x) or isinstance(padding, str) or padding > reach:
            return super().forward(x)
        return _Depthwise.apply(x, self.weight, self.bias, padding, dilation)


class _PReLU(torch.autograd.Function):
    """Saves the output, which the next norm saves anyway, where the PReLU is invertible."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        y = F.leaky_relu(x, slope.item())
        ctx.invertible = slope.item() > TINY_SLOPE
        ctx.save_for_backward(y if ctx.invertible else x, slope)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        kept, slope = ctx.saved_tensors
        grad_x = torch.ops.aten.leaky_relu_backward(grad, kept, slope.item(), ctx.invertible)
        grad_slope = slope.new_zeros(())
        for there, kept_there in _pieces(grad, kept):
            products = kept_there.clamp(max=0).mul_(there)
            grad_slope += products.sum(-1).sum(dtype=slope.dtype)
        return grad_x, (grad_slope / slope if ctx.invertible else grad_slope).reshape(1)


class _Product(torch.autograd.Function):
    """``y[t] = weight x[t]``, plus a bias if there is one."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        dtype = precision(x)
        with torch.autocast("cpu", enabled=False):
            x = x.to(dtype)
            ctx.save_for_backward(x, weight)
            if bias is None:
                return matmul(weight, x)
            return mix(weight.expand(len(x), -1, -1), bias.expand(len(x), -1), x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        with torch.autocast("cpu", enabled=False):
            grads = torch.bmm(grad, x.transpose(1, 2)) if of_weight else None
            return (
                matmul(weight.t(), grad) if of_x else None,
                None if grads is None else grads.sum(0, dtype=weight.dtype),
                grad.sum(-1, dtype=weight.dtype).sum(0) if of_bias else None,
            )


class _Depthwise(torch.autograd.Function):
    """``y[t] = bias + sum_k w[k] x[t - padding + k dilation]``, x being 0 outside."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        padding: int,
        dilation: int,
    ) -> torch.Tensor:
        taps = weight.shape[-1]
        ctx.shifts = [k * dilation - padding for k in range(taps)]
        ctx.save_for_backward(x, weight)
        if x.dtype == torch.bfloat16:  # Torch's own rounds the sum only
            as_x = (weight.to(x.dtype), bias.to(x.dtype))
            return F.conv1d(x, *as_x, padding=padding, dilation=dilation, groups=len(bias))
        length = x.shape[-1] + 2 * padding - (taps - 1) * dilation
        return _add_shifted(x, weight, ctx.shifts, bias, length)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        back = [-shift for shift in ctx.shifts]
        grad_x = _add_shifted(grad, weight, back, torch.zeros(x.shape[1]), x.shape[-1])
        grad_weight = torch.zeros_like(weight)
        for grads, frames in _pieces(grad, x):
            for k, shift in enumerate(ctx.shifts):
                here, there = _overlap(shift, grad.shape[-1], x.shape[-1])
                products = (grads[..., here] * frames[..., there]).sum(-1)
                grad_weight[:, 0, k] += products.sum(0, dtype=weight.dtype)
        return grad_x, grad_weight, grad.sum(-1).sum(0, dtype=weight.dtype), None, None


def _add_shifted(
    x: torch.Tensor, weight: torch.Tensor, shifts: list[int], bias: torch.Tensor, length: int
) -> torch.Tensor:
    """``y[t] = bias + sum_k w[k] x[t + shifts[k]]`` for ``t < length``, x being 0 outside."""
    weight = weight.to(x.dtype)
    y = x.new_empty(*x.shape[:-1], length)
    for sums, frames in _pieces(y, x):
        sums.copy_(bias[:, None])
        for k, shift in enumerate(shifts):
            here, there = _overlap(shift, length, x.shape[-1])
            sums[..., here].addcmul_(frames[..., there], weight[:, :, k])
    return y


def _overlap(shift: int, length: int, frames: int) -> tuple[slice, slice]:
    """Where ``t`` of ``length`` finds ``t + shift`` within ``frames``, and what it finds."""
    start = min(max(0, -shift), length)
    stop = max(start, min(length, frames - shift))
    return slice(start, stop), slice(start + shift, stop + shift)


def _pieces(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Examples of a batch, as many at a time as a processor's cache holds."""
    size = max(1, PIECE // tensors[0][0].numel())
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)
