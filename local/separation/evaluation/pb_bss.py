"""Scores through ``pb_bss_eval``, which Asteroid's recipes evaluate with, to compare with others.

It scores with mir_eval, pystoi and pesq what this project scores faster (SDR, SIR, SAR) or in parts
(PESQ of more than 20 s). SDR, SIR and SAR are those of the permutation with the best SIR.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from separation.errors import MetricError, one_line


def output_metrics(references: np.ndarray, estimates: np.ndarray, sample_rate: int) -> Any:
    """Its ``OutputMetrics``, which computes each metric when it is asked for.

    Args:
        references: shape ``(source, time)``.
        estimates: of the same shape, in the same order.
        sample_rate: in Hz.
    """
    from pb_bss_eval.evaluation.wrapper import OutputMetrics  # two seconds

    return OutputMetrics(
        speech_prediction=estimates,
        speech_source=references,
        sample_rate=sample_rate,
        enable_si_sdr=True,
        compute_permutation=False,
    )


def score(metrics: Any, name: str, index: int) -> float:
    """One metric of one source.

    Raises:
        MetricError: it fails, for this source or another one of the mixture.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Not enough STFT frames")  # of pystoi: 1e-5
            warnings.simplefilter("ignore", FutureWarning)  # of mir_eval, about itself
            return float(metrics[name][index])
    except Exception as error:  # of four packages, each with exceptions of its own
        reason = one_line(str(error)) or type(error).__name__
        raise MetricError(f"pb_bss_eval: {reason[:100]}") from error
