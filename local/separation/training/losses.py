"""Permutation-invariant losses for batches of ragged length. Entry point: :func:`make_loss`."""

from __future__ import annotations

import torch
from asteroid.losses import PairwiseNegSDR, PITLossWrapper
from torch import nn

from separation.config import Conf
from separation.errors import RecipeError

EPSILON = 1e-8  # keeps powers away from 0, as in Asteroid


def make_loss(training: Conf) -> nn.Module:
    """Make the loss that the block ``training`` of the configuration asks for.

    Raises:
        RecipeError: ``snr`` without a bound, which a silent source needs.
    """
    max_db = training["loss_max_db"]
    if training["loss"] == "si_sdr":
        return PITNegSISDR(max_db)
    if not max_db:
        raise RecipeError("training.loss is snr: it needs a training.loss_max_db, such as 30")
    return PITBoundedNegSNR(max_db)


class PITNegSISDR(nn.Module):
    """Negative SI-SDR (Le Roux et al. 2019, eq. 3), dB, best permutation (Yu et al. 2017).

    Asteroid's ``PITLossWrapper(pairwise_neg_sisdr)``, with samples past an example's length left
    out: the mean is taken over the samples that are there and the padding is zero afterwards, so a
    padded example has the loss that it has alone.

    Args:
        max_db: bound of the SI-SDR as in :class:`BoundedSDR`; 0 for none.
    """

    def __init__(self, max_db: float = 0.0) -> None:
        super().__init__()
        # The mean is removed here, over the true length, and not once more over the padded one.
        pairwise = BoundedSDR(max_db) if max_db else PairwiseNegSDR("sisdr", zero_mean=False)
        self.pit = PITLossWrapper(pairwise, pit_from="pw_mtx")

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


class PITBoundedNegSNR(nn.Module):
    """Negative SNR with a bound, dB, best permutation; defined for silent sources.

    With ``tau = 10^(-max_db / 10)`` (Wisdom et al. 2020 and 2021), a source ``s`` and its estimate
    ``e`` have the loss

        10 log10(|s - e|^2 / |s|^2 + tau),

    which is the negative SNR as long as that is well above ``-max_db``. A silent source has

        10 log10(|e|^2 / |x|^2 + tau),

    the level of its estimate below that of the mixture ``x``, the sum of the sources. Samples past
    an example's length are left out.

    Args:
        max_db: bound of the SNR, dB.
    """

    def __init__(self, max_db: float) -> None:
        super().__init__()
        self.tau = 10 ** (-max_db / 10)
        self.pit = PITLossWrapper(self._pairwise, pit_from="pw_mtx")

    def forward(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Mean loss of a batch, dB, in float32.

        Args:
            estimates: ``(batch, source, time)``.
            sources: ``(batch, source, time)``; a silent one is all zeros.
            lengths: ``(batch,)``, samples.
        """
        with torch.autocast(estimates.device.type, enabled=False):
            time = torch.arange(sources.shape[-1], device=sources.device)
            within = time < lengths[:, None, None]
            return self.pit(estimates.float() * within, sources.float() * within)

    def _pairwise(self, estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """Loss of each estimate with each source, ``(batch, estimate, source)``."""
        difference = estimates[:, :, None] - sources[:, None]
        power = sources.square().sum(-1)
        mixture = sources.sum(1).square().sum(-1)
        reference = torch.where(power > 0, power, mixture[:, None]).clamp(min=EPSILON)
        return 10 * torch.log10(difference.square().sum(-1) / reference[:, None] + self.tau)


class BoundedSDR(nn.Module):
    """Pairwise negative SI-SDR, dB, with a bound.

    With ``tau = 10^(-max_db / 10)``, the projection ``p`` of an estimate ``e`` onto a source has
    the loss ``10 log10(|e - p|^2 / |p|^2 + tau)``: an estimate that is good enough stops to count.
    """

    def __init__(self, max_db: float) -> None:
        super().__init__()
        self.tau = 10 ** (-max_db / 10)

    def forward(self, estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """Loss of each estimate with each source, ``(batch, estimate, source)``.

        Args:
            estimates: ``(batch, source, time)``, without mean.
            sources: ``(batch, source, time)``, without mean.
        """
        product = torch.einsum("bet,bst->bes", estimates, sources)
        power = sources.square().sum(-1)[:, None]
        projected = product.square() / (power + EPSILON)
        # |e|^2 = |p|^2 + |e - p|^2
        rest = (estimates.square().sum(-1)[:, :, None] - projected).clamp(min=0)
        return 10 * torch.log10((rest + EPSILON) / (projected + EPSILON) + self.tau)


def zero_mean_within(signals: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Zero the mean of the first ``lengths`` samples of ``(batch, source, time)``, and the rest."""
    within = torch.arange(signals.shape[-1], device=signals.device) < lengths[:, None, None]
    signals = signals * within
    return (signals - signals.sum(-1, keepdim=True) / lengths[:, None, None]) * within
