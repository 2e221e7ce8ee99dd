"""Mixtures of different lengths in one batch, each separated as it is by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from asteroid.masknn.norms import GlobLN
from asteroid_filterbanks import Decoder
from torch import nn


class LeavesOut:
    """Mixed into a layer that leaves out frames by itself, without hooks on what it is made of.

    Attributes:
        frames: ``(batch,)``, of each example while a batch is ragged, else None.
    """

    frames: torch.Tensor | None = None


@contextmanager
def ragged(model: nn.Module, frames: torch.Tensor) -> Iterator[None]:
    """Let a network leave out the frames after the end of each example.

    Global norms take their statistics from the frames that are there, and what filters over frames,
    or adds them up into samples, finds zeros after the end, as it does at the end of a mixture by
    itself. Cumulative norms, norms of a frame and pointwise layers do not mix frames with later
    ones; batch norm counts padding in while it trains.

    Args:
        model: of Asteroid's layers and this project's.
        frames: ``(batch,)``, of each example.
    """

    def leave_out(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x, *others = inputs
        return (x * within(frames, x), *others)

    def normalise(module: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        (x,) = inputs
        return masked_norm(x, within(frames, x), module.gamma, module.beta)

    by_themselves = [module for module in model.modules() if isinstance(module, LeavesOut)]
    inside = {part for layer in by_themselves for part in layer.modules()}
    hooks = []
    for module in model.modules():
        over_frames = isinstance(module, nn.Conv1d) and module.kernel_size[0] > 1
        if module in inside:
            continue
        if isinstance(module, Decoder) or over_frames:
            hooks.append(module.register_forward_pre_hook(leave_out))
        elif isinstance(module, GlobLN):
            hooks.append(module.register_forward_hook(normalise))
    for layer in by_themselves:
        layer.frames = frames
    try:
        yield
    finally:
        for layer in by_themselves:
            layer.frames = None
        for hook in hooks:
            hook.remove()


def masked_norm(
    x: torch.Tensor, mask: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float = 1e-8
) -> torch.Tensor:
    """Global layer norm with the statistics of the frames that are there.

    Args:
        x: ``(batch, channel, frame)``.
        mask: ``(batch, 1, frame)``, true where a frame is there.
        gamma: gain of each channel.
        beta: bias of each channel.
        eps: added to the variance.
    """
    x = x if x.dtype == torch.float64 else x.float()  # bfloat16 is too coarse for statistics
    count = x.shape[1] * mask.sum((1, 2), keepdim=True)
    centred = x - (x * mask).sum((1, 2), keepdim=True) / count
    variance = (centred * mask).square().sum((1, 2), keepdim=True) / count
    return centred * (variance + eps).rsqrt() * gamma[:, None] + beta[:, None]


def within(frames: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Mask of valid frames, broadcastable to ``x`` of shape ``(batch, ..., frame)``.

    A batch that sources were folded into has all sources of an example one after the other.
    """
    frames = frames.repeat_interleave(len(x) // len(frames))
    mask = torch.arange(x.shape[-1], device=x.device) < frames.to(x.device)[:, None]
    return mask.view(len(frames), *[1] * (x.ndim - 2), -1)
