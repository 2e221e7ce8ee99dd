"""Recordings of any length in flat memory. Entry point: :func:`separate_long`.

A recording is separated in segments that overlap. Their estimates wait in files beside the output,
where a run that was killed goes on, until the orders of all segments are known, and with a system
that counts the number of speakers, too.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from separation.corpus.audio import AudioInfo
from separation.errors import RecipeError
from separation.files import atomic_path, read_text, writing
from separation.inference.counting import STRETCH_SECONDS, count_stretches, number_of
from separation.inference.recording import full_scale_factor, open_source, to_levels
from separation.inference.recursion import (
    RecursiveSeparator,
    estimates_of_number,
)
from separation.inference.separator import Separator
from separation.inference.stitching import compare_seam, describe_voices, find_orders

SEGMENT_SECONDS = 24.0
OVERLAP_SECONDS = 4.0
MOST_SPEAKERS = 5  # whose orders are compared, each with each, at every seam
PLAN_FILE = "segments.json"  # what the segments of a folder are of


def is_long(info: AudioInfo, counts: bool = False) -> bool:
    """Whether a recording is separated in segments: one and a half of them, or more.

    A system that counts speakers does so by stretches: two of them are enough.
    """
    most = 2 * STRETCH_SECONDS if counts else 1.5 * SEGMENT_SECONDS
    return info.frames > most * info.sample_rate


def separate_long(
    separator: Separator, recording: Path, info: AudioInfo, paths: Sequence[Path], system: Path
) -> tuple[list[Path], float]:
    """Separate a recording into files, one a source.

    A system that counts does so in every segment; the recording then has the number of
    :func:`.counting.number_of`.

    Args:
        separator: of the network.
        recording: to be separated; several channels are averaged.
        info: of the recording.
        paths: of the sources, as many as there may be; their folder holds the segments meanwhile.
        system: file or folder that the network is from, to know segments of another network by.

    Returns:
        the paths that were written, the first ones where there are fewer sources, and the
        attenuation in dB that keeps all sources within full scale, 0 where they fit.

    Raises:
        RecipeError: the recording is damaged, the disk is full, or more speakers than can be put
            in order.
    """
    _check_number(separator, recording)
    folder = paths[0].parent / f".{recording.stem}.segments"
    plan: dict[str, Any] = {
        "recording": [str(recording.resolve()), info.frames, recording.stat().st_mtime_ns],
        "system": [
            *(str(system.resolve()), system.stat().st_mtime_ns),
            *(separator.n_src, separator.counts),
        ],
        "seconds": [SEGMENT_SECONDS, OVERLAP_SECONDS],
    }
    _begin(folder, plan)
    files = _separate_segments(separator, recording, info, folder)
    segments = _Segments(files, _number(separator, files, info.sample_rate))
    written = list(paths[: segments.number])
    overlap = round(OVERLAP_SECONDS * info.sample_rate)
    orders = _orders(segments, overlap, info.sample_rate)
    factor, attenuation = full_scale_factor(_peak(segments, orders, overlap), info.subtype)
    with ExitStack() as stack:
        temporary = [stack.enter_context(atomic_path(path)) for path in written]
        sinks = [stack.enter_context(open_source(path, info)) for path in temporary]
        for piece in _joined(segments, orders, overlap):
            for sink, path, source in zip(sinks, written, piece, strict=True):
                with writing(path):
                    sink.write(to_levels(factor * source, info.subtype))
    shutil.rmtree(folder)
    return written, attenuation


@dataclass(frozen=True)
class _Segments:
    """Estimates ``(source, time)`` of one segment after the other, as often as wanted.

    Attributes:
        files: with estimates, or with the passes of a system that counts.
        number: of speakers, with passes.
    """

    files: Sequence[Path]
    number: int | None

    def __iter__(self) -> Iterator[np.ndarray]:
        for file in self.files:
            signals = np.load(file)
            yield estimates_of_number(signals, self.number) if self.number else signals

    def __len__(self) -> int:
        return len(self.files)


def _check_number(separator: Separator, recording: Path) -> None:
    """Refuse more speakers than can be put in order; a number that is found is bounded later."""
    if not separator.counts and separator.n_src > MOST_SPEAKERS:
        raise RecipeError(
            f"{recording}: {separator.n_src} speakers; recordings of more than"
            f" {1.5 * SEGMENT_SECONDS:.0f} s can have {MOST_SPEAKERS} at most; cut it up"
        )


def _begin(folder: Path, plan: dict[str, Any]) -> None:
    """Keep segments of a run that was killed, if they are of the same recording and network."""
    file = folder / PLAN_FILE
    if file.is_file() and json.loads(read_text(file)) == plan:
        return
    shutil.rmtree(folder, ignore_errors=True)
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(plan), encoding="utf-8")


def _separate_segments(
    separator: Separator, recording: Path, info: AudioInfo, folder: Path
) -> list[Path]:
    """Files with each segment's estimates ``(source, time)``, or its passes."""
    size, overlap = (round(s * info.sample_rate) for s in (SEGMENT_SECONDS, OVERLAP_SECONDS))
    count = 1 + max(0, -(-(info.frames - size) // (size - overlap)))
    files = [folder / f"{number:05}.npy" for number in range(count)]
    segments = _read(recording, info, size, overlap)
    for file, samples in tqdm(
        zip(files, segments, strict=True), total=count, desc=recording.name, unit="segment"
    ):
        if file.is_file():
            continue
        if isinstance(separator, RecursiveSeparator) and separator.counts:
            signals = separator.separate_passes(samples, info.sample_rate)
        else:
            signals = separator.separate(samples, info.sample_rate)
        if not np.isfinite(signals).all():
            raise RecipeError(
                f"{recording}: the network gives NaN or Inf for it; nothing is written"
            )
        with atomic_path(file) as temporary, open(temporary, "wb") as handle:
            np.save(handle, signals)
    return files


def _read(recording: Path, info: AudioInfo, size: int, overlap: int) -> Iterator[np.ndarray]:
    """Segments of a recording as float32 ``(time,)``, the mean of its channels."""
    read = 0
    try:
        with soundfile.SoundFile(os.fsencode(recording)) as file:
            for block in file.blocks(size, overlap, dtype="float32", always_2d=True):
                if not np.isfinite(block).all():
                    raise RecipeError(f"{recording}: samples that are NaN or Inf")
                read += len(block) - (overlap if read else 0)
                yield block.mean(1)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(
            f"{recording}: cannot be decoded; the file is damaged or cut short"
        ) from error
    if read != info.frames:
        raise RecipeError(
            f"{recording}: cut short; the header promises more samples than there are"
        )


def _number(separator: Separator, files: Sequence[Path], sample_rate: int) -> int | None:
    """Speakers of the recording, by those that are found in its segments; None: not counted."""
    if not isinstance(separator, RecursiveSeparator) or not separator.counts:
        return None
    found = [count_stretches(np.load(file), sample_rate, separator.rule) for file in files]
    counts, energies = zip(*found, strict=True)
    return min(MOST_SPEAKERS, number_of(counts, energies))


def _orders(segments: _Segments, overlap: int, sample_rate: int) -> list[tuple[int, ...]]:
    """The order of each segment's sources, from seams and voices."""
    seams, voices, before = [], [], None
    for estimates in segments:
        loudness = float(np.square(estimates.sum(0)).mean())
        if before is not None:
            seams.append(compare_seam(before, estimates[:, : before.shape[1]], loudness))
        voices.append(describe_voices(estimates, sample_rate))
        before = estimates[:, -overlap:]
    return find_orders(seams, voices)


def _joined(
    segments: _Segments, orders: Sequence[tuple[int, ...]], overlap: int
) -> Iterator[np.ndarray]:
    """The sources, piece by piece; over an overlap one segment fades into the next."""
    rise = np.linspace(0, 1, overlap, dtype=np.float32)
    tail = None
    for number, (own, order) in enumerate(zip(segments, orders, strict=True), 1):
        estimates = own[list(order)]
        if tail is not None:
            estimates[:, :overlap] = rise * estimates[:, :overlap] + (1 - rise) * tail
        end = estimates.shape[1] - (overlap if number < len(segments) else 0)
        tail = estimates[:, end:]
        yield estimates[:, :end]


def _peak(segments: _Segments, orders: Sequence[tuple[int, ...]], overlap: int) -> float:
    return max(float(np.abs(piece).max()) for piece in _joined(segments, orders, overlap))
