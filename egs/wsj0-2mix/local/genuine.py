"""Whether recordings of WSJ0 are those of its first microphone, told by the levels of some of them.

A tree that was converted once does not say what from. Whoever converts ``.wv1`` and ``.wv2`` files
to the same name has a corpus of the second microphone, results some 4 dB lower, and sees nothing.
``known_levels.csv`` has the lengths of some recordings of the test split, and their active speech
levels from the first microphone (ITU-T P.56, mean square at 8 kHz, out of those that come with
pywsj0-mix, MIT licence).
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

import numpy as np

from separation.corpus.audio import audio_info, load_resampled
from separation.corpus.levels import active_level
from separation.errors import RecipeError

KNOWN_LEVELS = Path(__file__).with_name("known_levels.csv")
SAMPLE_RATE = 8000  # that they were measured at
LEAST = 8  # of them; a small corpus says too little
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
    with open(KNOWN_LEVELS, newline="", encoding="utf-8") as file:
        known = {row["utterance"]: row for row in csv.DictReader(file)}
    offsets = []
    for path in listed:
        row = known.get(PurePosixPath(path).stem.lower())
        if row is None:
            continue
        info = audio_info(sources_dir / path)
        if abs(info.frames / info.sample_rate - float(row["seconds"])) > 0.01 * float(
            row["seconds"]
        ):
            continue
        level = active_level(
            load_resampled(sources_dir / path, SAMPLE_RATE), SAMPLE_RATE, band_pass=True
        )
        offsets.append(abs(10 * np.log10(max(level, 1e-12) / float(row["level"]))))
    if len(offsets) >= LEAST and np.median(offsets) > LIMIT_DB:
        raise RecipeError(
            f"these are not the recordings of WSJ0's first microphone (.wv1): the speech levels of"
            f" {len(offsets)} recordings that are known are off by {np.median(offsets):.1f} dB"
            " (median); were they made from .wv2 files, or scaled?"
            " --allow_partial takes them as they are"
        )
