"""The convolutional block of Conv-TasNet, separating on a CPU in few passes over memory."""

from __future__ import annotations

import torch
from asteroid.masknn.convolutional import Conv1DBlock
from torch import nn
from torch.linalg import vector_norm
from torch.nn import functional as F

from separation.models.norms import FusedGlobLN

STRETCH = 2**13  # frames
# Multiplications from which on a float32 convolution may be faster than the product, and the frames
# that fill a cache line.
LARGE_PRODUCT, CACHE_LINE = 2**24, 16


class FoldedBlock(Conv1DBlock):
    """Asteroid's block; without gradients its global norms are folded into the convolutions.

    A global norm scales and shifts each channel. The convolution after it can do that with its own
    weights, so the norm costs its statistics alone; and the last two convolutions are one product.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """``(batch, channel, frame)`` to the residual of that shape, and what skips, if any."""
        if not self._folds(x):
            return super().forward(x)
        pointwise, prelu, norm, depthwise, last_prelu, last_norm = self.shared_block
        y = pointwise(x)
        # Under autocast the products alone are in bfloat16.
        z = F.leaky_relu_(y.to(norm.gamma.dtype), prelu.weight.item())
        z = depthwise_of_scaled(depthwise, z, *as_scaling(norm, z))
        z = F.leaky_relu_(z, last_prelu.weight.item())
        scale, shift = as_scaling(last_norm, z)
        out = self._mix(z.to(y.dtype), scale, shift)
        if not self.skip_out_chan:
            return out
        return out[:, : x.shape[1]], out[:, x.shape[1] :]

    def _mix(self, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """Residual and what skips, ``(batch, channel, frame)``, of ``x`` scaled and shifted."""
        convolutions = [self.res_conv, self.skip_conv] if self.skip_out_chan else [self.res_conv]
        weight = torch.cat([conv.weight[:, :, 0] for conv in convolutions])
        bias = torch.cat([conv.bias for conv in convolutions])
        bias = bias + (weight * shift[:, None]).sum(-1)
        weight, bias = (weight * scale[:, None]).to(x.dtype), bias.to(x.dtype)
        if len(x) == 1 and suits_convolution(x, weight.shape[1]):
            return F.conv1d(x, weight[0, :, :, None], bias[0])
        return torch.baddbmm(bias[:, :, None], weight, x)

    def _folds(self, x: torch.Tensor) -> bool:
        if torch.is_grad_enabled() or not x.is_cpu:
            return False
        if torch.jit.is_tracing() or torch.compiler.is_compiling():
            return False
        _, prelu, norm, depthwise, last_prelu, last_norm = self.shared_block
        return (
            all(type(module) is FusedGlobLN for module in (norm, last_norm))
            and all(isinstance(p, nn.PReLU) and p.num_parameters == 1 for p in (prelu, last_prelu))
            and isinstance(depthwise, nn.Conv1d)
            and 2 * depthwise.padding[0] == (depthwise.kernel_size[0] - 1) * depthwise.dilation[0]
            and depthwise.kernel_size[0] % 2 == 1
            # hooks want to see every layer
            and not any(m._forward_hooks or m._forward_pre_hooks for m in self.shared_block)
        )


def suits_convolution(x: torch.Tensor, out_channels: int) -> bool:
    """Whether to mix the channels of ``(batch, channel, frame)`` by Torch's convolution.

    A product of matrices is the faster one, but loses a third of its speed where the rows of the
    result do not begin with a cache line, as in most numbers of frames; the convolution does not.
    In bfloat16 the product is always faster.
    """
    if x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu"):
        return False
    large = x.shape[1] * x.shape[2] * out_channels > LARGE_PRODUCT
    return large and x.shape[2] % CACHE_LINE != 0


def as_scaling(
    norm: FusedGlobLN, x: torch.Tensor, eps: float = 1e-8
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a global norm multiplies the channels of ``x`` with, and adds; ``(batch, channel)``."""
    count = x.shape[1] * x.shape[2]
    # Sums over minutes would not be exact enough in float32.
    parts = x.split(STRETCH, -1)
    total = sum(part.sum(-1).sum(-1, dtype=torch.float64) for part in parts)
    power = sum(vector_norm(vector_norm(part, dim=-1).double(), dim=-1).square() for part in parts)
    mean = total / count
    variance = (power / count - mean.square()).clamp(min=0)
    scale = (variance + eps).rsqrt().to(x.dtype)[:, None] * norm.gamma
    return scale, torch.addcmul(norm.beta, scale, mean.to(x.dtype)[:, None], value=-1)


def depthwise_of_scaled(
    conv: nn.Conv1d, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """A depthwise convolution, with zeros around, of ``x`` scaled and shifted.

    Args:
        conv: as long as its input; an odd number of taps.
        x: ``(batch, channel, frame)``.
        scale: ``(batch, channel)``.
        shift: ``(batch, channel)``.
    """
    weight = conv.weight[:, 0] * scale[:, :, None]
    shifts = conv.weight[:, 0] * shift[:, :, None]  # what each tap adds where it finds a frame
    middle, frames = weight.shape[-1] // 2, x.shape[-1]
    bias = shifts.sum(-1) if conv.bias is None else shifts.sum(-1) + conv.bias
    y = bias[..., None].expand_as(x).clone()
    for tap in range(weight.shape[-1]):
        offset = (tap - middle) * conv.dilation[0]
        found = max(0, frames - abs(offset))
        first = max(0, -offset)  # frame that finds one there
        seen = x[..., max(0, offset) :][..., :found]
        y[..., first:][..., :found].addcmul_(seen, weight[..., tap, None])
        beyond = y[..., found:] if offset > 0 else y[..., : frames - found]
        beyond.sub_(shifts[..., tap, None])
    return y
