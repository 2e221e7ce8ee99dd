"""Live separation: blocks of samples come in, sources go to files, to a device, or both.

Entry point: :func:`separate_live`. Where blocks come from and sources go does not matter here;
:mod:`separation.inference.devices` has microphones and loudspeakers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import soxr

from separation.errors import RecipeError
from separation.files import writing
from separation.inference.segments import SegmentStreamer
from separation.inference.streaming import Streamer

SILENCE_DB = -100.0
BEHIND = 1.0  # real-time factor from which on the input is not kept up with


class Sink(Protocol):
    """Something that takes sources."""

    def write(self, sources: np.ndarray, mixture: np.ndarray) -> None:
        """Take ``(source, time)``, and the mixture ``(time,)`` that they are of."""

    def close(self) -> None:
        """End; a file is whole afterwards."""


@dataclass
class Status:
    """How a live separation is doing.

    Attributes:
        latency: seconds from a sample to its estimates: what the network needs, the block that is
            waited for, and what the devices say of themselves.
        seconds: of input so far.
        work: seconds that were spent on it.
        worst: seconds that the slowest block took.
        level: of the last block, dB of full scale.
        overruns: blocks that came late or not at all.
    """

    latency: float
    seconds: float = 0.0
    work: float = 0.0
    worst: float = 0.0
    level: float = SILENCE_DB
    overruns: int = 0
    _recent: list[tuple[float, float]] = field(default_factory=list)

    def add(self, block: np.ndarray, rate: int, work: float) -> None:
        """Count a block ``(time,)`` in."""
        seconds = len(block) / rate
        self.seconds, self.work = self.seconds + seconds, self.work + work
        self.worst = max(self.worst, work)
        power = float(np.mean(np.square(block, dtype=np.float64))) if len(block) else 0.0
        self.level = 10 * np.log10(power) if power > 0 else SILENCE_DB
        self._recent = [*self._recent[-49:], (seconds, work)]

    @property
    def real_time_factor(self) -> float:
        """Work for a second of input, of the last 50 blocks."""
        seconds, work = (sum(values) for values in zip(*self._recent, strict=True))
        return work / seconds if seconds else 0.0

    def line(self) -> str:
        """One line for the terminal."""
        factor = self.real_time_factor if self._recent else 0.0
        late = "; too slow: try a larger --frames_per_call" if factor >= BEHIND else ""
        return (
            f"{self.seconds:7.1f} s, input {max(self.level, SILENCE_DB):6.1f} dB, real-time factor"
            f" {factor:.2f}, worst block {1000 * self.worst:.0f} ms, overruns {self.overruns},"
            f" latency {1000 * self.latency:.0f} ms{late}"
        )


class LiveSeparator:
    """Separation of a stream at the rate of a device; as many samples out as in, at the end.

    Args:
        streamer: of one stream.
        rate: of blocks and sources, Hz.
    """

    def __init__(self, streamer: Streamer | SegmentStreamer, rate: int) -> None:
        self.streamer, self.rate = streamer, rate
        self.given = self.taken = 0
        self._in = self._out = None
        if rate != streamer.sample_rate:
            self._in = soxr.ResampleStream(rate, streamer.sample_rate, 1, dtype="float32")
            self._out = soxr.ResampleStream(
                streamer.sample_rate, rate, streamer.n_src, dtype="float32"
            )

    def feed(self, block: np.ndarray) -> np.ndarray:
        """Sources ``(source, time)`` that are known after the next samples ``(time,)``."""
        self.taken += len(block)
        return self._given(self._resampled(self.streamer.feed(self._to_model(block, False))))

    def flush(self) -> np.ndarray:
        """The sources that are left, ``(source, time)``."""
        last = self.streamer.feed(self._to_model(np.zeros(0, np.float32), True))
        estimates = np.concatenate([last, self.streamer.flush()], -1)
        sources = self._resampled(estimates, last=True)
        left = self.taken - self.given
        missing = max(0, left - sources.shape[1])
        return self._given(np.pad(sources, ((0, 0), (0, missing)))[:, :left])

    @property
    def latency(self) -> float:
        """Seconds from a sample to its estimates, without waiting for blocks."""
        delays = [stream.delay() for stream in (self._in, self._out) if stream]
        rates = [self.streamer.sample_rate, self.rate]
        resampling = sum(delay / rate for delay, rate in zip(delays, rates, strict=False))
        return self.streamer.latency / self.streamer.sample_rate + resampling

    def _to_model(self, block: np.ndarray, last: bool) -> np.ndarray:
        if self._in is None:
            return block
        return self._in.resample_chunk(np.ascontiguousarray(block, np.float32), last=last)

    def _resampled(self, estimates: np.ndarray, last: bool = False) -> np.ndarray:
        sources = estimates[0]
        if self._out is None:
            return sources
        return self._out.resample_chunk(np.ascontiguousarray(sources.T), last=last).T

    def _given(self, sources: np.ndarray) -> np.ndarray:
        self.given += sources.shape[1]
        return sources


class GrowingFiles:
    """Wav files, one a source, that grow while sources come.

    Args:
        paths: of the files.
        rate: Hz.

    Attributes:
        clipped: samples that were beyond full scale, and are at it in the file.
    """

    def __init__(self, paths: Sequence[Path], rate: int) -> None:
        self.clipped = self._frames = 0  # frames that every file is to have
        self.paths = list(paths)
        self._last = np.zeros((len(self.paths), 0), np.int16)
        with ExitStack() as stack:
            self.files = []
            for path in paths:
                with writing(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    file = soundfile.SoundFile(str(path), "w", rate, 1, "PCM_16", format="WAV")
                self.files.append(stack.enter_context(file))
            self._open = stack.pop_all()

    def write(self, sources: np.ndarray, mixture: np.ndarray) -> None:
        """Append ``(source, time)``."""
        self.clipped += int((np.abs(sources) > 1).sum())
        levels = np.clip(np.round(sources * 2.0**15), -(2**15), 2**15 - 1).astype(np.int16)
        self._last, self._frames = levels, self._frames + levels.shape[1]
        self._append()

    def close(self) -> None:
        """Write what Ctrl-C has kept from a file, and the lengths into the headers."""
        with self._open:
            self._append()

    def _append(self) -> None:
        """Write what each file lacks of the last block."""
        for file, source, path in zip(self.files, self._last, self.paths, strict=True):
            try:
                file.write(source[len(source) - (self._frames - file.frames) :])
                file.flush()
            except (soundfile.SoundFileError, OSError, AssertionError) as error:
                # soundfile asserts that all samples were written.
                raise RecipeError(f"{path}: cannot be written on; is the disk full?") from error


def separate_live(
    separator: LiveSeparator,
    blocks: Iterable[np.ndarray],
    sinks: Sequence[Sink],
    status: Status,
    report: Callable[[Status], None],
) -> None:
    """Separate blocks until there are no more, or something ends it; sinks are closed whole.

    Args:
        separator: of the blocks' rate.
        blocks: float samples ``(time,)`` each, of any lengths.
        sinks: take the sources.
        status: is kept up to date.
        report: is called after each block.
    """
    waiting: list[np.ndarray] = []  # mixture whose sources have not come yet
    with ExitStack() as stack:
        for sink in sinks:
            stack.callback(sink.close)
        stack.callback(lambda: _hand_on(sinks, separator.flush(), waiting))
        for block in blocks:
            start = time.perf_counter()
            sources = separator.feed(block)
            status.add(block, separator.rate, time.perf_counter() - start)
            waiting.append(block)
            _hand_on(sinks, sources, waiting)
            report(status)


def _hand_on(sinks: Sequence[Sink], sources: np.ndarray, waiting: list[np.ndarray]) -> None:
    """Give sources to all sinks, with the mixture that they are of."""
    count = sources.shape[1]
    if not count:
        return
    mixture = np.concatenate(waiting)
    waiting[:] = [mixture[count:]]
    for sink in sinks:
        sink.write(sources, mixture[:count])


def read_blocks(
    path: Path, size: int, mixdown: bool = False, real_time: bool = False
) -> Iterable[np.ndarray]:
    """Blocks ``(time,)`` of a recording as a microphone would give them.

    Args:
        path: of any rate.
        size: samples of a block; the last one may be shorter.
        mixdown: the mean of the channels; else the first of them.
        real_time: give each block when its last sample would have been recorded.
    """
    began, sent = time.monotonic(), 0
    with soundfile.SoundFile(str(path)) as file:
        for block in file.blocks(size, dtype="float32", always_2d=True):
            sent += len(block)
            if real_time:
                time.sleep(max(0.0, began + sent / file.samplerate - time.monotonic()))
            yield block.mean(1) if mixdown else block[:, 0]
