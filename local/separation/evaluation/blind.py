"""Estimates of quality where there are no references: hints at what is wrong, and no scores.

An output may do well in all of them and hold the wrong speaker.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

FRAME_MS = 20.0
ACTIVE_DB = 40.0  # a frame is active that is at most this far below the loudest one of the mixture


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
    """Share of time in which each output is active, from 0 to 1, by frames of 20 ms.

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

    High where one speaker is in both. NaN with fewer than two outputs, or a constant one.
    """
    if len(estimates) < 2:
        return float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.abs(np.corrcoef(estimates))
    return float(max(matrix[i, j] for i, j in combinations(range(len(estimates)), 2)))


def frame_powers(signals: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean power of frames of 20 ms, the last one filled with zeros.

    Args:
        signals: shape ``(signal, time)``.
        sample_rate: in Hz.

    Returns:
        shape ``(signal, frame)``.
    """
    length = max(1, round(FRAME_MS / 1000 * sample_rate))
    missing = -signals.shape[1] % length
    padded = np.pad(signals.astype(np.float64), [(0, 0), (0, missing)])
    return np.square(padded.reshape(len(signals), -1, length)).mean(axis=2)
