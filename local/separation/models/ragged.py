"""Mixtures of different lengths in one batch, each separated as it is by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from asteroid.masknn.norms import GlobLN
from asteroid_filterbanks import Decoder
from torch import nn

from separation.models.fast.norms import masked_norm


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

    hooks = []
    for module in model.modules():
        over_frames = isinstance(module, nn.Conv1d) and module.kernel_size[0] > 1
        if isinstance(module, Decoder) or over_frames:
            hooks.append(module.register_forward_pre_hook(leave_out))
        elif isinstance(module, GlobLN):
            hooks.append(module.register_forward_hook(normalise))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def within(frames: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Mask of valid frames, broadcastable to ``x`` of shape ``(batch, ..., frame)``.

    A batch that sources were folded into has all sources of an example one after the other.
    """
    frames = frames.repeat_interleave(len(x) // len(frames))
    mask = torch.arange(x.shape[-1], device=x.device) < frames.to(x.device)[:, None]
    return mask.view(len(frames), *[1] * (x.ndim - 2), -1)
