"""Long conversations made of a corpus, and how well estimates keep their speakers apart.

Entry points: :func:`make_conversation`, :func:`talk_at_once` and :func:`measure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from separation.evaluation.metrics import si_sdr
from separation.evaluation.permutation import solve_permutation
from separation.evaluation.talk import leakage, talking

LEVEL = 0.05  # root mean square of a speaker's recordings, full scale 1
LEVEL_RANGE_DB = 2.5  # a speaker is that much louder or quieter at the most
GAPS = (0.1, 1.0)  # seconds between turns that do not overlap
PAUSES = (10.0, 30.0)  # seconds of silence after one turn in PAUSE_TURNS
PAUSE_TURNS = 10
OVERLAPPING = 1 - 1 / PAUSE_TURNS  # turns that may overlap with the one before
WINDOW_SECONDS = 4.0  # in which it is seen who is where
CLEAR = 0.2  # a window tells who is where if the best order is that much better than the next


@dataclass(frozen=True)
class Measures:
    """Of one conversation.

    Attributes:
        si_sdri: SI-SDR improvement over the whole file under one permutation, dB, mean of the
            sources.
        exchanges: how often the speakers change places, from one window that tells to the next.
        leakage: of :func:`separation.evaluation.talk.leakage`, dB.
    """

    si_sdri: float
    exchanges: int
    leakage: float


def make_conversation(
    recordings: Sequence[Sequence[np.ndarray]],
    seconds: float,
    overlap: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Lay recordings of some speakers one after the other, as turns of a conversation.

    As in LibriCSS (Chen et al., ICASSP 2020) nobody has two turns in a row, and each turn begins
    before the last one ends, so that ``overlap`` of the time in which anybody speaks has two
    speakers. After one turn in ten everybody is silent for 10 to 30 s.

    Args:
        recordings: of each speaker, ``(time,)`` each; they are used in turn, over and over.
        seconds: of the conversation.
        overlap: share of the speech, 0 to 0.9; with 0, short gaps are between turns.
        sample_rate: Hz.
        rng: draws who speaks, levels, gaps and pauses.

    Returns:
        float32 references ``(speaker, time)``; their sum is the mixture.
    """
    count = round(seconds * sample_rate)
    sources = np.zeros((len(recordings), count), np.float32)
    gains = 10 ** (rng.uniform(-LEVEL_RANGE_DB, LEVEL_RANGE_DB, len(recordings)) / 20)
    ends = np.zeros(len(recordings), int)  # of each speaker's last turn
    used = rng.integers(0, 1000, len(recordings))
    speaker, turn = int(rng.integers(len(recordings))), 0
    while ends.max() < count:
        own = recordings[speaker]
        samples = own[used[speaker] % len(own)]
        used[speaker] += 1
        samples = samples * (gains[speaker] * LEVEL / np.sqrt(np.square(samples).mean()))
        shared = round(overlap / (1 + overlap) / OVERLAPPING * len(samples))
        start = ends.max() - min(shared, ends.max())
        if not overlap and turn:
            start += round(rng.uniform(*GAPS) * sample_rate)
        if turn and turn % PAUSE_TURNS == 0:
            start = ends.max() + round(rng.uniform(*PAUSES) * sample_rate)
        start = max(start, ends[speaker])
        piece = samples[: max(0, count - start)]
        sources[speaker, start : start + len(piece)] = piece
        ends[speaker] = start + len(samples)
        others = [other for other in range(len(recordings)) if other != speaker]
        speaker, turn = int(rng.choice(others)), turn + 1
    return sources


def talk_at_once(
    recordings: Sequence[Sequence[np.ndarray]],
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Let some speakers talk on, whoever else does, or one alone.

    Each has short gaps between recordings, and a pause of 10 to 30 s after one in ten, at times of
    their own.

    Args:
        recordings: of each speaker, ``(time,)`` each; they are used in turn, over and over.
        seconds: of the conversation.
        sample_rate: Hz.
        rng: draws levels, gaps and pauses.

    Returns:
        float32 references ``(speaker, time)``; their sum is the mixture.
    """
    count = round(seconds * sample_rate)
    sources = np.zeros((len(recordings), count), np.float32)
    for source, own in zip(sources, recordings, strict=True):
        level = LEVEL * 10 ** (rng.uniform(-LEVEL_RANGE_DB, LEVEL_RANGE_DB) / 20)
        number = int(rng.integers(1000))
        at = round(rng.uniform(*GAPS) * sample_rate)
        while at < count:
            samples = own[number % len(own)]
            piece = samples[: count - at] * (level / np.sqrt(np.square(samples).mean()))
            source[at : at + len(piece)] = piece
            number += 1
            gap = PAUSES if number % PAUSE_TURNS == 0 else GAPS
            at += len(piece) + round(rng.uniform(*gap) * sample_rate)
    return sources


def measure(references: np.ndarray, estimates: np.ndarray, sample_rate: int) -> Measures:
    """Measure the estimates of a conversation.

    Args:
        references: ``(speaker, time)``.
        estimates: of the same shape, in any order.
        sample_rate: Hz.
    """
    references, estimates = references.astype(np.float64), estimates.astype(np.float64)
    order = list(solve_permutation(references, estimates))
    ordered, mixture = estimates[order], references.sum(0)
    gains = [si_sdr(r, e) - si_sdr(r, mixture) for r, e in zip(references, ordered, strict=True)]
    return Measures(
        float(np.mean(gains)),
        count_exchanges(references, estimates, round(WINDOW_SECONDS * sample_rate)),
        leakage(ordered, talking(references, sample_rate), sample_rate),
    )


def count_exchanges(references: np.ndarray, estimates: np.ndarray, window: int) -> int:
    """How often the order that fits best changes, from one window that tells to the next.

    In each window, orders are compared by the energy that estimates have in common with the
    references at their places, to the energy of all estimates there. Windows in which the best
    order is no more than 0.2 better than the next one are passed over.

    Args:
        references: ``(source, time)``.
        estimates: ``(source, time)``.
        window: samples.
    """
    orders = list(permutations(range(len(references))))
    last, exchanges = None, 0
    for start in range(0, references.shape[1], window):
        own, other = (signals[:, start : start + window] for signals in (references, estimates))
        energies = np.maximum(np.square(own).sum(1), np.finfo(float).tiny)
        common = np.square(own @ other.T) / energies[:, None]  # (reference, estimate)
        common /= max(np.square(other).sum(), np.finfo(float).tiny)
        fits = [sum(common[place, source] for place, source in enumerate(o)) for o in orders]
        best, second = np.argsort(fits)[::-1][:2]
        if fits[best] - fits[second] > CLEAR:
            exchanges += last is not None and best != last
            last = best
    return exchanges
