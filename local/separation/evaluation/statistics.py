"""How sure a mean over mixtures is: :func:`mean_interval`."""

from __future__ import annotations

import numpy as np

RESAMPLES = 9999
BATCH = 500  # resamples at a time, which bounds the memory


def mean_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Bootstrap interval of a mean, by the percentile method (Efron and Tibshirani, 1993).

    It says how far the mean moves with the choice of mixtures, as if they were drawn one by one.
    Mixtures of the same few speakers are more alike than that, so on other speakers the mean may
    move further. The same values give the same interval.

    Args:
        values: shape ``(mixture,)``; NaN is left out.
        level: share of resamples in the interval.

    Returns:
        lower and upper end, both NaN for fewer than two values.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return np.nan, np.nan
    from scipy.stats import bootstrap  # seconds, needed only where there are scores

    interval = bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=BATCH,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)
