"""One number of speakers for a recording whose segments were counted: :func:`number_of`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PAUSE_DB = -30.0  # of a segment, to the loudest: nobody speaks in it
AGREEING = 2  # segments, where there are as many
SHARE = 0.1  # of the segments in which somebody speaks


def number_of(counts: Sequence[int], loudness: Sequence[float]) -> int:
    """The largest number of speakers that enough segments have, or more than it.

    Enough are two and a tenth of the segments in which somebody speaks, so that one odd segment
    neither adds a speaker nor takes one away; of a single such segment it is the number.

    Args:
        counts: speakers of each segment, 1 or more.
        loudness: mean square of each segment.
    """
    loudest = max(loudness)
    heard = [
        count
        for count, energy in zip(counts, loudness, strict=True)
        if energy >= loudest * 10 ** (PAUSE_DB / 10)
    ]
    enough = min(len(heard), max(AGREEING, int(np.ceil(SHARE * len(heard)))))
    return sorted(heard)[-enough]
