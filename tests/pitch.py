"""The pitch of a voice, measured."""

import numpy as np


def median_f0(samples, sample_rate):
    """Median pitch in Hz of the loud, periodic frames: first high peak of the autocorrelation."""
    width, first, last = int(0.05 * sample_rate), sample_rate // 400, sample_rate // 60
    loud = 0.3 * np.sqrt(np.mean(samples**2))
    pitches = []
    for start in range(0, len(samples) - 2 * width, width):
        frame = samples[start : start + width]
        if np.sqrt(np.mean(frame**2)) < loud:
            continue
        later = np.lib.stride_tricks.sliding_window_view(
            samples[start : start + width + last], width
        )
        similar = later @ frame / (np.linalg.norm(later, axis=1) * np.linalg.norm(frame) + 1e-9)
        if similar[first:].max() < 0.7:
            continue
        high = np.flatnonzero(similar[first:] > 0.9 * similar[first:].max())[0] + first
        while high < last and similar[high + 1] > similar[high]:
            high += 1
        pitches.append(sample_rate / high)
    return np.median(pitches)
