"""Mixing as WSJ0-2mix does it (Hershey et al. 2016, create_wav_2speakers.m).

Entry points: :func:`mix_split` for a whole list, :func:`mix_sources` for the arithmetic.
"""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from separation.corpus.audio import load_resampled, write_int16
from separation.corpus.levels import active_level
from separation.corpus.lists import ListLine, list_path, read_list
from separation.errors import RecipeError

PEAK = 0.9


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
        row[:used] = signal[:used] / np.sqrt(level) * 10 ** (gain / 20)
    mixture = sources.sum(axis=0)
    scale = PEAK / max(np.abs(mixture).max(), np.abs(sources).max())
    return mixture * scale, sources * scale


def mix_split(
    data_dir: Path, wav_dir: Path, split: str, sample_rate: int, mode: str, n_src: int, nj: int
) -> int:
    """Mix every line of a split's list into ``wav_dir/<split>/{mix,s1,s2,...}/<id>.wav``.

    Files of an earlier run that the list does not name are removed.

    Returns:
        the number of mixtures.
    """
    list_file = list_path(data_dir, n_src, split)
    lines = read_list(list_file, n_src)
    sources_dir = data_dir / "sources"
    missing = sorted({p for line in lines for p in line.paths if not (sources_dir / p).is_file()})
    if missing:
        raise RecipeError(
            f"{list_file}: {len(missing)} recordings are not below {sources_dir},"
            f" the first is {missing[0]}; stage 0 makes them"
        )
    folder = wav_dir / split
    wanted = {f"{line.mixture_id}.wav" for line in lines}
    if folder.is_dir():
        for old in folder.glob("*/*"):
            if old.name not in wanted or old.parent.name not in channel_names(n_src):
                old.unlink()
    jobs = (delayed(_mix_line)(line, sources_dir, folder, sample_rate, mode) for line in lines)
    results = Parallel(n_jobs=nj, return_as="generator_unordered", batch_size=8)(jobs)
    for _ in tqdm(results, total=len(lines), desc=f"mix {split}", unit="mixture"):
        pass
    for leftover in folder.glob("*/.partial-*"):
        leftover.unlink()
    return len(lines)


def channel_names(n_src: int) -> list[str]:
    """Folder names of a mixture and its sources: mix, s1, s2, ..."""
    return ["mix", *(f"s{i + 1}" for i in range(n_src))]


def remove_unused(wav_dir: Path, n_src: int) -> None:
    """Remove folders of sources that a corpus of ``n_src`` speakers does not have."""
    for folder in wav_dir.glob("*/*/"):
        if folder.name not in channel_names(n_src):
            shutil.rmtree(folder)


def _mix_line(line: ListLine, sources_dir: Path, folder: Path, sample_rate: int, mode: str) -> None:
    loaded = [_load(sources_dir / path, sample_rate) for path in line.paths]
    signals = [signal for signal, _ in loaded]
    for path, (_, level) in zip(line.paths, loaded, strict=True):
        if level == 0:
            raise RecipeError(f"{sources_dir / path}: silent; take it out of the list")
    mixture, sources = mix_sources(signals, [level for _, level in loaded], line.gains, mode)
    names = channel_names(len(signals))
    for name, samples in zip(names, [mixture, *sources], strict=True):
        write_int16(folder / name / f"{line.mixture_id}.wav", samples, sample_rate)


@lru_cache(maxsize=512)
def _load(path: Path, sample_rate: int) -> tuple[np.ndarray, float]:
    """Read, resample and level a recording once, not once a mixture."""
    signal = load_resampled(path, sample_rate)
    return signal, active_level(signal, sample_rate)
