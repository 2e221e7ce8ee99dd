"""Metrics of one separated mixture, at the input and the output: the table :data:`METRICS`.

The entry point is :func:`evaluate_mixture`. The permutation is solved once, by SI-SDR; every metric
uses it. A metric that cannot be computed is NaN with its reason beside it, never 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pesq
from pystoi import stoi
from scipy.optimize import linear_sum_assignment

from separation.errors import RecipeError, nearest

# The P.862 reference code has room for 50 utterances; past them it reads memory that is not its own
# and gives wrong scores or crashes. An utterance and the pause after it last 0.4 s at least.
PESQ_SECONDS = 20.0


class MetricError(Exception):
    """A metric that has no value for this pair of signals; the message says why."""


@dataclass(frozen=True)
class MixtureScores:
    """Scores of one mixture.

    Attributes:
        values: ``input_<metric>``, ``<metric>`` and ``<metric>i`` (output minus input), each the
            mean over the sources, NaN where a source has no value.
        failure: what could not be computed and why, empty when all could.
        permutation: for each reference the index of its estimate.
        level_difference: energy of the loudest reference over that of the quietest, in dB; NaN
            with a silent one.
    """

    values: dict[str, float]
    failure: str
    permutation: tuple[int, ...]
    level_difference: float = float("nan")


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio of zero-mean signals, in dB.

    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019; the SI-SNR of the Conv-TasNet
    paper and of Asteroid's ``pairwise_neg_sisdr``. Signals of shape ``(time,)``.
    """
    reference = reference - reference.mean()
    estimate = estimate - estimate.mean()
    target = np.dot(estimate, reference) / np.dot(reference, reference) * reference
    return _decibel(target, estimate - target)


def snr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Plain signal-to-noise ratio in dB; it depends on the scale of the estimate."""
    return _decibel(reference, estimate - reference)


def sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """BSS Eval's SDR in dB, with its 512-tap distortion filter (Vincent et al., 2006).

    Computed by fast_bss_eval (Scheibler, 2021); agrees with mir_eval.

    Raises:
        MetricError: the equations of the filter have no solution.
    """
    import fast_bss_eval  # imports Torch, which readers of results do without

    try:
        with np.errstate(divide="ignore"):
            # Without pairwise=True it fails under numpy 2.
            return -float(
                fast_bss_eval.sdr_loss(estimate[None], reference[None], pairwise=True)[0, 0]
            )
    except np.linalg.LinAlgError as error:
        raise MetricError("the distortion filter has no solution") from error


def stoi_score(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    """Short-time objective intelligibility, 0 to 1 (Taal et al., 2011).

    Raises:
        MetricError: less than 30 frames (0.4 s) of speech.
    """
    with warnings.catch_warnings():
        # pystoi gives 1e-5 for these and warns; that is no score.
        warnings.filterwarnings("error", message="Not enough STFT frames")
        try:
            return float(stoi(reference, estimate, sample_rate))
        except RuntimeWarning as error:
            raise MetricError("too little speech, 30 frames are needed") from error


def pesq_score(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    """PESQ as MOS-LQO: narrow band (P.862.1) at 8 kHz, wide band (P.862.2) at 16 kHz.

    A signal of more than 20 s is scored in equal pieces of at most that, and their mean is taken;
    pieces in which the reference says nothing are left out.

    Raises:
        MetricError: no speech found, too short, another rate.
    """
    modes = {8000: "nb", 16000: "wb"}
    if sample_rate not in modes:
        raise MetricError(f"PESQ is defined for 8000 and 16000 Hz, not {sample_rate}")
    n_pieces = int(np.ceil(len(reference) / (PESQ_SECONDS * sample_rate)))
    scores = []
    for piece, other in zip(
        np.array_split(reference, n_pieces), np.array_split(estimate, n_pieces), strict=True
    ):
        try:
            if piece.any():
                scores.append(pesq.pesq(sample_rate, piece, other, modes[sample_rate]))
        except pesq.NoUtterancesError:
            continue
        except pesq.BufferTooShortError as error:
            raise MetricError("shorter than a quarter of a second") from error
        except (pesq.PesqError, ValueError) as error:
            # The wrapper dies on the NaN that its C code gives for a silent estimate.
            raise MetricError("PESQ has no value for this estimate") from error
    if not scores:
        raise MetricError("no utterance found")
    return float(np.mean(scores))


def mse(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Mean squared error, with full scale 1; it depends on the levels of both."""
    return float(np.mean((reference - estimate) ** 2))


