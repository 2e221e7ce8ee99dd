"""Recordings of any length in flat memory. Entry point: :func:`separate_long`.

A recording is separated in segments that overlap. Their estimates wait in files beside the output,
where a run that was killed goes on, until the orders of all segments are known.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from separation.corpus.audio import AudioInfo
from separation.errors import RecipeError
from separation.files import atomic_path, read_text, writing
from separation.inference.recording import full_scale_factor, open_source, to_levels
from separation.inference.separator import Separator
from separation.inference.stitching import compare_seam, describe_voices, find_orders

SEGMENT_SECONDS = 24.0
OVERLAP_SECONDS = 4.0
CHECKED = "segments.json"


def is_long(info: AudioInfo) -> bool:
    """Whether a recording is separated in segments: one and a half of them, or more."""
    return info.frames > 1.5 * SEGMENT_SECONDS * info.sample_rate


def separate_long(
    separator: Separator, recording: Path, info: AudioInfo, paths: Sequence[Path], system: Path
) -> float:
    """Separate a recording into files, one a source.

    Args:
        separator: of the network.
        recording: to be separated; several channels are averaged.
        info: of the recording.
        paths: of the sources; their folder holds the segments meanwhile.
        system: file or folder that the network is from, to know segments of another network by.

    Returns:
        the attenuation in dB that keeps all sources within full scale, 0 where they fit.

    Raises:
        RecipeError: the recording is damaged, or the disk is full.
    """
    folder = paths[0].parent / f".{recording.stem}.segments"
    plan: dict[str, Any] = {
        "recording": [str(recording.resolve()), info.frames, recording.stat().st_mtime_ns],
        "system": [str(system.resolve()), separator.n_src, system.stat().st_mtime_ns],
        "seconds": [SEGMENT_SECONDS, OVERLAP_SECONDS],
    }
    _begin(folder, plan)
    files = _separate_segments(separator, recording, info, folder)
    overlap = round(OVERLAP_SECONDS * info.sample_rate)
    orders = _orders(files, overlap, info.sample_rate)
    factor, attenuation = full_scale_factor(_peak(files, orders, overlap), info.subtype)
    with ExitStack() as stack:
        temporary = [stack.enter_context(atomic_path(path)) for path in paths]
        sinks = [stack.enter_context(open_source(path, info)) for path in temporary]
        for piece in _joined(files, orders, overlap):
            for sink, path, source in zip(sinks, paths, piece, strict=True):
                with writing(path):
                    sink.write(to_levels(factor * source, info.subtype))
    shutil.rmtree(folder)
    return attenuation


def _begin(folder: Path, plan: dict[str, Any]) -> None:
    """Keep segments of a run that was killed, if they are of the same recording and network."""
    file = folder / CHECKED
    if file.is_file() and json.loads(read_text(file)) == plan:
        return
    shutil.rmtree(folder, ignore_errors=True)
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(plan), encoding="utf-8")


def _separate_segments(
    separator: Separator, recording: Path, info: AudioInfo, folder: Path
) -> list[Path]:
    """Files with the estimates of each segment, ``(source, time)``."""
    size, overlap = (round(s * info.sample_rate) for s in (SEGMENT_SECONDS, OVERLAP_SECONDS))
    count = 1 + max(0, -(-(info.frames - size) // (size - overlap)))
    files = [folder / f"{number:05}.npy" for number in range(count)]
    segments = _read(recording, info, size, overlap)
    for file, samples in tqdm(
        zip(files, segments, strict=True), total=count, desc=recording.name, unit="segment"
    ):
        if file.is_file():
            continue
        estimates = separator.separate(samples, info.sample_rate)
        if not np.isfinite(estimates).all():
            raise RecipeError(
                f"{recording}: the network gives NaN or Inf for it; nothing is written"
            )
        with atomic_path(file) as temporary, open(temporary, "wb") as handle:
            np.save(handle, estimates)
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


def _orders(files: Sequence[Path], overlap: int, sample_rate: int) -> list[tuple[int, ...]]:
    """The order of each segment's sources, from seams and voices."""
    seams, voices, before = [], [], None
    for file in files:
        estimates = np.load(file)
        loudness = float(np.square(estimates.sum(0)).mean())
        if before is not None:
            seams.append(compare_seam(before, estimates[:, : before.shape[1]], loudness))
        voices.append(describe_voices(estimates, sample_rate))
        before = estimates[:, -overlap:]
    return find_orders(seams, voices)


def _joined(
    files: Sequence[Path], orders: Sequence[tuple[int, ...]], overlap: int
) -> Iterator[np.ndarray]:
    """The sources, piece by piece; over an overlap one segment fades into the next."""
    rise = np.linspace(0, 1, overlap, dtype=np.float32)
    tail = None
    for number, (file, order) in enumerate(zip(files, orders, strict=True)):
        estimates = np.load(file)[list(order)]
        if tail is not None:
            estimates[:, :overlap] = rise * estimates[:, :overlap] + (1 - rise) * tail
        end = estimates.shape[1] - (overlap if number + 1 < len(files) else 0)
        tail = estimates[:, end:]
        yield estimates[:, :end]


def _peak(files: Sequence[Path], orders: Sequence[tuple[int, ...]], overlap: int) -> float:
    return max(float(np.abs(piece).max()) for piece in _joined(files, orders, overlap))
