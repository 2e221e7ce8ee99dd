"""Where a system is good and where not: scores of a split by what the mixtures are like.

Entry points: :func:`by_quantity` and :func:`by_swaps` for groups of mixtures, :func:`worst` for
those to listen to.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from separation.evaluation.statistics import mean_interval

GROUPS = 4
# Columns of scores that mixtures are grouped by, and what they are.
QUANTITIES = {
    "level_difference": "loudest source over quietest, dB",
    "length": "length, samples",
    "overlap": "share of speech in which several talk",
}


def by_quantity(table: pd.DataFrame, column: str, groups: int = GROUPS) -> list[dict[str, float]]:
    """Mean SI-SDRi of mixtures grouped by a quantity, as many in one group as in another.

    Args:
        table: scores of a split, a row a mixture; rows without either number are left out.
        column: the quantity.
        groups: how many; fewer where many mixtures have the same value.

    Returns:
        a dict a group, smallest values first: ``low`` and ``high`` (smallest and largest value in
        it), ``n_mixtures``, ``si_sdri``, and its 95 % interval ``si_sdri_low``, ``si_sdri_high``.
    """
    known = table.dropna(subset=[column, "si_sdri"])
    if known.empty:
        return []
    values = known[column]
    numbers = pd.qcut(values, groups, labels=False, duplicates="drop").fillna(0)
    rows = []
    for number in sorted(set(numbers)):
        chosen = (numbers == number).to_numpy()
        scores = known.loc[chosen, "si_sdri"].to_numpy()
        low, high = mean_interval(scores)
        rows.append(
            {
                "low": float(values[chosen].min()),
                "high": float(values[chosen].max()),
                "n_mixtures": len(scores),
                "si_sdri": float(np.mean(scores)),
                "si_sdri_low": low,
                "si_sdri_high": high,
            }
        )
    return rows


def worst(table: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """The mixtures with the smallest SI-SDRi, smallest first; those without a value are left out.

    Args:
        table: scores of a split, a row a mixture.
        count: rows at most.
    """
    return table.dropna(subset=["si_sdri"]).nsmallest(count, "si_sdri")


def by_swaps(table: pd.DataFrame) -> list[dict[str, float]]:
    """Mixtures without and with seconds in which speakers are in each other's outputs.

    Returns:
        a dict a group that has mixtures: ``swapped`` (0 or 1), ``n_mixtures``, and the means
        ``si_sdri`` and ``leakage``, NaN where unknown.
    """
    if "swaps" not in table:
        return []
    rows = []
    for swapped in (0, 1):
        chosen = table[table["swaps"].notna() & ((table["swaps"] > 0) == bool(swapped))]
        leakage = chosen["leakage"].mean() if "leakage" in table else np.nan
        if len(chosen):
            means = {"si_sdri": float(chosen["si_sdri"].mean()), "leakage": float(leakage)}
            rows.append({"swapped": swapped, "n_mixtures": len(chosen), **means})
    return rows
