"""Permutation-invariant losses for batches of ragged length: the table :data:`LOSSES`.

Entry point: :func:`make_loss`. A loss compares each estimate with each source of an example;
:class:`PIT` takes the best permutation, :class:`OneAndRest` the best choice of one source.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from asteroid.losses import PairwiseNegSDR, PITLossWrapper, SingleSrcNegSTOI
from torch import nn

from separation.config import Conf
from separation.errors import RecipeError
from separation.ranges import ASSIGNMENTS
from separation.training.single_signals import PMSQE, EachAlone

EPSILON = 1e-8  # keeps powers away from 0, as in Asteroid
STOI_RATES = (8000, 16000)  # Hz, of STOI and PMSQE
# Loss of each estimate with each source, (batch, estimate, source), of estimates and sources
# (batch, source, time) that are zero after the lengths (batch,).
Pairwise = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def make_loss(conf: Conf) -> Assignment:
    """Make the loss that a configuration asks for.

    That is ``training.loss`` with ``loss_max_db``, under ``training.assignment``.

    Raises:
        RecipeError: a bound for a loss that has none, a rate that a loss is not defined for, or a
            loss that is not defined for a silent rest.
    """
    name, max_db = conf["training"]["loss"], conf["training"]["loss_max_db"]
    kind = ASSIGNED[conf["training"]["assignment"]]
    if kind is OneAndRest and not (name == "snr" and max_db):
        raise RecipeError(
            "training.assignment one_and_rest: of the silent rest of a speaker alone only the SNR"
            " with a bound is defined; set training.loss=snr training.loss_max_db=30"
        )
    if max_db and name not in BOUNDED:
        raise RecipeError(
            f"training.loss_max_db is {max_db:g}, which is for {', '.join(BOUNDED)};"
            f" training.loss is {name}"
        )
    return kind(LOSSES[name](conf["corpus"]["sample_rate"]), max_db)


class Assignment(nn.Module, ABC):
    """Mean loss of a batch, in which each output is held against what it is to be.

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
            return self._assigned(estimates.float() * there, sources.float() * there, lengths)

    @abstractmethod
    def _assigned(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """The loss of signals that are zero after their ends."""

    def improvement(
        self,
        mixtures: torch.Tensor,
        estimates: torch.Tensor,
        sources: torch.Tensor,
        lengths: torch.Tensor,
    ) -> torch.Tensor:
        """Mean SI-SDR improvement of a batch, dB, whatever the loss is, so that runs compare.

        Args:
            mixtures: ``(batch, time)``, of two sources and more.
            estimates: ``(batch, estimate, time)``.
            sources: ``(batch, source, time)``, zeros where a mixture has fewer.
            lengths: ``(batch,)``, samples.
        """
        with torch.autocast(estimates.device.type, enabled=False):
            sources, pairwise = sources.float(), LOSSES["si_sdr"](0)
            before, *after = (
                pairwise(signal.float()[:, None].expand_as(sources), sources, lengths)[:, 0]
                for signal in (mixtures, *estimates.unbind(1))
            )
            gains = torch.stack([before - one for one in after], 1)
            return self._best(gains, sources.any(-1))

    @abstractmethod
    def _best(self, gains: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Mean gain under the assignment that gains most.

        Args:
            gains: of each estimate as each source, dB, ``(batch, estimate, source)``.
            there: sources that a mixture has, ``(batch, source)``.
        """

    def _bounded(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        loss = self.pairwise(estimates, sources, lengths)
        if not self.max_db:
            return loss
        to_log = math.log(10) / 10
        bound = loss.new_tensor(-self.max_db * to_log)
        return torch.logaddexp(loss * to_log, bound) / to_log


class PIT(Assignment):
    """The loss under the best permutation of each example (Yu et al. 2017)."""

    def __init__(self, pairwise: Pairwise, max_db: float = 0.0) -> None:
        super().__init__(pairwise, max_db)
        self.pit = PITLossWrapper(self._bounded, pit_from="pw_mtx")

    def _assigned(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        return self.pit(estimates, sources, lengths=lengths)

    def _best(self, gains: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        return -self.pit.find_best_perm(-gains)[0].mean()


class OneAndRest(Assignment):
    """One-and-rest PIT (OR-PIT) of Takahashi et al. 2019: any number of sources, two outputs.

    The first output is to be a source ``s_i``, the second one the sum of the ``N - 1`` others:
    ``min over i of l(e_1, s_i) + l(e_2, sum_j!=i s_j) / (N - 1)``. Of a source alone the rest is
    silence, with a weight of 1. Sources that are zero throughout are sources that the mixture has
    not, so that a batch may mix numbers of sources.
    """

    def _assigned(
        self, estimates: torch.Tensor, sources: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        n = sources.shape[1]
        there = sources.any(-1)  # (batch, source)
        rests = sources.sum(1, keepdim=True) - sources
        wanted = torch.stack([sources, rests], 2).flatten(0, 1)  # (batch * source, 2, time)
        loss = self._bounded(
            estimates.repeat_interleave(n, 0), wanted, lengths.repeat_interleave(n, 0)
        )
        one, rest = (loss[:, k, k].unflatten(0, (-1, n)) for k in (0, 1))
        weight = 1 / (there.sum(1, keepdim=True) - 1).clamp(min=1)
        possible = there | ~there.any(1, keepdim=True)  # silence throughout: any of them
        return (one + weight * rest).masked_fill(~possible, math.inf).amin(1).mean()

    def _best(self, gains: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        # the first output's, as the source that it improves most
        return gains[:, 0].masked_fill(~there, -math.inf).amax(1).mean()


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


def stoi(sample_rate: int) -> Pairwise:
    """Negative STOI (Taal et al. 2011) as Asteroid's loss computes it; needs 0.4 s of speech."""
    with warnings.catch_warnings(action="ignore"):  # of torchaudio, about a name in torch_stoi
        return EachAlone(SingleSrcNegSTOI(_rate_of("stoi", sample_rate)))


def pmsqe(sample_rate: int) -> Pairwise:
    """PMSQE, a loss made after PESQ that has a gradient (Martin-Donas et al. 2018)."""
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
# By the values of training.assignment.
ASSIGNED: dict[str, type[Assignment]] = dict(zip(ASSIGNMENTS, (PIT, OneAndRest), strict=True))
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
