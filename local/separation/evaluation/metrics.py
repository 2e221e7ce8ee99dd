"""Metrics of one separated mixture, at the input and the output: the table :data:`METRICS`.

The entry points are :func:`evaluate_mixture` and, where scores of the mixture itself may have been
kept, :func:`score_mixture`. The permutation is solved once, by SI-SDR; every metric uses it. A
metric that cannot be computed is NaN with its reason beside it, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from separation.errors import MetricError, RecipeError, nearest
from separation.evaluation import inputs, pb_bss
from separation.evaluation.perceptual import dnsmos_scores, estoi_score, pesq_score, stoi_score
from separation.evaluation.permutation import solve_permutation
from separation.evaluation.ratios import mse, sdr, si_sdr, sir_and_sar, snr
from separation.evaluation.talk import describe


@dataclass(frozen=True)
class MixtureScores:
    """Scores of one mixture.

    Attributes:
        values: ``input_<metric>``, ``<metric>`` and ``<metric>i`` (output minus input), each the
            mean over the sources, NaN where a source has no value; see :func:`score_columns`.
        failure: what could not be computed and why, empty when all could.
        permutation: for each reference the index of its estimate.
        level_difference, overlap, swaps, leakage: see :func:`separation.evaluation.talk.describe`.
        input_key: of the scores of the mixture itself, :func:`separation.evaluation.inputs.key_of`;
            empty where these were not looked for.
    """

    values: dict[str, float]
    failure: str
    permutation: tuple[int, ...]
    level_difference: float = float("nan")
    overlap: float = float("nan")
    swaps: float = float("nan")
    leakage: float = float("nan")
    input_key: str = ""

    @property
    def of_input(self) -> dict[str, float]:
        """Scores of the mixture itself by metric, without those that could not be computed."""
        columns = {name: f"input_{name}" for name in METRICS}
        found = {name: self.values.get(column, np.nan) for name, column in columns.items()}
        return {name: value for name, value in found.items() if np.isfinite(value)}


@dataclass(frozen=True)
class Scoring:
    """How mixtures are scored.

    Attributes:
        metrics: names of :data:`METRICS`.
        backend: a name of :data:`BACKENDS` that has these.
        inputs: file with scores of the mixtures themselves, see
            :mod:`separation.evaluation.inputs`; None: they are computed.
    """

    metrics: tuple[str, ...]
    backend: str = "own"
    inputs: Path | None = None


@dataclass(frozen=True)
class Signals:
    """References, and signals that are held against them in the same order.

    Attributes:
        references: float64 of shape ``(source, time)``.
        estimates: float64 of the same shape; for scores of the input each one is the mixture.
        sample_rate: in Hz.
    """

    references: np.ndarray
    estimates: np.ndarray
    sample_rate: int

    @cached_property
    def sir_and_sar(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each source, both of shape ``(source,)``; solved once for both metrics."""
        return sir_and_sar(self.references, self.estimates)

    @cached_property
    def output_metrics(self) -> Any:
        """The metrics of pb_bss_eval."""
        return pb_bss.output_metrics(self.references, self.estimates, self.sample_rate)


Score = Callable[[Signals, int], float]  # of the source with this index


def of_pair(score: Callable[[np.ndarray, np.ndarray, int], float]) -> Score:
    """A metric of one reference and its estimate, both of shape ``(time,)``, and their rate."""
    return lambda s, i: score(s.references[i], s.estimates[i], s.sample_rate)


@dataclass(frozen=True)
class Metric:
    """A metric, and where it is shown.

    Attributes:
        score: of one source; a function of one pair of signals is wrapped in :func:`of_pair`.
        heading: of its column in the tables of results.
        columns: of the result files: ``<name>``, the output's score, ``<name>i``, its improvement
            over the mixture's, or both; the last one is shown in tables.
        form: how it is written there.
        digits: after the point in files.
        lower_is_better: as of an error.
        of_input: the mixture has a score, too, and the output an improvement over it.
    """

    score: Score
    heading: str
    columns: tuple[str, ...]
    form: str = ".2f"
    digits: int = 4
    lower_is_better: bool = False
    of_input: bool = True


METRICS: dict[str, Metric] = {
    "si_sdr": Metric(of_pair(lambda r, e, _: si_sdr(r, e)), "SI-SDRi", ("si_sdr", "si_sdri")),
    "sdr": Metric(of_pair(lambda r, e, _: sdr(r, e)), "SDRi", ("sdr", "sdri")),
    "snr": Metric(of_pair(lambda r, e, _: snr(r, e)), "SNR", ("snr",)),
    "stoi": Metric(of_pair(stoi_score), "STOI", ("stoi",), form=".3f"),
    "pesq": Metric(of_pair(pesq_score), "PESQ", ("pesq",)),
    "mse": Metric(of_pair(lambda r, e, _: mse(r, e)), "MSE", ("mse",), ".2e", 9, True),
    "estoi": Metric(of_pair(estoi_score), "ESTOI", ("estoi",), form=".3f"),
    "sir": Metric(lambda s, i: float(s.sir_and_sar[0][i]), "SIRi", ("sir", "siri")),
    # A mixture is the sum of its sources and so without artifacts: its SAR is infinite.
    "sar": Metric(lambda s, i: float(s.sir_and_sar[1][i]), "SAR", ("sar",), of_input=False),
    "dnsmos": Metric(of_pair(lambda _, e, rate: dnsmos_scores(e, rate)[2]), "DNSMOS", ("dnsmos",)),
}