@dataclass(frozen=True)
class Metric:
    """A metric, and where it is shown.

    Attributes:
        score: takes reference and estimate, float64 of shape ``(time,)``, and their rate in Hz.
        heading: of its column in the tables of results.
        columns: of the result files: ``<name>``, the output's score, ``<name>i``, its improvement
            over the mixture's, or both; the last one is shown in tables.
        form: how it is written there.
        digits: after the point in files.
        lower_is_better: as of an error.
    """

    score: Callable[[np.ndarray, np.ndarray, int], float]
    heading: str
    columns: tuple[str, ...]
    form: str = ".2f"
    digits: int = 4
    lower_is_better: bool = False


METRICS: dict[str, Metric] = {
    "si_sdr": Metric(lambda r, e, _: si_sdr(r, e), "SI-SDRi", ("si_sdr", "si_sdri")),
    "sdr": Metric(lambda r, e, _: sdr(r, e), "SDRi", ("sdr", "sdri")),
    "snr": Metric(lambda r, e, _: snr(r, e), "SNR", ("snr",)),
    "stoi": Metric(stoi_score, "STOI", ("stoi",), form=".3f"),
    "pesq": Metric(pesq_score, "PESQ", ("pesq",)),
    "mse": Metric(lambda r, e, _: mse(r, e), "MSE", ("mse",), ".2e", 9, lower_is_better=True),
}


def check_metrics(names: Sequence[str]) -> None:
    """Raise a :class:`RecipeError` for a name that is not one of :data:`METRICS`."""
    for name in names:
        if str(name) not in METRICS:
            hint = nearest(str(name), METRICS)
            raise RecipeError(
                f"evaluation.metrics: unknown '{name}'{hint}; known: {', '.join(METRICS)}"
            )


def metric_of(column: str) -> Metric | None:
    """The metric of a column ``input_<name>``, ``<name>`` or ``<name>i``; None of another one."""
    for name, metric in METRICS.items():
        if column in (f"input_{name}", name, f"{name}i"):
            return metric
    return None


def solve_permutation(references: np.ndarray, estimates: np.ndarray) -> tuple[int, ...]:
    """Find the estimate of each reference, so that the mean SI-SDR is largest.

    Args:
        references: shape ``(source, time)``.
        estimates: shape ``(source, time)``.

    Returns:
        for each reference the index of its estimate.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix = np.array([[si_sdr(r, e) for e in estimates] for r in references])
    # A silent signal has no SI-SDR (NaN); it takes what the others leave. Perfect ones stay best.
    matrix = np.nan_to_num(matrix, nan=-1e3, posinf=1e3, neginf=-1e3)
    return tuple(int(i) for i in linear_sum_assignment(matrix, maximize=True)[1])


def evaluate_mixture(
    mixture: np.ndarray,
    references: np.ndarray,
    estimates: np.ndarray,
    sample_rate: int,
    metrics: Sequence[str] = tuple(METRICS),
) -> MixtureScores:
    """Score the estimates of one mixture.

    Args:
        mixture: shape ``(time,)``.
        references: shape ``(source, time)``.
        estimates: shape ``(source, time)``, in any order.
        sample_rate: in Hz.
        metrics: names of :data:`METRICS`.

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
    sides = {"input_": [mixture] * len(references), "": [estimates[i] for i in permutation]}
    values: dict[str, float] = {}
    failures: list[str] = []
    for metric in metrics:
        for prefix, signals in sides.items():
            scores = []
            for number, (reference, signal) in enumerate(
                zip(references, signals, strict=True), start=1
            ):
                try:
                    scores.append(_score(metric, reference, signal, sample_rate))
                except MetricError as error:
                    failures.append(f"{prefix}{metric} of source {number}: {error}")
            complete = len(scores) == len(references)
            values[prefix + metric] = float(np.mean(scores)) if complete else np.nan
        values[f"{metric}i"] = values[metric] - values[f"input_{metric}"]
    energies = np.square(references).sum(axis=1)
    difference = float(10 * np.log10(energies.max() / energies.min())) if energies.all() else np.nan
    return MixtureScores(values, "; ".join(failures), permutation, difference)


def _score(metric: str, reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    if not np.isfinite(estimate).all():
        raise MetricError("NaN or Inf in the estimate")
    if not reference.any():
        raise MetricError("silent reference")
    with np.errstate(divide="ignore", invalid="ignore"):
        value = METRICS[metric].score(reference, estimate, sample_rate)
    if not np.isfinite(value):
        raise MetricError("silent estimate" if not estimate.any() else f"the value is {value}")
    return value


def _decibel(signal: np.ndarray, noise: np.ndarray) -> float:
    return float(10.0 * np.log10(np.dot(signal, signal) / np.dot(noise, noise)))
