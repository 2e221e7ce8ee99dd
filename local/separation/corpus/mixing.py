"""Mixing as WSJ0-2mix does it (Hershey et al. 2016, create_wav_2speakers.m).

Entry points: :func:`mix_split` for a whole list, :func:`mix_sources` for the arithmetic.

A recording is in several mixtures of a list. It is decoded, resampled and measured once, into a
file of a folder that lasts as long as the mixing of its split, so memory stays the same however
long the list is. Nothing of an earlier run is used: what a killed run left is made again, and
processes that it left write into a folder that nobody reads.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import delayed
from tqdm import tqdm

from separation.corpus.audio import SHORTEST, audio_info, read_audio
from separation.corpus.layout import Corpus
from separation.corpus.levels import active_level, known_levels
from separation.corpus.lists import ListLine, read_split
from separation.corpus.problems import Problems
from separation.corpus.starting import begin_split
from separation.corpus.wav16 import read_wav16, write_wav16
from separation.errors import RecipeError
from separation.files import exclusive, writing
from separation.process import parallel

PEAK = 0.9
LEVEL_RATE = 8000  # Hz; the official levels, also those of 16 kHz mixtures
CACHE = ".mixing-"  # what the folder's name begins with; below the corpus, while it is mixed
BATCH = 16  # recordings or mixtures handed to a process at a time


class Ready(NamedTuple):
    """A recording in the cache: its file, level, length and first sample that is not zero."""

    file: str
    level: float
    length: int
    onset: int


class Mixed(NamedTuple):
    """What was mixed: how many mixtures, and the level of each recording, a mean square."""

    mixtures: int
    levels: dict[str, float]


class Task(NamedTuple):
    """A mixture to be made: its id, its sources, gains in dB."""

    mixture_id: str
    sources: list[Ready]
    gains: tuple[float, ...]


def mix_sources(
    signals: list[np.ndarray], levels: list[float], gains: tuple[float, ...], mode: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mix single-speaker signals.

    Each is divided by the square root of its active level and multiplied by 10^(gain/20). ``min``
    cuts all to the shortest, ``max`` pads with zeros at the end. The mixture is the sum. One factor
    scales mixture and sources so that the largest peak among them is 0.9.

    Args:
        signals: one array ``(time,)`` a speaker.
        levels: mean square over active speech of each.
        gains: dB of each.
        mode: ``min`` or ``max``.

    Returns:
        mixture ``(time,)`` and sources ``(source, time)``.
    """
    lengths = [len(signal) for signal in signals]
    length = min(lengths) if mode == "min" else max(lengths)
    sources = np.zeros((len(signals), length))
    for row, signal, level, gain in zip(sources, signals, levels, gains, strict=True):
        used = min(length, len(signal))
        factor = 10 ** (gain / 20) / math.sqrt(level)
        np.multiply(signal[:used], factor, out=row[:used], dtype=np.float64)
    mixture = sources.sum(axis=0)
    peak = max(mixture.max(), -mixture.min(), sources.max(), -sources.min())
    if peak > 0:
        mixture *= PEAK / peak
        sources *= PEAK / peak
    return mixture, sources


def load_source(
    path: Path, sample_rate: int, level: float | None = None
) -> tuple[np.ndarray, float]:
    """Read a recording and measure its level, as the official recipe does.

    Resampling is that of MATLAB's ``resample``: a windowed sinc of 10 zero crossings a side, Kaiser
    window of beta 5. It is measured between 200 Hz and 5.5 kHz on the recording resampled to 8 kHz,
    whatever ``sample_rate`` is.

    Args:
        path: the recording.
        sample_rate: Hz of the result.
        level: the level, where it is known already.

    Returns:
        float32 samples ``(time,)``, and the level.

    Raises:
        RecipeError: it cannot be read, is shorter than 100 ms, or is silent.
    """
    plain = read_wav16(path)
    if plain:
        recorded, rate = plain[0] / 2.0**15, plain[1]
    else:
        recorded, rate = read_audio(path).astype(np.float64), audio_info(path).sample_rate
    if len(recorded) < SHORTEST * rate:
        raise RecipeError(
            f"{path}: {1000 * len(recorded) / rate:.0f} ms long; 100 ms are needed: take it out of"
            " the list"
        )
    resampled = _resample(recorded, rate, sample_rate)
    if level is None:
        measured = _resample(recorded, rate, LEVEL_RATE) if sample_rate != LEVEL_RATE else resampled
        # Seven digits: the last ones depend on the processor, and so would the fingerprint.
        level = float(f"{active_level(measured, LEVEL_RATE, band_pass=True):.6e}")
    if level == 0 or not recorded.any():
        raise RecipeError(f"{path}: silent; take it out of the list")
    return resampled.astype(np.float32), level


