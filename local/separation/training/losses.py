"""Permutation-invariant losses for batches of ragged length: the table :data:`LOSSES`.

Entry point: :func:`make_loss`. A loss compares each estimate with each source of an example;
:class:`PIT` takes the best permutation.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from asteroid.losses import PairwiseNegSDR, PITLossWrapper, SingleSrcNegSTOI, SingleSrcPMSQE
from torch import nn

from separation.config import Conf
from separation.errors import RecipeError

EPSILON = 1e-8  # keeps powers away from 0, as in Asteroid
STOI_RATES = (8000, 16000)  # Hz, of STOI and PMSQE
# Loss of each estimate with each source, (batch, estimate, source), of estimates and sources
# (batch, source, time) that are zero after the lengths (batch,).
Pairwise = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def make_loss(conf: Conf) -> PIT:
    """Make the loss that a configuration asks for in ``training.loss`` and ``loss_max_db``.

    Raises:
        RecipeError: a bound for a loss that has none, or a rate that a loss is not defined for.
    """
    name, max_db = conf["training"]["loss"], conf["training"]["loss_max_db"]
    if max_db and name not in BOUNDED:
        raise RecipeError(
            f"training.loss_max_db is {max_db:g}, which is for {', '.join(BOUNDED)};"
            f" training.loss is {name}"
        )
    return PIT(LOSSES[name](conf["corpus"]["sample_rate"]), max_db)


class PIT(nn.Module):
    """Mean loss of a batch under the best permutation of each example (Yu et al. 2017).

    What estimates have past an example's length is left out, so a padded example has the loss that
    it has alone.

    Args:
        pairwise: the loss.
        max_db: what an estimate can gain at most, softly: a loss of ``l`` dB becomes
            ``10 log10(10^(l/10) + 10^(-max_db/10))`` (Wisdom et al. 2020); 0: no bound.
    """

    def __init__(self, pairwise: Pairwise, max_db: float = 0.0) -> None:
        super().__init__()
        self.pairwise, self.max_db = pairwise, max_db
        self.pit = PITLossWrapper(self._bounded, pit_from="pw_mtx")

    def forward(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Compute in float32.

        Args:
            estimates: ``(batch, source, time)``.
            sources: ``(batch, source, time)``.
            lengths: ``(batch,)``, samples.
        """
        with torch.autocast(estimates.device.type, enabled=False):
            there = within(sources, lengths)
            return self.pit(estimates.float() * there, sources.float() * there, lengths=lengths)

    def _bounded(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        loss = self.pairwise(estimates, sources, lengths)
        if not self.max_db:
            return loss
        to_log = math.log(10) / 10
        bound = loss.new_tensor(-self.max_db * to_log)
        return torch.logaddexp(loss * to_log, bound) / to_log


class RatioOfProjection(nn.Module):
    """Asteroid's negative SI-SDR or SD-SDR, dB, of signals without their means.

    SI-SDR (Le Roux et al. 2019, eq. 3) leaves levels out; with SD-SDR (eq. 9) a wrong level costs.

    Args:
        kind: ``sisdr`` or ``sdsdr``.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        # The mean is removed here, over the true length, and not once more over the padded one.
        self.loss = PairwiseNegSDR(kind, zero_mean=False)

    def forward(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Loss of each estimate with each source, ``(batch, estimate, source)``."""
        return self.loss(zero_mean_within(estimates, lengths), zero_mean_within(sources, lengths))


def snr(estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Negative SNR, dB: ``10 log10(|s - e|^2 / |s|^2)``.

    A silent source has the level of its estimate below that of the mixture, the sum of the
    sources: ``10 log10(|e|^2 / |x|^2)`` (as Wisdom et al. 2021).
    """
    difference = (estimates[:, :, None] - sources[:, None]).square().sum(-1)
    power = sources.square().sum(-1)
    mixture = sources.sum(1).square().sum(-1)
    reference = torch.where(power > 0, power, mixture[:, None]).clamp(min=EPSILON)
    return 10 * torch.log10(difference / reference[:, None] + EPSILON)


def mse(estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Mean squared error over an example's length; full scale is 1."""
    squares = (estimates[:, :, None] - sources[:, None]).square().sum(-1)
    return squares / lengths[:, None, None]


def log_mse(estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Mean squared error, dB: ``10 log10(mse)`` (Heitkaemper et al. 2020)."""
    return 10 * torch.log10(mse(estimates, sources, lengths) + EPSILON)


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


def stoi(sample_rate: int) -> Pairwise:
    """Negative STOI (Taal et al. 2011) as Asteroid's loss computes it; needs 0.4 s of speech."""
    with warnings.catch_warnings(action="ignore"):  # of torchaudio, about a name in torch_stoi
        return EachAlone(SingleSrcNegSTOI(_rate_of("stoi", sample_rate)))


def pmsqe(sample_rate: int) -> Pairwise:
    """A loss after PESQ."""
    return EachAlone(PMSQE(_rate_of("pmsqe", sample_rate)))


# By the names that ranges.LOSS_UNITS has; each takes the sample rate in Hz.
LOSSES: dict[str, Callable[[int], Pairwise]] = {
    "si_sdr": lambda _: RatioOfProjection("sisdr"),
    "snr": lambda _: snr,
    "sd_sdr": lambda _: RatioOfProjection("sdsdr"),
    "mse": lambda _: mse,
    "log_mse": lambda _: log_mse,
    "stoi": stoi,
    "pmsqe": pmsqe,
}
BOUNDED = ("si_sdr", "snr", "sd_sdr")  # ratios: training.loss_max_db bounds them


def within(signals: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Mask of the first ``lengths`` samples of ``(batch, source, time)``."""
    return torch.arange(signals.shape[-1], device=signals.device) < lengths[:, None, None]


def zero_mean_within(signals: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Zero the mean of the first ``lengths`` samples of ``(batch, source, time)``, and the rest."""
    there = within(signals, lengths)
    signals = signals * there
    return (signals - signals.sum(-1, keepdim=True) / lengths[:, None, None]) * there


def _rate_of(name: str, sample_rate: int) -> int:
    if sample_rate not in STOI_RATES:
        raise RecipeError(
            f"training.loss {name} is for 8000 or 16000 Hz, but corpus.sample_rate is {sample_rate}"
        )
    return sample_rate
