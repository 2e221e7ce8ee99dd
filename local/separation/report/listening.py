"""What there is to hear: :func:`find_examples` of each system, :func:`listen` to the same mixtures.

Stage 4 keeps a few mixtures as audio. Of each corpus the best, the median and the worst of those
are shown, and one of each subset of genders; every system that kept the same mixture is beside it.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from matplotlib.ticker import MaxNLocator

from separation.corpus.audio import audio_info, read_audio
from separation.corpus.problems import Problems
from separation.errors import RecipeError
from separation.evaluation.results import subset_of
from separation.files import visible
from separation.report.media import Media
from separation.report.plots import SPECTROGRAM_RANGE, decibels, spectrogram

ENDINGS = (".wav", "_estimate.wav")  # of the files of a source
SILENCE = -120.0  # dB, in place of minus infinity
LIMIT_STEP = 5.0  # dB, that the loudest colour is rounded up to


@dataclass(frozen=True)
class Listening:
    """One mixture of a system to listen to: the folder that stage 4 wrote, and its score.

    Attributes:
        mixture_id: its name.
        folder: with ``mix.wav``, ``s1.wav``, ``s1_estimate.wav`` and so on.
        si_sdri: in dB, NaN where it could not be computed.
        subset: of its genders, empty if not known.
        rank: 1 for the best mixture of the system; 0 without a score.
        ranked: mixtures of the split with a score.
    """

    mixture_id: str
    folder: Path
    si_sdri: float
    subset: str = ""
    rank: int = 0
    ranked: int = 0


@dataclass(frozen=True)
class Track:
    """One sound with its picture; ``source`` is 0 for the mixture, ``level`` is its RMS in dB."""

    system: str
    source: int
    audio: str
    picture: str
    level: float


@dataclass(frozen=True)
class Mixture:
    """A mixture and all that was made of it; ``rows`` are a heading and its tracks."""

    name: str
    why: str
    seconds: float
    time_ticks: list[float]
    kilohertz: float
    frequency_ticks: list[float]
    limits: tuple[float, float]
    rows: list[tuple[str, list[Track]]]


Kept = tuple[str, Listening]  # a system and what it kept
Groups = dict[tuple[str, bytes], list[Kept]]


def find_examples(eval_dir: Path, table: pd.DataFrame, problems: Problems) -> list[Listening]:
    """List the examples that stage 4 kept, in the order of its table; damaged ones not."""
    found = []
    scores = table.get("si_sdri", pd.Series(nan, index=table.index)).astype(float)
    ranks = scores.rank(method="first", ascending=False).fillna(0).astype(int)
    genders = [column for column in table if column.startswith("gender_")]
    for row, score, rank in zip(table.to_dict("records"), scores, ranks, strict=True):
        folder = eval_dir / "examples" / row["mixture_ID"]
        estimates = visible(folder, "s*_estimate.wav")
        if not estimates:
            continue
        references = [folder / f"s{i + 1}{end}" for i in range(len(estimates)) for end in ENDINGS]
        try:
            for path in [folder / "mix.wav", *references]:
                read_audio(path)
        except RecipeError as error:
            problems.add(str(error))
            continue
        subset = subset_of([row[name] for name in genders])
        ranked = int(scores.notna().sum())
        found.append(Listening(row["mixture_ID"], folder, score, subset, rank, ranked))
    return found


def group(kept: Iterable[tuple[str, list[Listening]]]) -> Groups:
    """Bring together what several systems kept of the same mixture.

    Two systems may have been evaluated on different data under one name, so the sound counts, too.
    """
    groups: Groups = {}
    for system, examples in kept:
        for example in examples:
            key = (example.mixture_id, (example.folder / "mix.wav").read_bytes())
            groups.setdefault(key, []).append((system, example))
    return groups


def choose(groups: Groups) -> list[tuple[str, list[Kept]]]:
    """Choose mixtures, each once: best, median, worst, and one of each subset of genders.

    The ranks are those of one system: the one whose mixtures most others kept too, and of these the
    first.

    Returns:
        why it was chosen, and what was kept of it.
    """
    shared: Counter[str] = Counter()
    for members in groups.values():
        shared.update({system: len(members) for system, _ in members})
    if not shared:
        return []
    leader = shared.most_common(1)[0][0]
    of_leader = [(dict(members)[leader], members) for members in groups.values()
                 if leader in dict(members)]  # fmt: skip
    ranked = sorted((one for one in of_leader if one[0].rank), key=lambda one: one[0].rank)
    reasons: list[tuple[str, list[Kept]]] = []
    count = len(ranked)
    for name, place in (("best", 0), ("median", (count - 1) // 2), ("worst", count - 1)):
        if ranked:
            example, members = ranked[place]
            rank = f"{name} of {count} kept (rank {example.rank} of {example.ranked}, {leader})"
            reasons.append((rank, members))
    for subset in sorted({example.subset for example, _ in of_leader} - {""}):
        same = [members for example, members in of_leader if example.subset == subset]
        reasons.append((subset, max(same, key=len)))
    if not reasons:
        reasons = [("", of_leader[0][1])]
    chosen: dict[int, tuple[list[str], list[Kept]]] = {}
    for reason, members in reasons:
        chosen.setdefault(id(members), ([], members))[0].append(reason)
    return [("; ".join(why), members) for why, members in chosen.values()]


def listen(why: str, members: list[Kept], media: Media) -> Mixture:
    """Encode a mixture, its sources and what each system made of it.

    All pictures have the same colours for the same levels.
    """
    first = members[0][1]
    rate = audio_info(first.folder / "mix.wav").sample_rate
    numbers = range(1, len(visible(first.folder, "s*_estimate.wav")) + 1)
    references = [first.folder / f"s{i}.wav" for i in numbers]
    files = [("mixture", "", [first.folder / "mix.wav"]), ("reference", "", references)]
    for system, example in members:
        score = "no SI-SDRi" if isnan(example.si_sdri) else f"SI-SDRi {example.si_sdri:.1f} dB"
        estimates = [example.folder / f"s{i}_estimate.wav" for i in numbers]
        files.append((system, f": {score}", estimates))
    sounds = {path: read_audio(path) for _, _, paths in files for path in paths}
    top = loudest(sounds.values(), rate)
    rows = []
    for system, addition, paths in files:
        tracks = []
        for number, path in enumerate(paths, start=system != "mixture"):
            track = _encode(sounds[path], rate, top, media)
            tracks.append(replace(track, system=system, source=number))
        rows.append((system + addition, tracks))
    seconds = len(sounds[first.folder / "mix.wav"]) / rate
    return Mixture(
        name=first.mixture_id,
        why=why,
        seconds=seconds,
        time_ticks=ticks(seconds, 6),
        kilohertz=rate / 2000,
        frequency_ticks=ticks(rate / 2000, 4),
        limits=(top - SPECTROGRAM_RANGE, top),
        rows=rows,
    )


def loudest(sounds: Iterable[np.ndarray], rate: int) -> float:
    """The level of the brightest colour that sounds ``(time,)`` share, dB of full scale."""
    peak = max(float(decibels(samples, rate).max()) for samples in sounds)
    lowest = SILENCE + SPECTROGRAM_RANGE  # else silence had another colour than the darkest
    return max(lowest, LIMIT_STEP * float(np.ceil(peak / LIMIT_STEP)))


def ticks(end: float, count: int) -> list[float]:
    """Round numbers from 0 to at most ``end``, about ``count`` of them."""
    return [
        float(tick)
        for tick in MaxNLocator(count, steps=[1, 2, 5, 10]).tick_values(0, end)
        if 0 <= tick <= end
    ]


def _encode(samples: np.ndarray, rate: int, top: float, media: Media) -> Track:
    """FLAC is half as large as the 16-bit file and is it, sample for sample; browsers play it."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    level = 10 * np.log10(power) if power > 0 else SILENCE
    picture = media.add(spectrogram(samples, rate, top), ".png")
    return Track("", 0, media.add(file.getvalue(), ".flac"), picture, round(float(level), 2))