def mix_split(
    corpus: Corpus,
    split: str,
    nj: int,
    levels: dict[str, float] | None = None,
    problems: Problems | None = None,
) -> Mixed:
    """Mix every line of a split's list into ``<wav_dir>/<split>/{mix,s1,s2,...}/<id>.wav``.

    Files of an earlier run that the list does not name are removed, files of the user are left.

    Args:
        corpus: with ``sources``, ``sources.csv`` and ``lists``.
        split: its name.
        nj: processes; 0 is one a core.
        levels: level of each recording, measured before, as
            :func:`separation.corpus.levels.read_levels` gives them; None measures them here.
        problems: takes what is wrong; lines with a problem are not mixed.

    Returns:
        the number of mixtures, and the levels of the recordings, those that were given included.
    """
    problems = problems or Problems()
    lines = check_list(corpus, split, problems)
    where: dict[str, str] = {}
    for line in lines:
        for path in line.paths:
            where.setdefault(path, line.where)
    known = None if levels is None else known_levels(where, levels, problems)
    with exclusive(corpus.data_dir, "mixing"):
        _clear_caches(corpus.data_dir)
        with tempfile.TemporaryDirectory(
            dir=corpus.data_dir, prefix=CACHE, ignore_cleanup_errors=True
        ) as cache:
            used = list(where) if known is None else [path for path in where if path in known]
            ready = {}
            for path, result in _prepare(corpus, split, used, cache, known or {}, nj):
                if isinstance(result, str):
                    problems.add(f"{where[path]}: {result}")
                else:
                    ready[path] = result
            lines = [line for line in lines if _can_be_mixed(line, ready, corpus.mode, problems)]
            wanted = {
                f"{name}/{line.mixture_id}.wav"
                for line in lines
                for name in corpus.channels_of(len(line.paths))
            }
            folder = corpus.split_dir(split)
            made, stale = begin_split(corpus.data_dir, folder, wanted)
            for name in corpus.channels:
                (folder / name).mkdir(exist_ok=True)
            tasks = [
                Task(line.mixture_id, [ready[path] for path in line.paths], line.gains)
                for line in lines
            ]
            _mix_tasks(tasks, corpus, folder, nj)
            made.remove(stale)  # again: processes of a killed run may have written since
            made.note_others(".")
    return Mixed(len(lines), {path: recording.level for path, recording in ready.items()})


def check_list(corpus: Corpus, split: str, problems: Problems) -> list[ListLine]:
    """Read a split's list; its recordings have to be there.

    Returns:
        the lines that are good.
    """
    lines = read_split(corpus.data_dir, corpus.numbers, split, problems)
    listed = {path for line in lines for path in line.paths}
    missing = {path for path in listed if not (corpus.sources_dir / path).is_file()}
    for line in lines if missing else []:
        for path in missing.intersection(line.paths):
            problems.add(
                f"{line.where}: {path} is not below {corpus.sources_dir}, {len(missing)} of"
                f" {len(listed)} recordings are not; stage 0 makes them"
            )
    return [line for line in lines if missing.isdisjoint(line.paths)]


def _clear_caches(data_dir: Path) -> None:
    """Remove the caches of runs that were killed."""
    for cache in data_dir.glob(f"{CACHE}*"):
        if cache.is_symlink() or not cache.is_dir():
            continue
        for file in cache.glob("*.f32"):
            file.unlink()
        with contextlib.suppress(OSError):  # it holds something else, too
            cache.rmdir()


def _prepare(
    corpus: Corpus, split: str, paths: list[str], cache: str, levels: dict[str, float], nj: int
) -> Iterator[tuple[str, Ready | str]]:
    """Put recordings into the cache; yields what is there of each, or what is wrong with it."""
    files = [f"{cache}/{number}.f32" for number in range(len(paths))]
    jobs = (
        delayed(_prepare_one)(corpus.sources_dir / path, file, corpus.sample_rate, levels.get(path))
        for path, file in zip(paths, files, strict=True)
    )
    results = parallel(nj, return_as="generator", batch_size=BATCH)(jobs)
    bar = tqdm(results, total=len(paths), desc=f"read {split}", unit="recording")
    yield from zip(paths, bar, strict=True)


def _prepare_one(path: Path, file: str, sample_rate: int, level: float | None) -> Ready | str:
    """Write the samples of a recording into the cache; returns what is there, or what is wrong."""
    try:
        samples, level = load_source(path, sample_rate, level)
    except RecipeError as error:
        return str(error)
    with writing(file), open(file, "wb") as cache:
        cache.write(np.ascontiguousarray(samples).data)
    return Ready(file, level, len(samples), int(np.argmax(samples != 0)))


def _can_be_mixed(line: ListLine, ready: dict[str, Ready], mode: str, problems: Problems) -> bool:
    """Whether all recordings of a line are good, and sound where they are mixed."""
    if not all(path in ready for path in line.paths):
        return False  # reported already
    sources = [ready[path] for path in line.paths]
    length = min(source.length for source in sources)
    late = [
        path for path, source in zip(line.paths, sources, strict=True) if source.onset >= length
    ]
    if mode == "min" and late:
        problems.add(
            f"{line.where}: {late[0]} is silent in the {length} samples that are left of it; trim"
            " the silence at its start, take the line out, or give --mode max"
        )
        return False
    return True


def _mix_tasks(tasks: list[Task], corpus: Corpus, folder: Path, nj: int) -> None:
    """Mix all, a batch a call: handing over one alone costs as much as mixing it."""
    batches = [tasks[start : start + BATCH] for start in range(0, len(tasks), BATCH)]
    jobs = (delayed(_mix_batch)(batch, str(folder), corpus) for batch in batches)
    results = parallel(nj, return_as="generator_unordered", batch_size=1)(jobs)
    with tqdm(total=len(tasks), desc=f"mix {folder.name}", unit="mixture") as bar:
        for count in results:
            bar.update(count)


def _mix_batch(batch: list[Task], folder: str, corpus: Corpus) -> int:
    """Mix a batch; returns how many that are."""
    for task in batch:
        signals = [np.fromfile(source.file, np.float32) for source in task.sources]
        levels = [source.level for source in task.sources]
        mixture, sources = mix_sources(signals, levels, task.gains, corpus.mode)
        channels = corpus.channels_of(len(sources))
        for name, samples in zip(channels, [mixture, *sources], strict=True):
            write_wav16(f"{folder}/{name}", f"{task.mixture_id}.wav", samples, corpus.sample_rate)
    return len(batch)


def _resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly  # a second, needed by the processes that mix only

    return resample_poly(samples, wanted, rate)
