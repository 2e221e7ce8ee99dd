"""One number of speakers for a recording in segments: :func:`count_stretches`, :func:`number_of`.

The stop rule was chosen on mixtures of some seconds. In a segment of 24 s somebody who speaks now
and then is less of the whole than in any of these, so the rule is asked about stretches of 4 s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from separation.inference.recursion import StopRule, level_db

STRETCH_SECONDS = 4.0
PAUSE_DB = -20.0  # of a stretch, to the loudest: nobody speaks in it
AGREEING = 2  # segments that must have such a number; one, if only one has speech
SHARE = 0.05  # of the stretches in which somebody speaks


def count_stretches(
    passes: np.ndarray, sample_rate: int, rule: StopRule
) -> tuple[np.ndarray, np.ndarray]:
    """Number of speakers in each stretch of a segment, by the rests that its passes leave there.

    Args:
        passes: of :meth:`.recursion.RecursiveSeparator.separate_passes`, ``(1 + 2 passes, time)``.
        sample_rate: in Hz.
        rule: when a rest is nothing; a pass that was not made left nothing.

    Returns:
        numbers and mean squares, ``(stretch,)`` each; the last stretch may be up to twice as long.
    """
    count = max(1, int(passes.shape[1] / (STRETCH_SECONDS * sample_rate)))
    edges = [round(k * STRETCH_SECONDS * sample_rate) for k in range(1, count)]
    counts, energies = [], []
    for mixture, *rests in zip(*(np.split(signal, edges) for signal in passes[::2]), strict=True):
        counts.append(rule.count([*(level_db(rest, mixture) for rest in rests), -np.inf]))
        energies.append(float(np.square(mixture).mean()))
    return np.array(counts), np.array(energies)


def number_of(counts: Sequence[np.ndarray], energies: Sequence[np.ndarray]) -> int:
    """The number of speakers of a recording: the largest that enough stretches have or exceed.

    Enough is one in twenty of those in which somebody speaks. They must be of two segments at
    least, so that one odd segment does not add a speaker, unless only one has speech at all.

    Args:
        counts: speakers in the stretches of each segment, ``(stretch,)`` each, 1 or more.
        energies: mean squares of these stretches, ``(stretch,)`` each.
    """
    floor = max(energy.max() for energy in energies) * 10 ** (PAUSE_DB / 10)
    pairs = zip(counts, energies, strict=True)
    heard = [own for count, energy in pairs if (own := count[energy >= floor]).size]
    stretches = np.concatenate(heard)
    for number in range(int(stretches.max()), 1, -1):
        agreeing = sum((own >= number).any() for own in heard)
        if agreeing >= min(AGREEING, len(heard)) and (stretches >= number).mean() >= SHARE:
            return number
    return 1
