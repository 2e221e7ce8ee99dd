"""Result files: one CSV a system, the same columns for every system, a row a split and subset."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from separation.evaluation.metrics import METRICS
from separation.evaluation.statistics import mean_interval
from separation.files import atomic_path, first_there
from separation.tables import RESULTS, TRAINING_LOG, TRAINING_LOGS, read_table

# Ends of the 95 % interval of the mean SI-SDRi; results of earlier versions are without them.
INTERVAL = ("si_sdri_low", "si_sdri_high")
SCORES = {column: metric.digits for metric in METRICS.values() for column in metric.columns}
COLUMNS = [
    *["corpus", "tag", "split", "subset", "n_mixtures", "n_failed"],
    *SCORES,
    *INTERVAL,
    *["parameters", "macs_per_second", "real_time_factor", "latency_ms"],
    *["epochs", "commit", "date", "command", "data_fingerprint"],
]


@dataclass(frozen=True)
class Provenance:
    """What a result row says about the system and the run, besides its scores.

    ``macs_per_second`` counts multiply-accumulates for a second of audio, ``real_time_factor`` is
    seconds of work per second of audio. What is unknown, or of an oracle, is None.
    """

    corpus: str
    tag: str
    commit: str
    date: str
    command: str
    data_fingerprint: str
    parameters: int | None = None
    macs_per_second: int | None = None
    real_time_factor: float | None = None
    latency_ms: float | None = None
    epochs: int | None = None


def subset_of(genders: list[str]) -> str:
    """Name a mixture's subset by its sorted genders, ``FM`` or ``FFM``; empty if one is unknown."""
    known = all(gender in ("F", "M") for gender in genders)
    return "".join(sorted(genders)) if genders and known else ""


def summarise(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Average a table of per-mixture metrics over all mixtures, each gender subset and each group.

    Args:
        table: columns ``failure``, ``gender_1`` ... and ``group`` where known, and scores; a score
            that is NaN is left out of its mean.

    Returns:
        a dict for each subset: ``subset``, ``n_mixtures``, ``n_failed``, the mean scores, and the
        :data:`INTERVAL` of the mean SI-SDRi.
    """
    genders = [column for column in table if column.startswith("gender_")]
    names = pd.Series([subset_of(list(row)) for row in table[genders].astype(str).to_numpy()])
    groups = table["group"] if "group" in table else pd.Series("", index=table.index)
    subsets = {"all": table}
    for column in (names, groups):
        for subset in sorted(set(column) - {""}):
            subsets[subset] = table[(column == subset).to_numpy()]
    rows = []
    for subset, chosen in subsets.items():
        means = {name: chosen[name].mean() for name in SCORES if name in chosen}
        failed = int((chosen["failure"] != "").sum())
        row = {"subset": subset, "n_mixtures": len(chosen), "n_failed": failed, **means}
        if "si_sdri" in chosen:
            row |= zip(INTERVAL, mean_interval(chosen["si_sdri"].to_numpy()), strict=True)
        rows.append(row)
    return rows


def mean_line(row: dict[Any, Any]) -> str:
    """Means of a subset, an interval, and how many mixtures a metric could not be computed for."""
    shown = [(metric.columns[-1], metric.form) for metric in METRICS.values()]
    scores = {n: f"{n} {row[n]:{form}}" for n, form in shown if pd.notna(row.get(n))}
    low, high = (row.get(name) for name in INTERVAL)
    if pd.notna(low):
        scores["si_sdri"] += f" (95 %: {low:.2f} to {high:.2f})"
    failed = f", {row['n_failed']} of them with a failure" if row["n_failed"] else ""
    return f"{', '.join(scores.values())} (n = {row['n_mixtures']}{failed})"


def result_rows(table: pd.DataFrame, split: str, facts: Provenance) -> pd.DataFrame:
    """Make the rows of one split, with exactly :data:`COLUMNS`."""
    rows = [{"split": split, **asdict(facts), **summary} for summary in summarise(table)]
    frame = pd.DataFrame(rows).reindex(columns=COLUMNS)
    return frame.round(SCORES | dict.fromkeys(INTERVAL, METRICS["si_sdr"].digits))


def write_results(path: Path, rows: pd.DataFrame, keep_other_splits: bool) -> None:
    """Write a result file.

    Args:
        path: the CSV file.
        rows: with :data:`COLUMNS`.
        keep_other_splits: keep the rows that the file has of splits that ``rows`` does not have.
    """
    if keep_other_splits and path.is_file():
        old = read_results(path)
        rows = pd.concat([rows.astype(object), old[~old["split"].isin(rows["split"])]])
    with atomic_path(path) as temporary:
        rows.to_csv(temporary, index=False)


def read_results(path: Path) -> pd.DataFrame:
    """Read a result file; texts are str, numbers float or int, missing numbers NaN.

    Raises:
        RecipeError: no such file, or a cell that is not as :data:`separation.tables.RESULTS`
            demands.
    """
    return read_table(path, RESULTS, "stage 4 makes it")


def trained_epochs(exp_dir: Path) -> int | None:
    """Epochs of training in an experiment's training log, or None without one.

    Raises:
        RecipeError: the file is damaged.
    """
    path = first_there(exp_dir, TRAINING_LOGS)
    if path is None:
        return None
    epochs = read_table(path, {"epoch": TRAINING_LOG["epoch"]})["epoch"]
    return int(epochs.max()) + 1 if len(epochs) else None


def corpus_and_tag(name: str, corpus: str) -> tuple[str, str]:
    """Take an experiment's name, ``<corpus>_<tag>``, apart.

    Args:
        name: of the experiment folder; its corpus may carry an addition such as ``-3spk``.
        corpus: the name in the configuration.
    """
    if name.startswith(corpus):
        addition, _, tag = name[len(corpus) :].partition("_")
        if tag:
            return corpus + addition, tag
    return corpus, name
