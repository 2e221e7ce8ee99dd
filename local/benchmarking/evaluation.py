"""Scoring of stage 4 against a loop over ``asteroid.metrics.get_metrics``, on the same mixtures.

Entry point: :func:`compare_evaluation`.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from joblib import delayed

from benchmarking.mixing import MIXTURE_RATE, make_recordings, stage_1
from separation.config import BASE, read_yaml
from separation.evaluation.inputs import keep
from separation.evaluation.metrics import MixtureScores, Scoring, score_mixture
from separation.evaluation.workers import Run, workers
from separation.report.tables import markdown

# Mixture (time,), references and estimates (source, time).
Signals = tuple[np.ndarray, np.ndarray, np.ndarray]
SHARED = ("si_sdr", "sdr", "stoi", "pesq")  # metrics of both ways


def compare_evaluation(n_mixtures: int, nj: int, folder: Path | None) -> str:
    """Score mixtures of synthetic recordings in both ways.

    Asteroid's way is one process and all of its metrics; this project's is ``nj`` processes and the
    metrics of ``evaluation.metrics`` in conf/base.yaml, which are others in part. It scores twice:
    the second time scores of the mixtures themselves are read, as for every further system.

    Args:
        n_mixtures: to score.
        nj: processes of this project.
        folder: where to work; None is the system's place for temporary files.

    Returns:
        a table of mixtures a second, and a line that says how far scores of both ways are apart.
    """
    metrics = read_yaml(BASE)["evaluation"]["metrics"]
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=folder) as name, workers(nj) as run:
        signals = make_signals(Path(name), n_mixtures, nj)
        scoring = Scoring(tuple(metrics), inputs=Path(name) / "kept.inputs")
        # The processes start outside the measurement.
        score_all(run, signals[:nj], replace(scoring, inputs=Path(name) / "other.inputs"))
        taken = {}
        for system in ("first system", "further systems"):
            start = time.perf_counter()
            ours = score_all(run, signals, scoring)
            taken[system] = time.perf_counter() - start
    plain_loop(signals[:1])
    start = time.perf_counter()
    theirs = plain_loop(signals)
    plain = time.perf_counter() - start
    rows = [["asteroid.metrics.get_metrics, all", "1", f"{len(signals) / plain:.2f}", "1"]]
    for system, seconds in taken.items():
        speed, ratio = f"{len(signals) / seconds:.2f}", f"{plain / seconds:.1f}"
        rows.append([f"this project, default metrics, {system}", str(nj), speed, ratio])
    apart = {
        name: max(abs(a.values[name] - b[name]) for a, b in zip(ours, theirs, strict=True))
        for name in SHARED
    }
    return (
        f"{markdown(['evaluation', 'processes', 'mixtures/s', 'ratio'], rows)}\n"
        f"{len(signals)} mixtures; metrics: {', '.join(metrics)}; largest differences:"
        f" {', '.join(f'{name} {value:.1e}' for name, value in apart.items())}"
    )


def make_signals(data_dir: Path, n_mixtures: int, nj: int) -> list[Signals]:
    """Mixtures, and estimates with a tenth of the other source and some noise."""
    lines = make_recordings(data_dir, n_mixtures)
    stage_1(data_dir, "tr", nj, None)
    rng = np.random.default_rng(0)
    signals = []
    for line in lines:
        mixture, *sources = (
            soundfile.read(data_dir / "ours" / "tr" / name / f"{line.mixture_id}.wav")[0]
            for name in ("mix", "s1", "s2")
        )
        references = np.stack(sources)
        noise = 0.03 * references.std() * rng.standard_normal(references.shape)
        signals.append((mixture, references, references + 0.1 * references[::-1] + noise))
    return signals


def score_all(run: Run, signals: list[Signals], scoring: Scoring) -> list[MixtureScores]:
    """Score as stage 4 does."""
    scores = list(run(delayed(score_mixture)(*one, MIXTURE_RATE, scoring) for one in signals))
    keep(scoring.inputs, ((score.input_key, score.of_input) for score in scores))
    return scores


def plain_loop(signals: list[Signals]) -> list[dict[str, float]]:
    """Score one mixture after the other, as Asteroid's recipes do."""
    from asteroid.metrics import get_metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of mir_eval, about itself
        return [get_metrics(*one, sample_rate=MIXTURE_RATE, metrics_list="all") for one in signals]
