"""Where a system is good and where not: scores of a split by what the mixtures are like.

Entry points: :func:`by_quantity` for groups of mixtures, :func:`worst` for those to listen to.
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
