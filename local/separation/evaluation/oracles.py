"""Oracles: masks made from the references, which bound what a mask of that kind can reach.

An oracle is evaluated like a trained system and is none: :class:`Oracle` sees the references. Masks
multiply the STFT of the mixture, so an estimate has the mixture's phase. The names of the oracles
are in :data:`MASKS`; definitions follow Luo and Mesgarani, "Conv-TasNet: Surpassing Ideal
Time-Frequency Magnitude Masking for Speech Separation", IEEE/ACM TASLP 27(8), 2019, and Wang and
Chen, "Supervised Speech Separation Based on Deep Learning: An Overview", IEEE/ACM TASLP 26(10),
2018. Noise that is in the mixture and in no source has no mask of its own: it stays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from separation.config import Conf
from separation.errors import RecipeError
from separation.ranges import the_number_of_sources

if TYPE_CHECKING:
    from scipy.signal import ShortTimeFFT


def ideal_binary_mask(sources: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """IBM: 1 for the source with the largest ``|S_i|``, 0 for the others.

    The first of equal sources has the 1, so that the masks of all sources add up to 1.

    Args:
        sources: complex STFT of the references, shape ``(source, frequency, frame)``.
        mixture: complex STFT of the mixture, shape ``(frequency, frame)``.

    Returns:
        masks of the shape of ``sources``, from 0 to 1; so for every function of :data:`MASKS`.
    """
    numbers = np.arange(len(sources))[:, None, None]
    return (np.abs(sources).argmax(axis=0) == numbers).astype(np.float64)


def ideal_ratio_mask(sources: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """IRM: ``|S_i| / sum_j |S_j|``; the masks of all sources add up to 1."""
    return _shares(np.abs(sources))


def wiener_like_mask(sources: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """WFM: ``|S_i|^2 / sum_j |S_j|^2``; the masks of all sources add up to 1."""
    return _shares(np.abs(sources) ** 2)


def phase_sensitive_mask(sources: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """PSM: ``|S_i| / |X| cos(theta_i - theta_X)``, truncated to [0, 1]; 0 where ``X`` is 0.

    Erdogan et al., "Phase-sensitive and recognition-boosted speech separation using deep recurrent
    neural networks", ICASSP 2015. Of all masks from 0 to 1 it has the smallest squared error in the
    STFT.
    """
    power = np.abs(mixture) ** 2
    projection = np.real(sources * np.conj(mixture))
    ratio = np.divide(projection, power, out=np.zeros_like(projection), where=power > 0)
    return np.clip(ratio, 0.0, 1.0)


def no_mask(sources: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """1 everywhere: every estimate is the mixture, whose improvement is 0 dB."""
    return np.ones(sources.shape)


MASKS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "oracle_ibm": ideal_binary_mask,
    "oracle_irm": ideal_ratio_mask,
    "oracle_wfm": wiener_like_mask,
    "oracle_psm": phase_sensitive_mask,
    "oracle_mixture": no_mask,
}


class Oracle:
    """Separates mixtures whose references are known.

    Args:
        tag: a name of :data:`MASKS`.
        conf: of a corpus: its sample rate and number of sources, and of the STFT
            ``evaluation.oracle_window_ms`` (a Hann window) and ``evaluation.oracle_hop_ms``.

    Attributes:
        sample_rate: in Hz.
        n_src: sources of a mixture.
        tag: its name.

    Raises:
        RecipeError: a hop with which the STFT cannot be inverted.
    """

    def __init__(self, tag: str, conf: Conf) -> None:
        self.sample_rate = int(conf["corpus"]["sample_rate"])
        self.n_src = the_number_of_sources(conf, f"--tag {tag}")
        self.tag, self._mask = tag, MASKS[tag]
        settings = conf["evaluation"]
        self._window, self._hop = (
            round(settings[f"oracle_{name}_ms"] * self.sample_rate / 1000)
            for name in ("window", "hop")
        )
        if not 0 < self._hop < self._window:
            raise RecipeError(
                f"evaluation.oracle_hop_ms is {settings['oracle_hop_ms']:g}: must be at least a"
                " sample and less than evaluation.oracle_window_ms, such as a quarter of it"
            )

    @cached_property
    def _stft(self) -> ShortTimeFFT:
        """Made when it is used: scipy.signal takes seconds, the checks of a command line do not."""
        from scipy.signal import ShortTimeFFT
        from scipy.signal.windows import hann

        return ShortTimeFFT(hann(self._window, sym=False), self._hop, self.sample_rate)

    def separate(self, mixture: np.ndarray, references: np.ndarray) -> np.ndarray:
        """Mask a mixture.

        The inverse STFT is the one with the smallest squared error (Griffin and Lim, 1984).

        Args:
            mixture: shape ``(time,)``.
            references: shape ``(source, time)``.

        Returns:
            float32 of the shape of ``references``, in their order.
        """
        signals = np.vstack([mixture[None], references]).astype(np.float64)
        length = signals.shape[1]
        signals = np.pad(signals, [(0, 0), (0, max(self._window - length, 0))])
        spectra = self._stft.stft(signals)
        masks = self._mask(spectra[1:], spectra[0])
        estimates = self._stft.istft(masks * spectra[0], k1=signals.shape[1])
        return estimates[:, :length].astype(np.float32)


def _shares(parts: np.ndarray) -> np.ndarray:
    """Each part over the sum of all along the first axis; equal shares where the sum is 0."""
    total = parts.sum(axis=0, keepdims=True)
    equal = np.full_like(parts, 1.0 / len(parts))
    return np.divide(parts, total, out=equal, where=total > 0)
