"""Two systems on the same mixtures: :func:`read_scores` of each, then :func:`compare`.

Differences of the same mixtures vary far less than the scores, since what is hard for one system is
hard for the other: a difference may be sure though the intervals of the two means overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from separation.errors import RecipeError, nearest
from separation.evaluation.metrics import metric_of
from separation.evaluation.statistics import mean_interval
from separation.tables import SCORES, Column, read_table

SAME_DB = 0.01  # the input SI-SDR of one mixture, computed twice, differs by less
ADVICE = "stage 4 makes it"


@dataclass(frozen=True)
class Scores:
    """The scores of a system on a split.

    Attributes:
        name: of the system and split, for people.
        table: a row a mixture, with ``mixture_ID`` and the metric.
        fingerprint: of the data; empty where the file, of an earlier version, does not say.
    """

    name: str
    table: pd.DataFrame
    fingerprint: str


@dataclass(frozen=True)
class Difference:
    """What a paired comparison finds.

    Attributes:
        n: mixtures that both have a score for.
        mean_first: of the first system over these.
        mean_second: of the second one.
        low: lower end of the 95 % interval of ``mean_second - mean_first``.
        high: its upper end.
        p_value: of the Wilcoxon signed-rank test: how often a difference at least as clear appears
            where there is none.
        better: mixtures on which the second is better.
        worse: mixtures on which it is worse.
        unpaired: mixtures that only one of the two has, as one of that id, length and input, or
            whose metric one of the two could not compute.
    """

    n: int
    mean_first: float
    mean_second: float
    low: float
    high: float
    p_value: float
    better: int
    worse: int
    unpaired: int


def read_scores(path: Path, metric: str) -> Scores:
    """Read the scores of a split for a comparison by one metric.

    Args:
        path: ``scores.csv`` of an experiment.
        metric: a column of it, such as ``si_sdri``.

    Raises:
        RecipeError: damaged, without a row, or without the metric.
    """
    known = read_table(path, SCORES, ADVICE)
    scored = [name for name in known if metric_of(name)]
    if metric not in scored:
        raise RecipeError(
            f"{path}: no metric '{metric}'{nearest(metric, scored)}; it has {', '.join(scored)}"
        )
    if known.empty:
        raise RecipeError(f"{path}: no mixture in it; {ADVICE}")
    table = read_table(path, SCORES | {metric: Column("number", empty=True)}, ADVICE)
    prints = sorted(set(table.get("data_fingerprint", pd.Series(dtype=str))) - {""})
    return Scores(_name(path), table, " and ".join(prints))


def compare(first: Scores, second: Scores, metric: str) -> Difference:
    """Compare two systems mixture by mixture.

    Rows are of the same mixture if id, length and, where known, SI-SDR of the input agree. The
    interval is the bootstrap's, see :func:`separation.evaluation.statistics.mean_interval`; the
    test is Wilcoxon's (1945), which asks for no normal distribution.

    Raises:
        RecipeError: fewer than two mixtures that both have a score for.
    """
    both = first.table.merge(second.table, on="mixture_ID", suffixes=("_first", "_second"))
    same = np.ones(len(both), dtype=bool)
    for column, tolerance in (("length", 0.0), ("input_si_sdr", SAME_DB)):
        if f"{column}_first" in both:
            apart = (both[f"{column}_first"] - both[f"{column}_second"]).abs()
            same &= ~(apart > tolerance).to_numpy()
    pairs = both[same].dropna(subset=[f"{metric}_first", f"{metric}_second"])
    if len(pairs) < 2:
        raise RecipeError(
            f"{first.name} and {second.name}: {metric} of {len(pairs)} mixtures in common, two or"
            " more are needed; evaluate both on the same data (stage 4)"
        )
    from scipy.stats import wilcoxon  # a second, not needed to compare results

    differences = (pairs[f"{metric}_second"] - pairs[f"{metric}_first"]).to_numpy()
    low, high = mean_interval(differences)
    kind = metric_of(metric)
    gains = -differences if kind and kind.lower_is_better else differences
    return Difference(
        n=len(pairs),
        mean_first=float(pairs[f"{metric}_first"].mean()),
        mean_second=float(pairs[f"{metric}_second"].mean()),
        low=low,
        high=high,
        p_value=float(wilcoxon(differences).pvalue) if differences.any() else 1.0,
        better=int((gains > 0).sum()),
        worse=int((gains < 0).sum()),
        unpaired=len(first.table) + len(second.table) - 2 * len(pairs),
    )


def different_data(systems: Iterable[tuple[str, str]]) -> str:
    """Say that systems were evaluated on different data, or on data that is not known.

    Args:
        systems: the name of each and the fingerprint of its data, empty where that is not known.

    Returns:
        one line, empty where all are the same.
    """
    systems = list(dict.fromkeys(systems))
    known = sorted({fingerprint for _, fingerprint in systems} - {""})
    unknown = [name for name, fingerprint in systems if not fingerprint]
    parts = []
    if len(known) > 1:
        for fingerprint in known:
            names = [name for name, other in systems if other == fingerprint]
            parts.append(f"{fingerprint} ({', '.join(names)})")
        parts = [f"different data: {', '.join(parts)}"]
    if unknown and len(systems) > 1:
        parts.append(f"data not known of {', '.join(unknown)}")
    return "; ".join(parts)


def _name(path: Path) -> str:
    """Experiment and split of ``<experiment>/eval_<split>/scores.csv``, else the path."""
    folder = path.resolve().parent
    if folder.name.startswith("eval_"):
        return f"{folder.parent.name} {folder.name.removeprefix('eval_')}"
    return str(path)
