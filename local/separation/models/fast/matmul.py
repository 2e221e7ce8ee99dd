"""Mixing of channels: batched matmuls, or Torch's convolution where that is faster."""

from __future__ import annotations

import torch
from torch.nn import functional as F

# Multiplications from which conv1d can beat matmul in float32, and floats per cache line.
LARGE_MATMUL, CACHE_LINE = 2**24, 16
NEEDS_ALIGNED_ROWS = torch.backends.cpu.get_cpu_capability() != "AVX512"


def suits_conv1d(x: torch.Tensor, out_channels: int) -> bool:
    """Whether to mix the channels of ``(batch, channel, frame)`` by Torch's convolution.

    A matmul is usually faster. On processors without AVX-512 it loses a third of its speed where
    the rows of the result do not start at a cache line, which holds for most numbers of frames; the
    convolution does not. In bfloat16 a matmul is always faster.
    """
    if x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu"):
        return False
    large = x.shape[1] * x.shape[2] * out_channels > LARGE_MATMUL
    return NEEDS_ALIGNED_ROWS and large and x.shape[2] % CACHE_LINE != 0


def precision(x: torch.Tensor) -> torch.dtype:
    """Data type in which matrices are multiplied: autocast's, or that of ``x``."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def matmul(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Multiply ``(out, in)`` with ``(batch, in, frame)``."""
    weight = weight.to(x.dtype)
    if suits_conv1d(x, len(weight)):
        return F.conv1d(x, weight[:, :, None])
    return torch.bmm(weight.expand(len(x), -1, -1), x)


def mix(weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Multiply ``(batch, out, in)`` with ``(batch, in, frame)``, and add ``(batch, out)``."""
    weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    if len(x) == 1 and suits_conv1d(x, weight.shape[1]):
        return F.conv1d(x, weight[0, :, :, None], bias[0])
    return torch.baddbmm(bias[:, :, None], weight, x)
