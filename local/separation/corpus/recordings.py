"""The recordings of a folder of speakers: found, checked, and put below ``sources/``.

Mixtures are named after their recordings, and lists are split at spaces. So every recording gets a
name of its own, ``<speaker>/<speaker>_<its place and name>``, without spaces; ``a/001.wav`` and
``b/001.wav`` would be one otherwise.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from joblib import delayed
from tqdm import tqdm

from separation.corpus.audio import (
    SHORTEST,
    audio_info,
    quiet_decoder,
    read_channels,
    write_int16,
)
from separation.errors import RecipeError
from separation.files import check_name, read_text
from separation.process import parallel

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
MP3_FRAME = 1152  # samples
LONGEST_NAME = 70  # bytes; a mixture's file name has up to three of them


@dataclass(frozen=True)
class Recording:
    """A file of one speaker, and its path below ``sources/`` but for the suffix."""

    source: Path
    speaker: str
    stem: str

    @property
    def names(self) -> set[str]:
        """Paths below ``sources/`` that it may get: linked to as it is, or written as wav."""
        return {f"{self.stem}{self.source.suffix.lower()}", f"{self.stem}.wav"}


def find_recordings(folder: Path) -> list[Recording]:
    """Find ``<speaker>/**/*.{wav,flac,ogg,mp3}`` below a folder, in the order of their names.

    Raises:
        RecipeError: there are none.
    """
    recordings = []
    taken: set[str] = set()
    for place in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        check_name(place.name, str(folder))
        sources = sorted(_files_below(place))
        if not sources:
            print(f"warning: {place}: no recordings below it", file=sys.stderr)
        for source in sources:
            if any("\ud800" <= letter <= "\udfff" for letter in str(source)):
                raise RecipeError(f"{source}: its name is not in UTF-8; rename it")
            stem = _own_stem(place.name, source.relative_to(place), taken)
            recordings.append(Recording(source, place.name, stem))
    if not recordings:
        raise RecipeError(
            f"--corpus_dir {folder}: no recordings below it; they lie in a folder a speaker, as"
            " <speaker>/**/*.{wav,flac,ogg,mp3}"
        )
    return recordings


def _files_below(place: Path) -> Iterator[Path]:
    """Recordings below a folder, also through symbolic links; hidden ones are left out."""
    seen = set()
    for folder, names, files in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        names[:] = [] if real in seen else [name for name in names if not name.startswith(".")]
        if real not in seen:
            for path in (Path(folder, name) for name in files if not name.startswith(".")):
                if path.suffix.lower() in SUFFIXES and path.is_file():
                    yield path
        seen.add(real)


def read_genders(folder: Path, speakers: set[str]) -> dict[str, str]:
    """F or M of each speaker from ``speakers.csv`` (speaker, gender); empty without that file.

    Raises:
        RecipeError: it is no table of that kind, a speaker is not in it or has two genders, or a
        gender is neither F nor M.
    """
    path = folder / "speakers.csv"
    if not os.path.lexists(path):
        return dict.fromkeys(speakers, "")
    reader = csv.DictReader(io.StringIO(read_text(path)))
    genders: dict[str, str] = {}
    try:
        if not {"speaker", "gender"} <= set(reader.fieldnames or []):
            raise RecipeError(f"{path}: its first line must be speaker,gender")
        for row in reader:
            speaker, gender = (row["speaker"] or "").strip(), (row["gender"] or "").strip().upper()
            if gender not in ("F", "M"):
                raise RecipeError(
                    f"{path}:{reader.line_num}: gender '{row['gender']}' is not F or M"
                )
            if genders.setdefault(speaker, gender) != gender:
                raise RecipeError(f"{path}:{reader.line_num}: {speaker} had another gender before")
    except csv.Error as error:
        raise RecipeError(f"{path}:{reader.line_num + 1}: not a CSV file: {error}") from error
    unknown = sorted(speakers - genders.keys())
    if unknown:
        raise RecipeError(f"{path}: no speaker {unknown[0]} in it")
    return {speaker: genders[speaker] for speaker in speakers}


def possible_paths(recordings: list[Recording]) -> set[str]:
    """Paths below the corpus that :func:`place_recording` may give to recordings."""
    return {f"sources/{name}" for recording in recordings for name in recording.names}


def place_recordings(
    recordings: list[Recording], sources_dir: Path, mixdown: bool, nj: int, keep_going: bool
) -> tuple[list[str], list[str]]:
    """Put all recordings below ``sources_dir``.

    Returns:
        the path of each below it, and what is wrong with each bad one; without ``keep_going`` the
        first bad one ends it.
    """
    results = parallel(nj, return_as="generator", batch_size=16)(
        delayed(_try)(recording, sources_dir, mixdown) for recording in recordings
    )
    paths, problems = [], []
    for path, problem in tqdm(results, total=len(recordings), desc="recordings", unit="file"):
        paths.append(path)
        if problem:
            problems.append(problem)
            if not keep_going:
                break
    return paths, problems


def place_recording(recording: Recording, sources_dir: Path, mixdown: bool) -> str:
    """Link to a recording; one in mp3 or of several channels becomes a mono wav file.

    An mp3 file does not say for sure how long it is, and is slow to read again and again.

    Returns:
        its path below ``sources_dir``.

    Raises:
        RecipeError: not audio, too short, or of several channels without ``mixdown``.
    """
    source, suffix = recording.source, recording.source.suffix.lower()
    info = audio_info(source)
    if info.channels > 1 and not mixdown:
        raise RecipeError(
            f"{source}: {info.channels} channels; corpus.mixdown=true averages them to one"
        )
    if info.frames < SHORTEST * info.sample_rate:
        raise RecipeError(f"{source}: {info.frames} samples, shorter than {SHORTEST} s")
    if suffix != ".mp3" and info.channels == 1:
        link = sources_dir / f"{recording.stem}{suffix}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source.resolve())
        return f"{recording.stem}{suffix}"
    if suffix == ".mp3":
        samples = _decode_mp3(source, info.frames)
    else:
        samples, _ = read_channels(source)
    path = f"{recording.stem}.wav"
    write_int16(sources_dir / path, samples.mean(axis=0), info.sample_rate)
    return path


def _own_stem(speaker: str, inner: Path, taken: set[str]) -> str:
    """``<speaker>/<speaker>_<folders>_<name>``, made short enough, and unlike those ``taken``."""
    name = _plain("_".join([speaker, *inner.with_suffix("").parts]))
    if len(name.encode()) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}-{digest}"
    folder = _plain(speaker)
    stem, number = f"{folder}/{name}", 1
    while stem in taken:
        number += 1
        stem = f"{folder}/{name}-{number}"
    taken.add(stem)
    return stem


def _plain(name: str) -> str:
    """A name without spaces, backslashes and control characters."""
    return re.sub(r"[\s\\\x00-\x1f\x7f-\x9f]+", "_", name)


def _decode_mp3(source: Path, frames: int) -> np.ndarray:
    """Decode ``frames`` samples, but for one frame of the format; float32 ``(channel, time)``."""
    try:
        with quiet_decoder(source):
            samples = soundfile.read(source, dtype="float32", always_2d=True)[0].T
    except soundfile.LibsndfileError as error:
        raise RecipeError(f"{source}: cannot be decoded; the file is damaged") from error
    if samples.shape[1] < frames - MP3_FRAME:
        raise RecipeError(
            f"{source}: cut short; {samples.shape[1]} of {frames} samples can be decoded"
        )
    return samples


def _try(recording: Recording, sources_dir: Path, mixdown: bool) -> tuple[str, str]:
    try:
        return place_recording(recording, sources_dir, mixdown), ""
    except RecipeError as error:
        return "", str(error)
