"""Mixing of channels: batched matmuls whose results have rows that start at cache lines."""

from __future__ import annotations

import torch

# Rows of a result start multiples of so many numbers apart.
SPACING = 1 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 16


def eager_on_cpu(x: torch.Tensor) -> bool:
    """Whether ``x`` is computed with on a CPU, neither traced nor compiled."""
    return x.is_cpu and not torch.jit.is_tracing() and not torch.compiler.is_compiling()


def precision(x: torch.Tensor) -> torch.dtype:
    """Data type in which matrices are multiplied: autocast's, or that of ``x``."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def empty_rows(x: torch.Tensor, channels: int) -> torch.Tensor:
    """Room for ``(batch, channel, frame)``, of the type and the frames of ``x``.

    Without AVX-512 a matmul loses up to half of its speed where the rows of its result do not start
    at a cache line, which holds for most numbers of frames; so there is a gap after each row.
    bfloat16 has none, as the matrices of its matmuls would be copied.
    """
    batch, _, frames = x.shape
    spacing = 1 if x.dtype == torch.bfloat16 else SPACING
    stride = -(-frames // spacing) * spacing
    return x.new_empty_strided((batch, channels, frames), (channels * stride, stride, 1))


def matmul(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Multiply ``(out, in)`` with ``(batch, in, frame)``; without gradients."""
    weight = weight.to(x.dtype).expand(len(x), -1, -1)
    return torch.bmm(weight, x, out=empty_rows(x, weight.shape[1]))


def mix(weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Multiply ``(batch, out, in)`` with ``(batch, in, frame)``, and add ``(batch, out)``."""
    weight, bias = weight.to(x.dtype), bias.to(x.dtype)[:, :, None]
    return torch.baddbmm(bias, weight, x, out=empty_rows(x, weight.shape[1]))
