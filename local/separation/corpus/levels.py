"""Level of speech, measured where there is speech."""

from __future__ import annotations

import numpy as np

FRAME_SECONDS = 0.02
ACTIVE_RANGE_DB = 30.0


def active_level(samples: np.ndarray, sample_rate: int) -> float:
    """Mean square of ``samples`` of shape ``(time,)`` over the frames in which someone speaks.

    A 20 ms frame is active when its energy is within 30 dB of the loudest one, so pauses and
    silence at either end leave the level as it is. Silence has level 0.
    """
    frame = max(1, round(FRAME_SECONDS * sample_rate))
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % frame))
    # The last frame may be padded: sums, not means, over the samples that are there.
    energies = np.square(padded).reshape(-1, frame).sum(axis=1)
    counts = np.full(len(energies), frame)
    counts[-1] -= len(padded) - len(samples)
    powers = energies / counts
    peak = powers.max()
    if peak == 0:
        return 0.0
    active = powers >= peak * 10 ** (-ACTIVE_RANGE_DB / 10)
    return float(energies[active].sum() / counts[active].sum())
