"""Evaluation of a trained system, or of an oracle, on whole utterances of a split.

The entry point is :func:`evaluate_split`. The network runs in this process, where it may use a GPU;
the metrics, several times slower than a small network, run in others.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from separation.config import Conf
from separation.corpus.audio import read_audio, write_int16
from separation.corpus.manifest import read_manifest
from separation.errors import RecipeError
from separation.evaluation.inputs import keep
from separation.evaluation.metrics import (
    METRICS,
    MixtureScores,
    Scoring,
    score_columns,
    score_mixture,
)
from separation.evaluation.oracles import Oracle
from separation.evaluation.part import PART, Part, evaluation_key
from separation.evaluation.permutation import solve_permutation
from separation.evaluation.results import subset_of
from separation.evaluation.workers import Run
from separation.files import atomic_path
from separation.inference.recording import fit_to_full_scale
from separation.inference.separator import Separator

# Audio that the speed of a system is measured on.
SPEED_SECONDS = 20.0
DESCRIPTION = {"level_difference": 2, "overlap": 3, "swaps": 0, "leakage": 2}  # digits
KEPT = ("mixture_ID", "length", "group", "data_fingerprint")  # columns of a manifest


def read_split(manifest: Path, n_src: int, most: int, fewest: int | None = None) -> pd.DataFrame:
    """Read a manifest; keep at most ``most`` mixtures, spread evenly over it (0: all).

    Mixtures have ``n_src`` sources, or from ``fewest`` to ``n_src``.
    """
    table = read_manifest(manifest, n_src, fewest)
    if most and len(table) > most:
        table = table.iloc[np.linspace(0, len(table) - 1, most).round().astype(int)]
    return table.reset_index(drop=True)


def real_time_factor(separator: Separator, table: pd.DataFrame) -> float:
    """Seconds of work per second of audio, one mixture after the other, while nothing else runs."""
    mixtures = []
    for path in table["mixture_path"]:
        mixtures.append(read_audio(path, separator.sample_rate))
        if sum(map(len, mixtures)) >= SPEED_SECONDS * separator.sample_rate:
            break
    separator.separate(mixtures[0], separator.sample_rate)  # the first run is slower
    start = time.perf_counter()
    for mixture in mixtures:
        separator.separate(mixture, separator.sample_rate)
    seconds = time.perf_counter() - start
    return seconds * separator.sample_rate / sum(map(len, mixtures))


def evaluate_split(
    system: Separator | Oracle,
    table: pd.DataFrame,
    folder: Path,
    settings: Conf,
    run: Run,
    inputs: Path | None = None,
) -> pd.DataFrame:
    """Score every mixture of a split and write ``<folder>/scores.csv`` and audio examples.

    Scores are kept in a part file as they come: a run that was killed resumes after them.

    Args:
        system: what separates the mixtures.
        table: of :func:`read_split`; its columns on mixtures, speakers and data are kept.
        folder: where the results of this split go.
        settings: the block ``evaluation`` of the configuration.
        run: runs the metrics, of :func:`separation.evaluation.workers.workers`.
        inputs: keeps the scores of the mixtures themselves, see :class:`.metrics.Scoring`.

    Returns:
        a row a mixture: ``mixture_ID, length, speaker_1_ID, ..., gender_1, ...``, then
        the columns of each metric (:func:`separation.evaluation.metrics.score_columns`),
        those of :func:`separation.evaluation.talk.describe`, ``failure``.
    """
    metrics = list(settings["metrics"])
    scoring = Scoring(tuple(metrics), settings["metrics_backend"], inputs)
    key = evaluation_key(system, table, settings)
    part = Part(folder / PART, key)
    done = len(part.scores)
    if done:
        print(f"{folder.name}: {done} of {len(table)} mixtures were scored before")
    else:
        shutil.rmtree(folder / "examples", ignore_errors=True)  # of an earlier run
    jobs = (
        delayed(score_mixture)(*signals, system.sample_rate, scoring)
        for signals in _separated(system, table, folder, settings, done)
    )
    labels: dict[str, Any] = {"desc": folder.name, "unit": "mixture"}
    with tqdm(run(jobs), initial=done, total=len(table), **labels) as progress:
        for score in progress:
            part.add(score)
            progress.set_postfix_str(_running_mean(part.scores, metrics[0]))
    keep(inputs, part.input_scores)
    result = scores_table(table, part.scores, metrics)
    with atomic_path(folder / "scores.csv") as temporary:
        result.to_csv(temporary, index=False)
    part.path.unlink()
    return result


def scores_table(
    table: pd.DataFrame, scores: list[MixtureScores], metrics: list[str]
) -> pd.DataFrame:
    """A row a mixture: what the manifest says of it, then its scores, rounded."""
    known = [c for c in table if c in KEPT or c.startswith(("speaker_", "gender_"))]
    digits = {name: METRICS[m].digits for m in metrics for name in score_columns(m)}
    values = pd.DataFrame([score.values for score in scores])[list(digits)]
    result = table[known].join(values.round(digits))
    for name, places in DESCRIPTION.items():
        result[name] = pd.Series([getattr(s, name) for s in scores], dtype=float).round(places)
    result["swaps"] = result["swaps"].astype("Int64")  # empty where there is none
    result["failure"] = [score.failure for score in scores]
    return result


def _separated(
    system: Separator | Oracle, table: pd.DataFrame, folder: Path, settings: Conf, first: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield mixture, references and estimates of the rows from ``first`` on.

    Some are kept as audio (:func:`example_rows`).
    """
    rate = system.sample_rate
    kept = example_rows(table, settings["n_examples"])
    for row in range(first, len(table)):
        mixture_id = table["mixture_ID"][row]
        mixture = read_audio(table["mixture_path"][row], rate)
        sources = [
            read_audio(table[f"source_{i + 1}_path"][row], rate) for i in range(system.n_src)
        ]
        if any(len(source) != len(mixture) for source in sources):
            raise RecipeError(f"mixture {mixture_id}: its sources differ from it in length")
        references = np.stack(sources)
        if isinstance(system, Oracle):
            estimates = system.separate(mixture, references)
        else:
            estimates = system.separate(mixture, rate)
        if row in kept and np.isfinite(estimates).all():
            write_example(folder / "examples" / mixture_id, mixture, references, estimates, rate)
        yield mixture, references, estimates


