"""Who talks when in a mixture, and what a system makes of it: :func:`describe`."""

from __future__ import annotations

import numpy as np

from separation.evaluation.permutation import si_sdr_matrix, solve_permutation

FRAME_MS = 20.0
ACTIVE_DB = 40.0  # a source talks in frames that are at most this far below its loudest one
SWAP_SECONDS = 1.0
SWAP_DB = 3.0  # by which another order must be better
LEAST_DB = -100.0  # of leakage


def describe(references: np.ndarray, estimates: np.ndarray, sample_rate: int) -> dict[str, float]:
    """What a mixture is like, and mistakes in time of its estimates.

    Args:
        references: float64 of shape ``(source, time)``.
        estimates: of the same shape, in the same order.
        sample_rate: in Hz.

    Returns:
        ``level_difference``, ``overlap``, ``swaps`` and ``leakage``, see the functions below; NaN
        where there is no value, such as for estimates that are not finite.
    """
    active = talking(references, sample_rate)
    finite = bool(np.isfinite(estimates).all())
    return {
        "level_difference": level_difference(references),
        "overlap": overlap(active),
        "swaps": float(swaps(references, estimates, active, sample_rate)) if finite else np.nan,
        "leakage": leakage(estimates, active, sample_rate) if finite else np.nan,
    }


def level_difference(references: np.ndarray) -> float:
    """Energy of the loudest reference over that of the quietest, dB; NaN with a silent one.

    References are ``(source, time)``.
    """
    energies = np.square(references).sum(axis=1)
    return float(10 * np.log10(energies.max() / energies.min())) if energies.all() else np.nan


def talking(references: np.ndarray, sample_rate: int) -> np.ndarray:
    """Whether a source talks in each frame of 20 ms, shape ``(source, frame)``."""
    powers = frame_powers(references, sample_rate)
    return powers > powers.max(axis=1, keepdims=True) * 10 ** (-ACTIVE_DB / 10)


def overlap(active: np.ndarray) -> float:
    """Share of frames with two or more sources talking, of those with any, from 0 to 1.

    ``active``, ``(source, frame)``, says who talks, as :func:`talking` gives it.
    """
    talkers = active.sum(axis=0)
    return float((talkers >= 2).sum() / (talkers >= 1).sum()) if talkers.any() else np.nan


def swaps(
    references: np.ndarray, estimates: np.ndarray, active: np.ndarray, sample_rate: int
) -> int:
    """Windows of 1 s in which the speakers are in each other's outputs.

    These are windows whose mean SI-SDR is better by 3 dB or more with the outputs in another order
    than that of the whole utterance. Only windows are looked at in which every source talks in half
    of the frames or more.

    Args:
        references: shape ``(source, time)``.
        estimates: of the same shape, in the order that is best for the whole utterance.
        active: of :func:`talking`.
        sample_rate: in Hz.
    """
    size = round(SWAP_SECONDS * sample_rate)
    frame = frame_length(sample_rate)
    count = 0
    for number in range(references.shape[1] // size):
        start, stop = number * size, (number + 1) * size
        if active[:, start // frame : stop // frame].mean(axis=1).min() < 0.5:
            continue
        pair = references[:, start:stop], estimates[:, start:stop]
        matrix, order = si_sdr_matrix(*pair), solve_permutation(*pair)
        gain = matrix[range(len(order)), order].mean() - matrix.diagonal().mean()
        count += int(gain >= SWAP_DB)
    return count


def leakage(estimates: np.ndarray, active: np.ndarray, sample_rate: int) -> float:
    """Share of the outputs' energy in outputs whose speaker is silent while one other talks, in dB.

    Args:
        estimates: shape ``(source, time)``, in the order of the references.
        active: of :func:`talking`.
        sample_rate: in Hz.

    Returns:
        0 dB where all energy is in the wrong outputs, -100 dB at least; NaN where there is no time
        with exactly one talker, or all outputs are silent then.
    """
    alone = active.sum(axis=0) == 1
    powers = frame_powers(estimates, sample_rate)[:, alone]
    if len(estimates) < 2 or not powers.any():
        return np.nan
    share = powers[~active[:, alone]].sum() / powers.sum()
    return max(LEAST_DB, float(10 * np.log10(max(share, 1e-30))))


def frame_length(sample_rate: int) -> int:
    """Samples of a frame of 20 ms."""
    return max(1, round(FRAME_MS / 1000 * sample_rate))


def frame_powers(signals: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean power of frames of 20 ms, the last one filled with zeros.

    Args:
        signals: shape ``(signal, time)``.
        sample_rate: in Hz.

    Returns:
        shape ``(signal, frame)``.
    """
    length = frame_length(sample_rate)
    missing = -signals.shape[1] % length
    padded = np.pad(signals.astype(np.float64), [(0, 0), (0, missing)])
    return np.square(padded.reshape(len(signals), -1, length)).mean(axis=2)
