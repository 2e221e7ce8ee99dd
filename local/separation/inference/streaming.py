"""Separation while the recording goes on. Entry point: :class:`Streamer`."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from asteroid.models import BaseModel
from scipy.signal import lfilter

from separation.errors import RecipeError
from separation.models.fast.stream import compile_stream
from separation.models.streaming import make_streaming

log = logging.getLogger("separation")
LEVEL_SECONDS = 2.0  # time constant with which the gain of the sources forgets
MOST_GAIN = 10 ** (30 / 20)  # of sources that are next to nothing
FULL_SCALE = 2.0**15  # of 16-bit samples


class HopByHop(Protocol):
    """What :class:`Streamer` needs of a network: a StreamingNetwork, or one in an ONNX file."""

    kernel: int
    stride: int
    lookahead: int
    edges: int
    n_src: int
    sample_rate: int

    def begin(self, batch: int) -> None:
        """Forget all that was seen."""

    def start(self, wav: torch.Tensor) -> None:
        """Take the samples before the first whole frame, ``(batch, kernel - stride)``."""

    def __call__(self, wav: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Separate the next hops."""

    def tail(self) -> torch.Tensor:
        """Estimates after the last hop if no frame follows, ``(batch, source, overlap)``."""

    def state(self) -> list[torch.Tensor]:
        """All that is kept from one call to the next."""

    def load_state(self, state: Sequence[torch.Tensor]) -> None:
        """Continue from what :meth:`state` returned."""


class Streamer:
    """Feeds a causal network with samples as they come, and gives estimates as soon as possible.

    ``feed`` of all samples and ``flush`` together give what the network gives for the whole
    recording, whatever the sizes of the chunks. Estimates are ``latency`` samples behind. Memory,
    and work for a chunk, do not depend on what came before.

    A network does not keep levels. With ``level`` a gain for all sources, which changes slowly,
    lets their sum follow the mixture (:class:`LevelFollower`).

    Args:
        model: causal, of this project, which is copied and compiled if it can be; or what such a
            copy or a streaming ONNX file has become.
        batch: streams that are separated at once.
        level: let the sum of the sources follow the mixture.

    Attributes:
        sample_rate: of samples and estimates, Hz.
        n_src: sources of each stream.
        latency: samples from an output sample to the last input that it needs.
        bad_samples: NaN and infinite samples so far; they were taken as silence.

    Raises:
        RecipeError: the network needs more than the past.
    """

    def __init__(self, model: BaseModel | HopByHop, batch: int = 1, level: bool = True) -> None:
        whole = isinstance(model, BaseModel)
        self.network: HopByHop = compile_stream(make_streaming(model)) if whole else model
        self.batch = batch
        self.sample_rate = self.network.sample_rate
        self.n_src, hop = self.network.n_src, self.network.stride
        ahead = self.network.lookahead * hop
        self._early = ahead + self.network.edges  # samples that come out before the first one
        self.latency = self.network.kernel + ahead
        self._follower = LevelFollower(batch, hop, self.sample_rate) if level else None
        self.reset()

    def reset(self) -> None:
        """Begin new streams."""
        self.network.begin(self.batch)
        self._waiting = np.zeros((self.batch, 0), np.float32)  # input that fills no hop yet
        self._mixture = np.zeros((self.batch, 0), np.float32)  # input without an estimate yet
        # Silence before the first sample is there from the beginning.
        self._started, self._silence = self.network.edges > 0, self._early
        self.bad_samples = 0
        if self._follower:
            self._follower.reset()

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples.

        Args:
            samples: ``(batch, time)``, or ``(time,)`` of a single stream; floats of full scale 1 or
                16-bit integers, as many as there are.

        Returns:
            float32 estimates ``(batch, source, time)`` of samples that have had none yet; their
            time is 0 until enough samples have come.

        Raises:
            RecipeError: another shape or type.
        """
        samples, bad = checked_samples(samples, self.batch)
        self.bad_samples += bad
        self._mixture = np.concatenate([self._mixture, samples], 1)
        return self._levelled(self._separate(samples))

    def flush(self) -> np.ndarray:
        """End the streams, until :meth:`reset`.

        Returns:
            the estimates that are left, ``(batch, source, time)``.
        """
        left, network = self._mixture.shape[1], self.network
        if not left:
            return self._nothing()
        # As the network pads a whole recording: zeros up to a whole frame, and those that it sees.
        waiting = self._waiting.shape[1]
        missing = -waiting % network.stride if self._started else network.kernel - waiting
        hops = self._separate(np.zeros((self.batch, missing + self._early), np.float32))
        with torch.inference_mode():
            estimates = np.concatenate([hops, network.tail().numpy()], -1)
        return self._levelled(estimates[..., :left])

    def state_dict(self) -> dict[str, Any]:
        """All that another Streamer of the same model needs to continue from here."""
        follower = self._follower.state if self._follower else np.zeros(0)
        return {
            "network": [tensor.clone() for tensor in self.network.state()],
            "waiting": torch.from_numpy(self._waiting.copy()),
            "mixture": torch.from_numpy(self._mixture.copy()),
            "started": self._started,
            "silence": self._silence,
            "bad_samples": self.bad_samples,
            "level": torch.from_numpy(follower.copy()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the Streamer was that gave the state."""
        self.network.load_state([tensor.clone() for tensor in state["network"]])
        self._waiting, self._mixture = state["waiting"].numpy(), state["mixture"].numpy()
        self._started, self._silence = state["started"], state["silence"]
        self.bad_samples = state["bad_samples"]
        if self._follower:
            self._follower.state = state["level"].numpy().copy()

    def _nothing(self) -> np.ndarray:
        return np.zeros((self.batch, self.n_src, 0), np.float32)

    def _separate(self, samples: np.ndarray) -> np.ndarray:
        """Estimates of the hops that are whole now."""
        network, waiting = self.network, np.concatenate([self._waiting, samples], 1)
        if not self._started and waiting.shape[1] >= network.kernel:
            before = network.kernel - network.stride
            network.start(torch.from_numpy(waiting[:, :before].copy()))
            waiting, self._started = waiting[:, before:], True
        elif not self._started:
            self._waiting = waiting
            return self._nothing()
        whole = waiting.shape[1] - waiting.shape[1] % network.stride
        self._waiting = waiting[:, whole:].copy()
        if not whole:
            return self._nothing()
        with torch.inference_mode():
            (estimates,) = network(torch.from_numpy(waiting[:, :whole].copy()))
        silent = min(whole, self._silence)
        self._silence -= silent
        return estimates.numpy()[..., silent:]

    def _levelled(self, estimates: np.ndarray) -> np.ndarray:
        """Estimates at their levels; the mixture that they belong to is done with."""
        count = estimates.shape[-1]
        mixture, self._mixture = self._mixture[:, :count], self._mixture[:, count:].copy()
        if self._follower is None or not count:
            return estimates
        return self._follower(mixture, estimates)