# The metrics that each backend has, evaluation.metrics_backend.
BACKENDS: dict[str, tuple[str, ...]] = {
    "own": tuple(METRICS),
    "pb_bss_eval": ("si_sdr", "sdr", "sir", "sar", "stoi", "pesq"),
}


def score_columns(metric: str) -> list[str]:
    """Columns of a metric in the scores of mixtures: input, output, improvement."""
    return [f"input_{metric}", metric, f"{metric}i"] if METRICS[metric].of_input else [metric]


def check_metrics(names: Sequence[str], backend: str) -> None:
    """See that a backend has all metrics that are asked for.

    Args:
        names: ``evaluation.metrics``.
        backend: ``evaluation.metrics_backend``, a name of :data:`BACKENDS`.

    Raises:
        RecipeError: one that is not among :data:`METRICS`, or that the backend lacks.
    """
    has = BACKENDS[backend]
    for name in map(str, names):
        if name not in METRICS:
            raise RecipeError(
                f"evaluation.metrics: unknown '{name}'{nearest(name, METRICS)}; known:"
                f" {', '.join(has)}"
            )
        if name not in has:
            both = [str(other) for other in names if other in has] or has
            raise RecipeError(
                f"evaluation.metrics: {backend} has no '{name}'; give --metrics {','.join(both)},"
                " or evaluation.metrics_backend=own"
            )


def metric_of(column: str) -> Metric | None:
    """The metric of a column ``input_<name>``, ``<name>`` or ``<name>i``; None of another one."""
    return next((m for name, m in METRICS.items() if column in score_columns(name)), None)


def evaluate_mixture(
    mixture: np.ndarray,
    references: np.ndarray,
    estimates: np.ndarray,
    sample_rate: int,
    metrics: Sequence[str] = tuple(METRICS),
    backend: str = "own",
) -> MixtureScores:
    """Score the estimates of one mixture, and the mixture itself; see :func:`score_mixture`."""
    scoring = Scoring(tuple(metrics), backend)
    return score_mixture(mixture, references, estimates, sample_rate, scoring)


def score_mixture(
    mixture: np.ndarray,
    references: np.ndarray,
    estimates: np.ndarray,
    sample_rate: int,
    scoring: Scoring,
) -> MixtureScores:
    """Score the estimates of one mixture, and the mixture itself unless its scores were kept.

    Args:
        mixture: shape ``(time,)``.
        references: shape ``(source, time)``.
        estimates: shape ``(source, time)``, in any order.
        sample_rate: in Hz.
        scoring: metrics, and where scores of mixtures are kept.

    Raises:
        ValueError: shapes that do not go together.
    """
    if references.shape != estimates.shape or mixture.shape != references.shape[1:]:
        raise ValueError(
            f"mixture {mixture.shape}, references {references.shape}, estimates {estimates.shape}"
        )
    mixture, references, estimates = (
        signal.astype(np.float64) for signal in (mixture, references, estimates)
    )
    permutation = solve_permutation(references, estimates)
    sides = {
        "input_": Signals(references, np.broadcast_to(mixture, references.shape), sample_rate),
        "": Signals(references, estimates[list(permutation)], sample_rate),
    }
    key, kept = "", {}
    if scoring.inputs:
        key = inputs.key_of(mixture, references, sample_rate, scoring.backend)
        kept = inputs.known(scoring.inputs, key)
    values, failures = _values(sides, scoring, kept)
    described = describe(references, sides[""].estimates, sample_rate)
    return MixtureScores(values, "; ".join(failures), permutation, **described, input_key=key)


def _values(
    sides: dict[str, Signals], scoring: Scoring, kept: dict[str, float]
) -> tuple[dict[str, float], list[str]]:
    """Columns of all metrics, and what could not be computed; ``kept`` are known of the input."""
    values: dict[str, float] = {}
    failures: list[str] = []
    for metric in scoring.metrics:
        score = _score_of(metric, scoring.backend)
        for prefix, signals in sides.items():
            column = prefix + metric
            if prefix and metric in kept:
                values[column] = kept[metric]
            elif column in score_columns(metric):
                values[column] = _mean_score(column, score, signals, failures)
        if METRICS[metric].of_input:
            values[f"{metric}i"] = values[metric] - values[f"input_{metric}"]
    return values, failures


def _score_of(metric: str, backend: str) -> Score:
    if backend == "own":
        return METRICS[metric].score
    return lambda s, i: pb_bss.score(s.output_metrics, metric, i)


def _mean_score(column: str, score: Score, signals: Signals, failures: list[str]) -> float:
    """Mean over the sources, NaN where one has no value; the reason is added to ``failures``."""
    scores = []
    for index in range(len(signals.references)):
        try:
            scores.append(_valid(score, signals, index))
        except MetricError as error:
            failures.append(f"{column} of source {index + 1}: {error}")
    return float(np.mean(scores)) if len(scores) == len(signals.references) else np.nan


def _valid(score: Score, signals: Signals, index: int) -> float:
    estimate = signals.estimates[index]
    if not np.isfinite(estimate).all():
        raise MetricError("NaN or Inf in the estimate")
    if not signals.references[index].any():
        raise MetricError("silent reference")
    with np.errstate(divide="ignore", invalid="ignore"):
        value = score(signals, index)
    if not np.isfinite(value):
        raise MetricError("silent estimate" if not estimate.any() else f"the value is {value}")
    return value
