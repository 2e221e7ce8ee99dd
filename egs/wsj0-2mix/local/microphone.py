"""Whether recordings of WSJ0 are those of its first microphone, by the levels of some of them.

A tree that was converted once does not say what from. Whoever converts ``.wv1`` and ``.wv2`` files
to the same name has a corpus of the second microphone, results some 4 dB lower, and sees nothing.
``known_levels.csv`` has the lengths of some recordings of the test split, and their active speech
levels from the first microphone (ITU-T P.56, mean square at 8 kHz, out of those that come with
pywsj0-mix, MIT licence).
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path, PurePosixPath

import numpy as np

from separation.corpus.audio import audio_info, load_resampled
from separation.corpus.levels import active_level
from separation.errors import RecipeError
from separation.files import read_text

KNOWN_LEVELS = Path(__file__).with_name("known_levels.csv")
SAMPLE_RATE = 8000  # that they were measured at
MIN_COUNT = 8  # of them; a small corpus says too little
LIMIT_DB = 2.0


def check_levels(listed: list[str], sources_dir: Path) -> None:
    """Compare the levels of recordings with the known ones.

    Recordings of other lengths are not WSJ0's, whatever their names are; nothing is said of them.

    Args:
        listed: paths below ``sources_dir`` of the recordings in use.
        sources_dir: the folder.

    Raises:
        RecipeError: most of them are off by more than 2 dB.
    """
    known = read_known(KNOWN_LEVELS)
    offsets = []
    for path in listed:
        name = PurePosixPath(path).stem.lower()
        if name not in known:
            continue
        seconds, known_level = known[name]
        info = audio_info(sources_dir / path)
        if abs(info.frames / info.sample_rate - seconds) > 0.01 * seconds:
            continue
        level = active_level(
            load_resampled(sources_dir / path, SAMPLE_RATE), SAMPLE_RATE, band_pass=True
        )
        offsets.append(abs(10 * np.log10(max(level, 1e-12) / known_level)))
    if len(offsets) >= MIN_COUNT and np.median(offsets) > LIMIT_DB:
        raise RecipeError(
            f"these are not the recordings of WSJ0's first microphone (.wv1): the speech levels of"
            f" {len(offsets)} recordings that are known are off by {np.median(offsets):.1f} dB"
            " (median); were they made from .wv2 files, or scaled?"
            " --allow_partial takes them as they are"
        )


def read_known(path: Path) -> dict[str, tuple[float, float]]:
    """Read seconds and level of each utterance.

    Raises:
        RecipeError: the table is damaged; it comes with the recipe.
    """
    known = {}
    try:
        for row in csv.DictReader(io.StringIO(read_text(path))):
            seconds, level = float(row["seconds"]), float(row["level"])
            if not (0 < seconds < math.inf and 0 < level < math.inf):
                raise ValueError
            known[row["utterance"]] = seconds, level
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise RecipeError(
            f"{path}: not utterance,seconds,level; take the file as it came with the recipe"
        ) from error
    return known
