"""Estimates of quality where there are no references: hints at what is wrong, and no scores.

An output may do well in all of them and hold the wrong speaker.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from separation.evaluation.talk import ACTIVE_DB, frame_powers


def residual_db(mixture: np.ndarray, estimates: np.ndarray) -> float:
    """Energy of what the outputs leave of the mixture over that of the mixture, in dB.

    0 dB where they hold nothing of it, low where their sum is the mixture; what is no speech and
    was left out on purpose counts, too.

    Args:
        mixture: shape ``(time,)``.
        estimates: shape ``(source, time)``.
    """
    rest = mixture - estimates.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10 * np.log10(np.dot(rest, rest) / np.dot(mixture, mixture)))


def activities(mixture: np.ndarray, estimates: np.ndarray, sample_rate: int) -> np.ndarray:
    """Share of time in which each output is active, from 0 to 1.

    A frame of 20 ms is active that is at most 40 dB below the loudest one of the mixture.

    Args:
        mixture: shape ``(time,)``.
        estimates: shape ``(source, time)``.
        sample_rate: in Hz.

    Returns:
        shape ``(source,)``; NaN for a silent mixture.
    """
    powers = frame_powers(np.vstack([mixture[None], estimates]), sample_rate)
    least = powers[0].max() * 10 ** (-ACTIVE_DB / 10)
    if least == 0:
        return np.full(len(estimates), np.nan)
    return (powers[1:] > least).mean(axis=1)


def correlation(estimates: np.ndarray) -> float:
    """Largest absolute correlation of the waveforms of two outputs, from 0 to 1.

    High where one speaker is in both. NaN with fewer than two outputs, or a constant one. Outputs
    are ``(source, time)``.
    """
    if len(estimates) < 2:
        return float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.abs(np.corrcoef(estimates))
    return float(max(matrix[i, j] for i, j in combinations(range(len(estimates)), 2)))
