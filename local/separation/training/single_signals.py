"""Losses of one estimate and one source, taken for each pair: :class:`EachAlone`."""

from __future__ import annotations

import torch
from asteroid.losses import SingleSrcPMSQE
from torch import nn


class EachAlone:
    """A loss of single signals, taken for each pair; ragged examples one by one.

    Not a module: what the loss computes with is no part of a checkpoint.

    Args:
        loss: takes estimates and sources ``(batch, time)`` and gives ``(batch,)``.
    """

    def __init__(self, loss: nn.Module) -> None:
        self.loss = loss

    def __call__(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Loss of each estimate with each source, ``(batch, estimate, source)``."""
        if not bool((lengths == sources.shape[-1]).all()):
            alone = [
                self(e[None, :, :n], s[None, :, :n], lengths.new_tensor([n]))
                for e, s, n in zip(estimates, sources, lengths.tolist(), strict=True)
            ]
            return torch.cat(alone)
        loss = self.loss.to(sources.device)
        pairs = [[loss(e, s) for s in sources.unbind(1)] for e in estimates.unbind(1)]
        return torch.stack([torch.stack(row, 1) for row in pairs], 1)


class PMSQE(nn.Module):
    """PMSQE of signals (Martin-Donas et al. 2018): Asteroid's, on frames of 32 ms."""

    window: torch.Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.loss = SingleSrcPMSQE(sample_rate=sample_rate)
        self.register_buffer("window", torch.hann_window(sample_rate * 32 // 1000).sqrt())

    def forward(self, estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """Loss of each of ``(batch, time)``."""
        powers = []
        for signal in (estimates, sources):
            size = len(self.window)
            spectrum = torch.stft(signal, size, size // 2, window=self.window, return_complex=True)
            powers.append(torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2))
        return self.loss(*powers)
