"""Whether a corpus that others have results on is the whole of it, and the right one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from separation.corpus.layout import Corpus
from separation.errors import RecipeError

if TYPE_CHECKING:
    import pandas as pd

OWN_LISTS = 0.1  # share of the mixtures up to which lists are somebody's own, for a trial
TOLERANCE = 1e-4  # of durations: their last sample depends on the sample rate


def check_expected(
    tables: dict[str, pd.DataFrame], corpus: Corpus, expected: dict[str, Any], allow_partial: bool
) -> bool:
    """Compare the manifests with what is known of the corpus.

    That is in its ``conf.yaml``::

        expected:
          mixtures: {tr: 20000, cv: 5000, tt: 3000}
          speakers: {tr: 101, cv: 101, tt: 18}
          seconds:                   # of all mixtures, by number of speakers and mode
            2_min: {tr: 109369.9, cv: 27622.1, tt: 17373.3}

    Every part may be left out. A corpus made of lists that are a tenth as long or less is taken
    for a trial: what differs is a note, and no error.

    Args:
        tables: manifest of each split.
        corpus: how it is mixed.
        expected: what is known; empty for a corpus of which nothing is.
        allow_partial: never an error.

    Returns:
        whether the corpus is known to be whole: not so with ``allow_partial``, since recordings
        that nobody vouches for may have been let in before.

    Raises:
        RecipeError: names all that differs.
    """
    wrong = []
    for split, count in expected.get("mixtures", {}).items():
        if len(tables[split]) != count:
            wrong.append(f"{split} has {len(tables[split])} mixtures, not {count}")
    columns = [f"speaker_{i + 1}_ID" for i in range(corpus.n_src)]
    for split, count in expected.get("speakers", {}).items():
        found = len(set(tables[split][columns].to_numpy().ravel()) - {""})
        if found != count:
            wrong.append(f"{split} has {found} speakers, not {count}")
    kind = f"{corpus.n_src}_{corpus.mode}"
    for split, seconds in expected.get("seconds", {}).get(kind, {}).items():
        found = tables[split]["length"].sum() / corpus.sample_rate
        if abs(found - seconds) > TOLERANCE * seconds:
            wrong.append(f"{split} lasts {found:.1f} s, not {seconds:.1f} s")
    if wrong:
        text = f"this is not the whole corpus, or another: {', '.join(wrong)}"
        trial = "mixtures" in expected and all(
            len(tables[split]) <= OWN_LISTS * count
            for split, count in expected.get("mixtures", {}).items()
        )
        if not (allow_partial or trial):
            raise RecipeError(f"{text}; --allow_partial takes it as it is")
        print(f"note: {text}; its fingerprint says so in every result", file=sys.stderr)
    return not wrong and not allow_partial