def example_rows(table: pd.DataFrame, count: int) -> set[int]:
    """Rows of the mixtures that are kept as audio; of all systems evaluated on a split the same.

    Args:
        table: of :func:`read_split`.
        count: rows spread evenly over the table; 0 keeps none. Of each subset of genders that is
            not among them, its first row comes on top.
    """
    if count == 0 or table.empty:
        return set()
    rows = set(np.linspace(0, len(table) - 1, min(count, len(table))).round().astype(int).tolist())
    genders = [column for column in table if column.startswith("gender_")]
    subsets = [subset_of(list(row)) for row in table[genders].astype(str).to_numpy()]
    missing = set(subsets) - {subsets[row] for row in rows} - {""}
    return rows | {subsets.index(subset) for subset in missing}


def write_example(
    folder: Path, mixture: np.ndarray, references: np.ndarray, estimates: np.ndarray, rate: int
) -> None:
    """Write ``mix.wav``, and for each source ``s1.wav`` (reference) and ``s1_estimate.wav``."""
    permutation = solve_permutation(references, estimates)
    estimates, _ = fit_to_full_scale(estimates[list(permutation)], "PCM_16")
    write_int16(folder / "mix.wav", mixture, rate)
    for number, (reference, estimate) in enumerate(
        zip(references, estimates, strict=True), start=1
    ):
        write_int16(folder / f"s{number}.wav", reference, rate)
        write_int16(folder / f"s{number}_estimate.wav", estimate, rate)


def _running_mean(scores: list[MixtureScores], metric: str) -> str:
    column = score_columns(metric)[-1]
    values = np.array([score.values[column] for score in scores])
    finite = values[np.isfinite(values)]
    return f"{column} {finite.mean():.2f}" if len(finite) else ""