def checked_samples(samples: np.ndarray, batch: int) -> tuple[np.ndarray, int]:
    """Samples of streams as float32 ``(batch, time)``, all of them finite, and how many were not.

    Raises:
        RecipeError: another shape, or neither floats nor 16-bit integers.
    """
    samples = samples[None] if samples.ndim == 1 else samples
    if samples.ndim != 2 or len(samples) != batch:
        raise RecipeError(f"samples of shape {samples.shape}; {batch} streams take ({batch}, time)")
    if samples.dtype == np.int16:
        return (samples / FULL_SCALE).astype(np.float32), 0
    if samples.dtype.kind != "f":
        raise RecipeError(f"samples of type {samples.dtype}; float or int16 are taken")
    samples = samples.astype(np.float32)
    bad = ~np.isfinite(samples)
    count = int(bad.sum())
    if count:
        log.warning("%d samples are NaN or infinite and taken as silence", count)
        samples[bad] = 0
    return samples, count


class LevelFollower:
    """A gain for all sources that lets their sum follow the mixture, from the past alone.

    The gain is that of least squares, ``<mixture, sum> / <sum, sum>``, over the past, which is
    forgotten with a time constant of 2 s. It is computed for each hop, and runs in a straight line
    from one hop to the next.

    Args:
        batch: streams.
        hop: samples.
        sample_rate: Hz.

    Attributes:
        state: ``(3, batch)``: both products, and the gain of the last hop, 0 before the first.
    """

    def __init__(self, batch: int, hop: int, sample_rate: int) -> None:
        self.batch, self.hop = batch, hop
        self.decay = math.exp(-hop / (LEVEL_SECONDS * sample_rate))
        self.way = np.arange(1, hop + 1) / hop  # from one gain to the next
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self.state = np.zeros((3, self.batch))

    def __call__(self, mixture: np.ndarray, estimates: np.ndarray) -> np.ndarray:
        """Scale estimates ``(batch, source, time)`` of mixtures ``(batch, time)``."""
        count = mixture.shape[1]
        if count % self.hop:
            fill = [(0, 0), (0, -count % self.hop)]
            mixture, estimates = np.pad(mixture, fill), np.pad(estimates, [(0, 0), *fill])
        mixed = mixture.reshape(self.batch, -1, self.hop)
        summed = estimates.sum(1, dtype=np.float64).reshape(mixed.shape)
        sums = np.empty((2, *mixed.shape[:2]))
        np.einsum("bht,bht->bh", mixed, summed, out=sums[0])
        np.einsum("bht,bht->bh", summed, summed, out=sums[1])
        sums, _ = lfilter([1], [1, -self.decay], sums, zi=self.decay * self.state[:2, :, None])
        gains = np.divide(sums[0], sums[1], out=np.ones_like(sums[0]), where=sums[1] > 0)
        gains = np.minimum(np.maximum(gains, 1 / MOST_GAIN), MOST_GAIN)
        before = np.empty_like(gains)
        before[:, 0] = np.where(self.state[2] > 0, self.state[2], gains[:, 0])
        before[:, 1:] = gains[:, :-1]
        curve = before[..., None] + (gains - before)[..., None] * self.way
        self.state = np.concatenate([sums[..., -1], gains[None, :, -1]])
        scaled = estimates * curve.reshape(self.batch, 1, -1)
        return scaled[..., :count].astype(np.float32)
