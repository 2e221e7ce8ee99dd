"""Live separation by networks that look ahead. Entry point: :class:`SegmentStreamer`."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from asteroid.models import BaseModel

from separation.inference.separator import Separator
from separation.inference.streaming import checked_samples

SEGMENT_SECONDS = 4.0  # that a network gets at once
FADE_SECONDS = 0.01  # from the estimates of one segment to those of the next


class SegmentStreamer:
    """Feeds a network that is not causal with segments that overlap, as samples come.

    Each time half of the lookahead has come, the last 4 s are separated again. The estimates of a
    segment are put in the order that fits those of the segment before best where both are, in the
    least-squares sense, and take over from them in a short fade. So every estimate has seen at
    least half of the lookahead, and speakers who are silent for 4 s may come back exchanged.

    Its methods are those of :class:`.streaming.Streamer`, for a single stream.

    Args:
        model: of this project.
        lookahead: samples, 2 or more.

    Attributes:
        sample_rate: of samples and estimates, Hz.
        n_src: sources.
        latency: samples from an output sample to the last input that it depends on.
        bad_samples: NaN and infinite samples so far; they were taken as silence.
    """

    def __init__(self, model: BaseModel, lookahead: int) -> None:
        self._separator = Separator(model)
        self.sample_rate, self.n_src = self._separator.sample_rate, self._separator.n_src
        self.latency = lookahead
        self._step = lookahead // 2
        self._segment = max(round(SEGMENT_SECONDS * self.sample_rate), 2 * lookahead)
        self._fade = min(round(FADE_SECONDS * self.sample_rate), lookahead - self._step)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._heard = np.zeros(0, np.float32)  # the last samples that were separated
        self._waiting = np.zeros(0, np.float32)  # samples after those
        self._estimates = np.zeros((self.n_src, 0), np.float32)  # of the samples heard
        self._due = 0  # of the samples heard, those that have not been given yet
        self.bad_samples = 0

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples, ``(time,)`` or ``(1, time)``.

        Returns:
            float32 estimates ``(1, source, time)`` of samples that have had none yet.

        Raises:
            RecipeError: another shape or type.
        """
        samples, bad = checked_samples(samples, 1)
        self.bad_samples += bad
        self._waiting = np.concatenate([self._waiting, samples[0]])
        given = [np.zeros((self.n_src, 0), np.float32)]
        while len(self._waiting) >= self._step:
            given.append(self._separate(self._step, self.latency - self._step))
        return np.concatenate(given, -1)[None]

    def flush(self) -> np.ndarray:
        """End the stream, until :meth:`reset`; gives what is left, ``(1, source, time)``."""
        return self._separate(len(self._waiting), 0)[None]

    def _separate(self, count: int, kept: int) -> np.ndarray:
        """Separate the last segment with so many new samples; all but ``kept`` are given."""
        new, self._waiting = self._waiting[:count], self._waiting[count:]
        self._due += count
        heard = np.concatenate([self._heard, new])[-self._segment :]
        if count:
            estimates = self._separator.separate(heard, self.sample_rate)
            self._estimates = self._joined(estimates, len(heard) - count)
        self._heard = heard
        done = max(0, self._due - kept)
        start = len(heard) - self._due
        self._due -= done
        return self._estimates[:, start : start + done]

    def _joined(self, estimates: np.ndarray, shared: int) -> np.ndarray:
        """New estimates in the old order, after a fade from the old ones where they are due.

        Args:
            estimates: of a segment, ``(source, time)``.
            shared: samples at its start that have estimates of the segment before.
        """
        if not shared or not self._estimates.shape[1]:
            return estimates
        before = self._estimates[:, -shared:]
        products = before @ estimates[:, :shared].T
        sources = range(self.n_src)
        best = max(permutations(sources), key=lambda order: products[sources, order].sum())
        estimates = estimates[list(best)]
        start = max(0, estimates.shape[1] - self._due)
        fade = slice(start, min(start + self._fade, shared))
        rise = np.linspace(0, 1, self._fade + 1, dtype=np.float32)[1 : 1 + fade.stop - fade.start]
        estimates[:, fade] = rise * estimates[:, fade] + (1 - rise) * before[:, fade]
        return estimates
