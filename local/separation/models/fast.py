"""Asteroid's layers, computed faster on a CPU. Weights, their names and files stay Asteroid's.

Entry point: :func:`speed_up`. Each layer here is the same function as the one it stands in for, to
rounding, and falls back to it where it has no better way: off the CPU, under tracing, and mostly
under autocast.
"""

from __future__ import annotations

import ctypes
from functools import reduce
from typing import Any

import torch
from asteroid.masknn.convolutional import Conv1DBlock
from asteroid_filterbanks import Decoder, Encoder, FreeFB
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from separation.models.blocks import FoldedBlock, suits_convolution
from separation.models.norms import fuse_norms

# Of a PReLU: with less, what it leaves of a negative input may be nothing.
TINY_SLOPE = 1e-6


def speed_up(model: nn.Module) -> nn.Module:
    """Let encoder, decoder, convolutions, PReLUs and norms of an Asteroid model run faster.

    The layers change their class in place; the parameters are the same objects.
    """
    for module in model.modules():
        if type(module) is nn.PReLU and module.num_parameters == 1:
            module.__class__ = FastPReLU
        elif type(module) is nn.Conv1d and module.padding_mode == "zeros":
            plain = module.stride == (1,) and module.bias is not None
            if plain and module.kernel_size == (1,) and module.groups == 1:
                module.__class__ = PointwiseConv1d
            elif plain and module.groups == module.in_channels == module.out_channels:
                module.__class__ = DepthwiseConv1d
        elif type(module) is Conv1DBlock:
            module.__class__ = FoldedBlock
        elif type(module) is Encoder and type(module.filterbank) is FreeFB:
            module.__class__ = FastEncoder
        elif type(module) is Decoder and type(module.filterbank) is FreeFB:
            module.__class__ = FastDecoder
    return fuse_norms(model)


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next tensor, on Linux with glibc.

    Left alone it hands every large tensor back to the system, and the next one is made of fresh
    pages, which on a virtual machine costs more than what is computed in them. For programs that
    make tensors of the same sizes over and over: what was once taken stays taken.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in (
            (-4, 0),  # M_MMAP_MAX: nothing outside the heap
            (-1, 2**31 - 1),  # M_TRIM_THRESHOLD: the heap does not shrink
            (-2, 2**28),  # M_TOP_PAD: it grows in large steps
        ):
            mallopt(option, value)


class FastEncoder(Encoder):
    """Asteroid's encoder as a matrix product of the filters and the frames."""

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Encode ``(batch, 1, time)`` into ``(batch, filter, frame)``."""
        if not _eager_on_cpu(waveform) or waveform.shape[1:-1] != (1,) or self.padding:
            return super().forward(waveform)
        filters = self.get_filters()[:, 0]
        frames = waveform[:, 0].unfold(-1, filters.shape[1], self.stride).transpose(1, 2)
        return torch.bmm(filters.expand(len(frames), -1, -1), frames)


class FastDecoder(Decoder):
    """Asteroid's decoder as a matrix product, and an overlap-add of whole hops."""

    def forward(self, spec: torch.Tensor, length: int | None = None) -> torch.Tensor:
        """Decode ``(..., filter, frame)`` into ``(..., time)``."""
        filters = self.get_filters()[:, 0]
        hops, rest = divmod(filters.shape[1], self.stride)
        plain = not (rest or self.padding or self.output_padding) and spec.ndim > 3
        if not _eager_on_cpu(spec) or not plain:
            return super().forward(spec, length)
        flat = spec.flatten(0, -3)
        pieces = torch.bmm(filters.t().expand(len(flat), -1, -1), flat).unflatten(1, (hops, -1))
        shifted = [F.pad(pieces[:, k], (k, hops - 1 - k)) for k in range(hops)]
        summed = reduce(torch.add, shifted)
        return summed.transpose(1, 2).reshape(*spec.shape[:-2], -1)[..., :length]


class FastPReLU(nn.PReLU):
    """PReLU with one slope: Torch's vectorised leaky ReLU, the slope's gradient as a dot product.

    Torch's own PReLU computes a slope gradient for every element before it adds them up.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to ``x`` of any shape."""
        return _PReLU.apply(x, self.weight) if _eager_on_cpu(x) else super().forward(x)


class PointwiseConv1d(nn.Conv1d):
    """A convolution with a kernel of 1 as a batched matrix product, where that is faster.

    So it is under autocast, too: matrix units for bfloat16 (AMX) work on products, and lie idle in
    a convolution.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the channels of ``(batch, channel, time)``."""
        if not _eager_on_cpu(x, autocast=True) or self.bias is None:
            return super().forward(x)
        if _eager_on_cpu(x) and suits_convolution(x, self.out_channels):
            return super().forward(x)
        weight = self.weight[:, :, 0].expand(x.shape[0], -1, -1)
        return torch.baddbmm(self.bias[None, :, None], weight, x)


class DepthwiseConv1d(nn.Conv1d):
    """A depthwise convolution as shifted multiply-adds, one for each tap."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter every channel of ``(batch, channel, time)``."""
        padding, dilation = self.padding[0], self.dilation[0]
        reach = (self.kernel_size[0] - 1) * dilation
        if not _eager_on_cpu(x) or isinstance(padding, str) or padding > reach:
            return super().forward(x)
        return _Depthwise.apply(x, self.weight, self.bias, padding, dilation)


def _eager_on_cpu(x: torch.Tensor, autocast: bool = False) -> bool:
    return (
        x.is_cpu
        and (autocast or not torch.is_autocast_enabled("cpu"))
        and not torch.jit.is_tracing()
        and not torch.compiler.is_compiling()
    )


class _PReLU(torch.autograd.Function):
    """What is kept is the output where that tells the input: the norm after it keeps it anyway."""

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
        grad_slope = torch.dot(grad.flatten(), kept.clamp(max=0).flatten())
        return grad_x, (grad_slope / slope if ctx.invertible else grad_slope).reshape(1)


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
        padded = F.pad(x, (padding, padding))
        length = padded.shape[-1] - (taps - 1) * dilation
        y = torch.addcmul(bias[:, None], padded[..., :length], weight[:, :, 0])
        for k in range(1, taps):
            y.addcmul_(padded[..., k * dilation :][..., :length], weight[:, :, k])
        ctx.save_for_backward(padded, weight)
        ctx.dilation, ctx.padding, ctx.x_length = dilation, padding, x.shape[-1]
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        padded, weight = ctx.saved_tensors
        dilation, taps, length = ctx.dilation, weight.shape[-1], grad.shape[-1]
        reach = (taps - 1) * dilation
        outer = F.pad(grad, (reach - ctx.padding, reach - ctx.padding))
        grad_x = outer[..., reach:][..., : ctx.x_length] * weight[:, :, 0]
        for k in range(1, taps):
            grad_x.addcmul_(
                outer[..., reach - k * dilation :][..., : ctx.x_length], weight[:, :, k]
            )
        grad_weight = torch.stack(
            [(grad * padded[..., k * dilation :][..., :length]).sum((0, 2)) for k in range(taps)],
            -1,
        )
        return grad_x, grad_weight[:, None], grad.sum((0, 2)), None, None
