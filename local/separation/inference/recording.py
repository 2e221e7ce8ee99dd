"""Recordings in and separated files out, in the format that the recording had."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile

from separation.corpus.audio import AudioInfo, audio_info, read_channels
from separation.errors import RecipeError
from separation.files import atomic_path

# Bits of the integer formats.
BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
RATES = (1000, 768_000)  # Hz; resampling from and to others takes memory without end
UNLIMITED = ("FLOAT", "DOUBLE")


def check_recording(path: Path, mixdown: bool) -> AudioInfo:
    """Read the header of a recording and see that it can be separated and its format written.

    Raises:
        RecipeError: missing, not audio, empty, several channels without ``mixdown``, an absurd
            rate, or a format that can be read only.
    """
    info = audio_info(path)
    if info.frames == 0:
        raise RecipeError(f"{path}: no samples in it")
    if info.channels > 1 and not mixdown:
        raise RecipeError(
            f"{path}: {info.channels} channels; --mixdown averages them before separation"
        )
    lowest, highest = RATES
    if not lowest <= info.sample_rate <= highest:
        raise RecipeError(
            f"{path}: {info.sample_rate} Hz; rates from {lowest} to {highest} Hz can be separated"
        )
    if not soundfile.check_format(info.format, info.subtype):
        raise RecipeError(
            f"{path}: {info.format} {info.subtype} cannot be written; convert it first"
        )
    return info


def read_mono(path: Path) -> np.ndarray:
    """Read a recording as float32 of shape ``(time,)``, the mean of its channels."""
    return read_channels(path)[0].mean(axis=0)


def output_paths(inputs: Sequence[Path], folder: Path, n_src: int) -> list[list[Path]]:
    """Name the files of each input: ``<folder>/<stem>_s1<suffix>`` and so on.

    Raises:
        RecipeError: two inputs of one name, or an output that would replace an input.
    """
    named: dict[str, Path] = {}
    for path in inputs:
        if path.name in named:
            raise RecipeError(
                f"{named[path.name]} and {path}: one name, so their sources would overwrite each"
                " other; separate them into different folders"
            )
        named[path.name] = path
    outputs = [
        [folder / f"{path.stem}_s{number}{path.suffix}" for number in range(1, n_src + 1)]
        for path in inputs
    ]
    recordings = {path.resolve(): path for path in inputs}
    for path in (path for paths in outputs for path in paths):
        if path.resolve() in recordings:
            raise RecipeError(
                f"{path}: an input that would be overwritten; give another folder to -o"
            )
    return outputs


def fit_to_full_scale(sources: np.ndarray, subtype: str) -> tuple[np.ndarray, float]:
    """Scale all sources by one factor, so that none is clipped in the given sample format.

    Args:
        sources: shape ``(source, time)``.
        subtype: libsndfile's name, such as ``PCM_16``.

    Returns:
        the sources, and the attenuation in dB (0 where they fitted).
    """
    factor, attenuation = full_scale_factor(float(np.abs(sources).max()), subtype)
    return (sources * factor if attenuation else sources), attenuation


def full_scale_factor(peak: float, subtype: str) -> tuple[float, float]:
    """The factor that keeps a peak within full scale, 1 where it is, and its attenuation in dB."""
    if subtype in UNLIMITED:
        return 1.0, 0.0
    limit = 1.0 - 2.0 ** (1 - BITS[subtype]) if subtype in BITS else 1.0
    if peak <= limit:
        return 1.0, 0.0
    return limit / peak, float(20.0 * np.log10(peak / limit))


def write_sources(
    paths: Sequence[Path], sources: np.ndarray, sample_rate: int, info: AudioInfo
) -> None:
    """Write each source in the format of the recording: all of them whole, or none.

    Args:
        paths: one a source.
        sources: shape ``(source, time)``, within full scale.
        sample_rate: in Hz.
        info: of the recording; format and sample format are taken over.
    """
    with ExitStack() as stack:
        for path, source in zip(paths, sources, strict=True):
            temporary = stack.enter_context(atomic_path(path))
            with open_source(temporary, info, sample_rate) as file:
                file.write(to_levels(source, info.subtype))


def open_source(path: Path, info: AudioInfo, sample_rate: int | None = None) -> soundfile.SoundFile:
    """Open a file of one channel for writing, in the format of a recording.

    Args:
        path: of the file.
        info: of the recording.
        sample_rate: Hz; None: the recording's.
    """
    return soundfile.SoundFile(
        os.fsencode(path),
        "w",
        sample_rate or info.sample_rate,
        channels=1,
        format=info.format,
        subtype=info.subtype,
    )


def to_levels(source: np.ndarray, subtype: str) -> np.ndarray:
    """Quantise ``(time,)`` to the format's bits; libsndfile would scale by 32767, not 32768."""
    if subtype not in BITS:
        return source
    bits = BITS[subtype]
    full_scale = 2.0 ** (bits - 1)
    levels = np.clip(np.round(source.astype(np.float64) * full_scale), -full_scale, full_scale - 1)
    # libsndfile takes the upper bits of 32-bit integers.
    return (levels.astype(np.int64) << (32 - bits)).astype(np.int32)
