"""Stage 1 against a loop of soundfile and scipy.resample_poly, as ports of WSJ0-2mix have it.

Entry point: :func:`compare_mixing`.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import lfilter, resample_poly

from separation.corpus.drawing import make_lists
from separation.corpus.layout import Corpus
from separation.corpus.levels import active_level
from separation.corpus.lists import ListLine, Utterance, read_split, write_lists
from separation.corpus.mixing import mix_split
from separation.ranges import SPLITS
from separation.report.tables import markdown

RECORDED_RATE = 16000
MIXTURE_RATE = 8000
USES = 4.56  # of a recording, as in WSJ0-2mix: 20000 mixtures of 8769 recordings
SECONDS = (3.0, 11.0)  # of a recording: as long as WSJ0's, 7 on average
WARM_UP = 8  # mixtures that start the processes


def compare_mixing(n_mixtures: int, nj: int, folder: Path | None) -> str:
    """Mix one list of synthetic 16 kHz recordings to 8 kHz in both ways.

    Args:
        n_mixtures: length of the list.
        nj: processes of stage 1.
        folder: where to work; None is the system's place for temporary files.

    Returns:
        a table, and a line that says how far the files of both ways are apart.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=folder) as name:
        data_dir = Path(name)
        lines = make_recordings(data_dir, n_mixtures)
        listed = sorted({path for line in lines for path in line.paths})
        levels = {path: measure(data_dir / "sources" / path) for path in listed}

        processes = str(nj)
        rows = []
        for kind, given in (("levels from a file", levels), ("levels measured", None)):
            for kept in ("plain", "ours"):  # to write over a file takes longer
                shutil.rmtree(data_dir / kept, ignore_errors=True)
            start = time.perf_counter()
            plain_loop(data_dir, lines, given)
            plain = time.perf_counter() - start
            # The processes start outside the measurement: on a whole corpus that is nothing.
            stage_1(data_dir, "cv", nj, None)
            start = time.perf_counter()
            stage_1(data_dir, "tr", nj, given)
            ours = time.perf_counter() - start
            rows.append([f"plain loop, {kind}", "1", f"{len(lines) / plain:.0f}", "1"])
            ratio = f"{plain / ours:.1f}"
            rows.append([f"stage 1, {kind}", processes, f"{len(lines) / ours:.0f}", ratio])
        return (
            f"{markdown(['mixing', 'processes', 'mixtures/s', 'ratio'], rows)}\n"
            f"{len(lines)} mixtures of {len(listed)} recordings;"
            f" largest difference of a sample: {difference(data_dir, lines)} of 32768"
        )


def stage_1(data_dir: Path, split: str, nj: int, levels: dict[str, float] | None) -> None:
    """Mix a split as ``local/mix.py`` does."""
    mix_split(corpus_of(data_dir), split, nj, levels)


def corpus_of(data_dir: Path) -> Corpus:
    """The corpus that is made here, with its mixtures."""
    return Corpus(data_dir, data_dir / "ours", sample_rate=MIXTURE_RATE)


def make_recordings(data_dir: Path, n_mixtures: int) -> list[ListLine]:
    """Write recordings like WSJ0's in number, length and format, and lists of them.

    Returns:
        the list of the training split.
    """
    rng = np.random.default_rng(0)
    utterances = []
    for number in range(max(4, round(2 * n_mixtures / USES))):
        time_axis = np.arange(round(rng.uniform(*SECONDS) * RECORDED_RATE)) / RECORDED_RATE
        shaped = lfilter([1], [1, -1.3, 0.6], rng.standard_normal(len(time_axis)))
        syllables = np.sin(2 * np.pi * rng.uniform(1, 2) * time_axis).clip(0)
        signal = rng.uniform(0.005, 0.05) * shaped * syllables
        path = Path(f"{number % 4}") / f"{number % 4}{number}.wav"
        (data_dir / "sources" / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(data_dir / "sources" / path, signal.clip(-1, 1), RECORDED_RATE)
        for split in SPLITS:
            utterances.append(Utterance(path.as_posix(), f"{number % 4}", "", split))
    write_lists(
        data_dir,
        utterances,
        make_lists(utterances, 2, {"tr": n_mixtures, "cv": WARM_UP, "tt": 0}, seed=0),
    )
    return read_split(data_dir, (2,), "tr")


def measure(path: Path) -> float:
    """The level of a recording at 8 kHz, by the plain way."""
    samples = resample_poly(soundfile.read(path)[0], MIXTURE_RATE, RECORDED_RATE)
    return active_level(samples, MIXTURE_RATE, band_pass=True)


def plain_loop(data_dir: Path, lines: list[ListLine], levels: dict[str, float] | None) -> None:
    """Mix one line after the other, each from its recordings."""
    for folder in ("mix", "s1", "s2"):
        (data_dir / "plain" / folder).mkdir(parents=True, exist_ok=True)
    for line in lines:
        sources = []
        for path, gain in zip(line.paths, line.gains, strict=True):
            recorded, rate = soundfile.read(data_dir / "sources" / path)
            samples = resample_poly(recorded, MIXTURE_RATE, rate)
            level = levels[path] if levels else active_level(samples, MIXTURE_RATE, band_pass=True)
            sources.append(samples / math.sqrt(level) * 10 ** (gain / 20))
        length = min(map(len, sources))
        signals = [sum(s[:length] for s in sources), *(s[:length] for s in sources)]
        scale = 0.9 / max(np.abs(signal).max() for signal in signals)
        for folder, signal in zip(("mix", "s1", "s2"), signals, strict=True):
            soundfile.write(
                data_dir / "plain" / folder / f"{line.mixture_id}.wav",
                np.round(2**15 * scale * signal).astype(np.int16),
                MIXTURE_RATE,
            )


def difference(data_dir: Path, lines: list[ListLine]) -> int:
    """The largest difference of a sample between the files of both ways."""
    worst = 0
    for folder in ("mix", "s1", "s2"):
        for line in lines:
            plain, ours = (
                soundfile.read(place / folder / f"{line.mixture_id}.wav", dtype="int16")[0]
                for place in (data_dir / "plain", data_dir / "ours" / "tr")
            )
            worst = max(worst, int(np.abs(plain.astype(int) - ours).max()))
    return worst
