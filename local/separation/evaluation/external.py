"""Estimates that another program wrote as audio files: their names, and the scores of a mixture.

Entry points: :func:`find_estimates`, then :func:`score_files` for each mixture; :func:`scoring_key`
tells whether scores of a killed run are of the same files.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from string import Formatter

import numpy as np
import pandas as pd

from separation.corpus.audio import audio_info, read_audio
from separation.errors import RecipeError
from separation.evaluation.metrics import MixtureScores, Scoring, score_columns, score_mixture
from separation.provenance import commit_name

PATTERN = "{id}_s{source}.wav"  # as local/separate.py names them
FIELDS = {"id", "source"}


def check_pattern(pattern: str) -> None:
    """Raise a :class:`RecipeError` unless a pattern names the file of a mixture and source."""
    try:
        found = [name for _, name, _, _ in Formatter().parse(pattern) if name is not None]
    except ValueError:
        found = []
    if sorted(found) != sorted(FIELDS):
        raise RecipeError(
            f"--pattern {pattern}: must have {{id}} and {{source}} once each, such as {PATTERN}"
        )


def find_estimates(
    folder: Path, pattern: str, ids: Sequence[str], n_src: int
) -> dict[str, list[Path]]:
    """Name the files of the estimates of each mixture, there or not.

    Args:
        folder: where they are.
        pattern: of their paths below it; ``{id}`` is the mixture's, ``{source}`` counts from 1.
        ids: of the mixtures.
        n_src: sources of a mixture.

    Raises:
        RecipeError: a bad pattern, no estimate of any mixture, or one that no mixture has.
    """
    check_pattern(pattern)
    if not folder.is_dir():
        raise RecipeError(f"{folder}: no such folder; it should hold the estimates")
    numbers = range(1, n_src + 1)
    paths = {i: [folder / pattern.format(id=i, source=n) for n in numbers] for i in ids}
    expected = {path for several in paths.values() for path in several}
    if not any(path.exists() for path in expected):
        example = paths[ids[0]][0]
        raise RecipeError(
            f"{folder}: no estimate of any mixture, such as {example.name}; give --pattern"
        )
    parts = [re.escape(part) for part in re.split(r"\{id\}|\{source\}", pattern)]
    fields = {"{id}": "[^/]+", "{source}": "[0-9]+"}
    order = [fields[field] for field in re.findall(r"\{id\}|\{source\}", pattern)]
    fits = re.compile(f"{parts[0]}{order[0]}{parts[1]}{order[1]}{parts[2]}")
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(place) / name
            if fits.fullmatch(path.relative_to(folder).as_posix()) and path not in expected:
                raise RecipeError(
                    f"{path}: an estimate that no mixture has; remove it, or give its mixture, too"
                )
    return paths


def scoring_key(table: pd.DataFrame, estimates: dict[str, list[Path]], scoring: Scoring) -> str:
    """Hash of all that decides the scores: mixtures, files, metrics, and the commit of this code.

    A file is another one if its size or its time of change is.

    Args:
        table: the manifest.
        estimates: of :func:`find_estimates`.
        scoring: how they are scored.
    """
    paths = [column for column in table if str(column).endswith("_path")]
    files = [*table[paths].to_numpy().ravel(), *chain(*estimates.values())]
    how = repr((scoring.metrics, scoring.backend))
    facts = [table.to_csv(index=False), how, commit_name(), *map(_state, files)]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()


def _state(path: str | Path) -> str:
    """Name, size and time of change of a file; the name alone if it cannot be had."""
    try:
        found = os.stat(path)
    except OSError:
        return str(path)
    return f"{path} {found.st_size} {found.st_mtime_ns}"


def score_files(
    mixture_path: str, source_paths: list[str], estimate_paths: list[Path], scoring: Scoring
) -> MixtureScores:
    """Score the estimates of one mixture; files that do not fit are its failure.

    Raises:
        RecipeError: the mixture or a reference is not as it should be.
    """
    rate = audio_info(mixture_path).sample_rate
    mixture = read_audio(mixture_path, rate)
    references = [read_audio(path, rate) for path in source_paths]
    for path, reference in zip(source_paths, references, strict=True):
        if len(reference) != len(mixture):
            raise RecipeError(f"{path}: {len(reference)} samples, its mixture has {len(mixture)}")
    estimates, failures = read_estimates(estimate_paths, rate, len(mixture))
    if failures:
        columns = [column for metric in scoring.metrics for column in score_columns(metric)]
        values = dict.fromkeys(columns, float("nan"))
        return MixtureScores(values, "; ".join(failures), ())
    return score_mixture(mixture, np.stack(references), np.stack(estimates), rate, scoring)


def read_estimates(
    paths: list[Path], sample_rate: int, length: int
) -> tuple[list[np.ndarray], list[str]]:
    """Read the estimates of a mixture, of shape ``(time,)`` each.

    Returns:
        those that fit its rate (Hz) and length (samples), and what is wrong with the others.
    """
    estimates, failures = [], []
    for path in paths:
        try:
            estimate = read_audio(path, sample_rate)
            if len(estimate) != length:
                than = "longer" if len(estimate) > length else "shorter"
                raise RecipeError(
                    f"{path}: {len(estimate)} samples, {than} than its mixture, {length}"
                )
            estimates.append(estimate)
        except RecipeError as error:
            failures.append(f"estimate {error}")
    return estimates, failures
