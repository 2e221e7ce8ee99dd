"""Permutation-invariant SI-SDR for batches of ragged length."""

from __future__ import annotations

import torch
from asteroid.losses import PairwiseNegSDR, PITLossWrapper
from torch import nn


class PITNegSISDR(nn.Module):
    """Negative SI-SDR (Le Roux et al. 2019, eq. 3), dB, best permutation (Yu et al. 2017).

    Asteroid's ``PITLossWrapper(pairwise_neg_sisdr)``, with samples past an example's length left
    out: the mean is taken over the samples that are there and the padding is zero afterwards, so a
    padded example has the loss that it has alone.
    """

    def __init__(self) -> None:
        super().__init__()
        # The mean is removed here, over the true length, and not once more over the padded one.
        self.pit = PITLossWrapper(PairwiseNegSDR("sisdr", zero_mean=False), pit_from="pw_mtx")

    def forward(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Mean loss of a batch, dB, in float32.

        Args:
            estimates: ``(batch, source, time)``.
            sources: ``(batch, source, time)``.
            lengths: ``(batch,)``, samples.
        """
        with torch.autocast(estimates.device.type, enabled=False):
            return self.pit(
                zero_mean_within(estimates.float(), lengths),
                zero_mean_within(sources.float(), lengths),
            )


def zero_mean_within(signals: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Zero the mean of the first ``lengths`` samples of ``(batch, source, time)``, and the rest."""
    within = torch.arange(signals.shape[-1], device=signals.device) < lengths[:, None, None]
    signals = signals * within
    return (signals - signals.sum(-1, keepdim=True) / lengths[:, None, None]) * within
