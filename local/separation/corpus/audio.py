"""Reading and writing audio, with one clear line for a file that is not what it should be."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from separation.errors import RecipeError
from separation.files import atomic_path, require_file

SHORTEST = 0.1  # seconds of a recording that is mixed; in less there is no level to measure


@dataclass(frozen=True)
class AudioInfo:
    """Header of an audio file: length in frames (samples a channel), rate in Hz, sample format."""

    frames: int
    sample_rate: int
    channels: int
    format: str
    subtype: str


@contextlib.contextmanager
def quiet_decoder(path: str | Path) -> Iterator[None]:
    """Keep off the terminal what libmpg123 prints of every odd byte of an MP3 file."""
    if Path(path).suffix.lower() != ".mp3":
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def audio_info(path: str | Path) -> AudioInfo:
    """Read the header of an audio file.

    Raises:
        RecipeError: the file is missing or is not audio.
    """
    require_file(Path(path))
    try:
        with quiet_decoder(path):
            info = soundfile.info(os.fsencode(path))
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError) as error:
        raise RecipeError(f"{path}: cannot be read as audio; wav, flac, ogg and mp3 can") from error
    return AudioInfo(info.frames, info.samplerate, info.channels, info.format, info.subtype)


def read_channels(path: str | Path) -> tuple[np.ndarray, int]:
    """Read all channels of a file.

    Returns:
        float32 samples of shape ``(channel, time)`` in [-1, 1), and the rate in Hz.

    Raises:
        RecipeError: missing, unreadable, truncated or empty, or samples that are NaN or Inf.
    """
    info = audio_info(path)
    try:
        with quiet_decoder(path):
            samples, rate = soundfile.read(os.fsencode(path), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise RecipeError(f"{path}: cannot be decoded; the file is damaged or cut short") from error
    except MemoryError as error:
        raise RecipeError(
            f"{path}: not enough memory for the {info.frames} samples that its header promises"
        ) from error
    if samples.shape[0] == 0:
        raise RecipeError(f"{path}: no samples in it")
    if samples.shape[0] != info.frames or _cut_short(path, info):
        raise RecipeError(f"{path}: cut short; the header promises more samples than there are")
    if not np.isfinite(samples).all():
        raise RecipeError(f"{path}: samples that are NaN or Inf")
    return samples.T, rate


def read_audio(path: str | Path, sample_rate: int | None = None) -> np.ndarray:
    """Read a mono file.

    Args:
        path: the file.
        sample_rate: the rate that it must have, in Hz; None takes any.

    Returns:
        float32 samples of shape ``(time,)``.

    Raises:
        RecipeError: as :func:`read_channels`, or more than one channel, or another rate.
    """
    samples, rate = read_channels(path)
    if samples.shape[0] != 1:
        raise RecipeError(f"{path}: {samples.shape[0]} channels; one is needed")
    if sample_rate is not None and rate != sample_rate:
        raise RecipeError(f"{path}: {rate} Hz, but {sample_rate} Hz is needed")
    return samples[0]


def load_resampled(path: str | Path, sample_rate: int) -> np.ndarray:
    """Read a mono file of any rate as ``(time,)`` at ``sample_rate`` Hz (soxr, VHQ).

    Raises:
        RecipeError: as :func:`read_audio`.
    """
    info = audio_info(path)
    samples = read_audio(path)
    if info.sample_rate == sample_rate:
        return samples
    return soxr.resample(samples, info.sample_rate, sample_rate, quality="VHQ")


def write_int16(path: str | Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write samples of shape ``(time,)`` as a 16-bit file, round(2^15 x), whole or not at all."""
    with atomic_path(path) as temporary:
        soundfile.write(os.fsencode(temporary), to_int16(samples), sample_rate, subtype="PCM_16")


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Samples of full scale 1 as 16-bit ones of the same shape, round(2^15 x), clipped."""
    return np.clip(np.round(samples * 2.0**15), -(2**15), 2**15 - 1).astype(np.int16)


def _cut_short(path: str | Path, info: AudioInfo) -> bool:
    """Whether a RIFF, RF64 or AIFF file has fewer bytes than its chunk of samples claims.

    libsndfile silently lowers the frame count of such a file.
    """
    if info.format not in ("WAV", "WAVEX", "RF64", "AIFF"):
        return False
    order: Literal["big", "little"] = "big" if info.format == "AIFF" else "little"
    long_size = 0
    with open(path, "rb") as file:
        if file.read(12)[:4] not in (b"RIFF", b"RF64", b"FORM"):
            return False
        while len(chunk := file.read(8)) == 8:
            size = int.from_bytes(chunk[4:], order)
            if chunk[:4] == b"ds64":  # of RF64 (EBU Tech 3306): size of the file, then of the data
                content = file.read(size)
                long_size = int.from_bytes(content[8:16], "little")
                continue
            if chunk[:4] in (b"data", b"SSND"):
                # Streams written to a pipe carry 0 or 2^32-1 here: their length is unknown.
                remaining = Path(path).stat().st_size - file.tell()
                return (size < 0xFFFFFF00 or long_size > 0) and (long_size or size) > remaining
            file.seek(size + size % 2, 1)
    return False
