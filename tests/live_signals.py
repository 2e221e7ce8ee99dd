"""Signals for the live loop, and what it makes of them."""

import numpy as np

from separation.inference.live import (
    LiveSeparator,
    Status,
    separate_live,
)
from separation.inference.streaming import Streamer
from small_networks import small_network


def signal_of(length, seed=0):
    rng = np.random.default_rng(seed)
    return (0.2 * rng.uniform(-1, 1, length)).astype(np.float32)


def separated(samples, rate, sizes, sinks=()):
    """Feed blocks of these sizes, over and over; returns the sources."""
    separator = LiveSeparator(Streamer(small_network("causal")), rate)
    kept = Kept()
    ends = np.cumsum(np.resize(sizes, len(samples)))
    blocks = np.split(samples, ends[ends < len(samples)])
    separate_live(separator, blocks, [*sinks, kept], Status(0.0), lambda status: None)
    return np.concatenate(kept.sources, -1), np.concatenate(kept.mixtures)


class Kept:
    def __init__(self):
        self.sources, self.mixtures, self.closed = [], [], False

    def write(self, sources, mixture):
        assert sources.shape[1] == len(mixture)
        self.sources.append(sources)
        self.mixtures.append(mixture)

    def close(self):
        self.closed = True
