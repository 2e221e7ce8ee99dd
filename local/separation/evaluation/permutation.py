"""Which estimate belongs to which reference: :func:`solve_permutation`."""

from __future__ import annotations

import numpy as np

from separation.evaluation.ratios import si_sdr


def solve_permutation(references: np.ndarray, estimates: np.ndarray) -> tuple[int, ...]:
    """Find the estimate of each reference, so that the mean SI-SDR is largest.

    Args:
        references: shape ``(source, time)``.
        estimates: shape ``(source, time)``.

    Returns:
        for each reference the index of its estimate.
    """
    from scipy.optimize import linear_sum_assignment  # a second, needed by few who import this

    matrix = si_sdr_matrix(references, estimates)
    return tuple(int(i) for i in linear_sum_assignment(matrix, maximize=True)[1])


def si_sdr_matrix(references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """SI-SDR in dB of every pair, shape ``(reference, estimate)``, from -1000 to 1000.

    A silent signal, which has none, has -1000: it takes what the others leave.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix = np.array([[si_sdr(r, e) for e in estimates] for r in references])
    return np.nan_to_num(matrix, nan=-1e3, posinf=1e3, neginf=-1e3)
