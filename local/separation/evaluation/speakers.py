"""How many speakers a system finds, and how well it separates those that it finds.

Entry points: :func:`choose_rule` on cv, :func:`score_split` on any split, then :func:`confusion`
and :func:`by_number`.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from separation.corpus.audio import read_audio
from separation.corpus.layout import Corpus
from separation.corpus.manifest import read_manifest
from separation.errors import RecipeError
from separation.evaluation.permutation import si_sdr_matrix
from separation.evaluation.ratios import si_sdr
from separation.evaluation.results import COLUMNS, INTERVAL, Provenance, subset_of
from separation.evaluation.statistics import mean_interval
from separation.files import atomic_path
from separation.inference.recursion import (
    RecursiveSeparator,
    StopRule,
    estimates_of,
    level_db,
    open_separator,
    write_rule,
)
from separation.models.registry import RULE_FILE

SPEAKERS = "speakers.csv"  # in the folder of a split
# P-SI-SDR (Zhu et al. 2021): what a source that is missing, or an estimate too many, counts.
PENALTY_DB = -30.0
# A speaker alone is given back as it is, and its SI-SDR is infinite; here that is this much.
LARGEST_DB = 30.0
INFINITE_DB = 1000.0  # what si_sdr_matrix has for an infinite one, and, negative, for silence
DIGITS = 4
MEANS = ("si_sdr", "si_sdri", "known_si_sdri", "p_si_sdr")


def score_counted(
    mixture: np.ndarray, references: np.ndarray, estimates: np.ndarray
) -> dict[str, float]:
    """Score estimates of a mixture, as many as references, more or fewer.

    References and estimates are paired so that the sum of SI-SDRs is largest. P-SI-SDR is the mean
    of the SI-SDRs of all pairs and of -30 dB for each source or estimate without a partner (Zhu et
    al., Multi-Decoder DPRNN, ICASSP 2021); here no pair counts more than 30 dB or less than -30 dB.

    Args:
        mixture: shape ``(time,)``.
        references: shape ``(source, time)``, one or more.
        estimates: shape ``(estimate, time)``, one or more.

    Returns:
        ``missed`` (references without an estimate), ``ghosts`` (estimates without a reference), the
        means over pairs ``si_sdr`` and ``si_sdri`` in dB, NaN for a source alone, which has no
        improvement, and where an estimate is silent, and ``p_si_sdr`` in dB.
    """
    matrix = si_sdr_matrix(references, estimates)
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    pairs = matrix[rows, columns]
    n, m = matrix.shape
    alone = abs(n - m) * PENALTY_DB
    penalised = (np.clip(pairs, PENALTY_DB, LARGEST_DB).sum() + alone) / max(n, m)
    mean, before = np.nan, np.nan
    if n > 1 and np.abs(pairs).max() < INFINITE_DB:
        mean = float(pairs.mean())
        before = float(np.mean([si_sdr(references[row], mixture) for row in rows]))
    return {
        "missed": n - len(pairs),
        "ghosts": m - len(pairs),
        "si_sdr": mean,
        "si_sdri": mean - before,
        "p_si_sdr": float(penalised),
    }


def score_split(separator: RecursiveSeparator, table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Separate and score every mixture of a split, and write ``<folder>/speakers.csv``.

    Args:
        separator: with a stop rule.
        table: of the mixtures, ``source_<i>_path`` empty where there is no source.
        folder: of the split.

    Returns:
        a row a mixture: ``mixture_ID, length, n_sources, n_estimates``, speakers, genders and group
        where known, the scores of :func:`score_counted` under the number that was found, and
        ``known_si_sdri``, SI-SDRi where the true number is given.
    """
    rule, rows = separator.rule, []
    for record in tqdm(table.to_dict("records"), folder.name, unit="mixture"):
        mixture, references = read_mixture(record, separator.sample_rate)
        passes = list(islice(separator.passes(mixture), max(rule.n_max, len(references)) - 1))
        found = rule.count([level_db(rest, mixture) for _, rest in passes])
        scores, known = (
            score_counted(mixture, references, estimates_of(mixture, passes[: number - 1]))
            for number in (found, len(references))
        )
        row = {"mixture_ID": record["mixture_ID"], "length": len(mixture), **_who(record)}
        row |= {"n_sources": len(references), "n_estimates": found}
        rows.append(row | scores | {"known_si_sdri": known["si_sdri"]})
    scores_of_all = pd.DataFrame(rows).round(DIGITS)
    with atomic_path(folder / SPEAKERS) as temporary:
        scores_of_all.to_csv(temporary, index=False)
    return scores_of_all


def read_mixture(record: dict[Any, Any], sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Mixture ``(time,)`` and references ``(source, time)`` of a row of a manifest."""
    paths = [
        record[name] for name in record if name.startswith("source_") and name.endswith("_path")
    ]
    signals = [read_audio(path, sample_rate) for path in paths if path]
    return read_audio(record["mixture_path"], sample_rate), np.stack(signals)


def choose_rule(
    separator: RecursiveSeparator, table: pd.DataFrame
) -> tuple[StopRule, pd.DataFrame]:
    """Choose the level of a rest at which nothing is left, on mixtures that are not those of tt.

    It is the one with which most mixtures have their true number; of several such, the middle of
    the widest range.

    Args:
        separator: of the network, for as many speakers as mixtures have at most.
        table: of the mixtures.

    Returns:
        the rule, and a row a mixture: ``n_sources, n_estimates``.
    """
    numbers, levels = [], []
    for record in tqdm(table.to_dict("records"), "rests", unit="mixture"):
        mixture, references = read_mixture(record, separator.sample_rate)
        passes = islice(separator.passes(mixture), separator.n_src - 1)
        levels.append([level_db(rest, mixture) for _, rest in passes])
        numbers.append(len(references))
    rule = best_rule(np.array(levels), np.array(numbers), separator.n_src)
    found = [rule.count(row) for row in levels]
    return rule, pd.DataFrame({"n_sources": numbers, "n_estimates": found})


def choose_stop_rule(exp_dir: Path, corpus: Corpus, device: str | torch.device = "cpu") -> str:
    """Choose the rule on cv, and keep it with the experiment; returns how well it counts there.

    Raises:
        RecipeError: an experiment of another assignment, or no manifest of cv.
    """
    network = open_separator(exp_dir, device, n_src=str(max(2, corpus.n_src)))
    if not isinstance(network, RecursiveSeparator):
        raise RecipeError(f"{exp_dir}: not of training.assignment one_and_rest")
    table = read_manifest(corpus.manifest("cv"), corpus.n_src, corpus.numbers[0])
    rule, counted = choose_rule(network, table)
    write_rule(exp_dir, rule)
    right = (counted["n_sources"] == counted["n_estimates"]).mean()
    return (
        f"{exp_dir / RULE_FILE}: a rest is nothing at {rule.stop_db:.1f} dB of the mixture, and"
        f" there are {rule.n_max} speakers at most\n{100 * right:.1f} % of {len(table)} mixtures of"
        f" cv get their number; true number (rows) and number found:\n{confusion(counted)}"
    )


def best_rule(levels: np.ndarray, numbers: np.ndarray, n_max: int) -> StopRule:
    """The rule that gives most mixtures their number.

    Args:
        levels: of the rests in dB, shape ``(mixture, pass)``.
        numbers: of speakers, shape ``(mixture,)``.
        n_max: speakers at most.
    """
    edges = np.unique(levels[np.isfinite(levels)])
    if not len(edges):
        edges = np.array([-1.0])
    edges = np.concatenate([[edges[0] - 1], edges, [edges[-1] + 1]])
    middles = (edges[1:] + edges[:-1]) / 2
    right = [
        sum(StopRule(middle, n_max).count(row) == n for row, n in zip(levels, numbers, strict=True))
        for middle in middles
    ]
    best = np.flatnonzero(np.array(right) == max(right))
    widest = best[np.argmax(np.diff(edges)[best])]
    return StopRule(round(float(middles[widest]), 3), n_max)


def confusion(scores: pd.DataFrame) -> pd.DataFrame:
    """How many mixtures of each true number (rows) have which number of estimates (columns)."""
    most = int(scores[["n_sources", "n_estimates"]].to_numpy().max())
    table = pd.crosstab(scores["n_sources"], scores["n_estimates"])
    return table.reindex(columns=range(1, most + 1), fill_value=0)


def subsets(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The mixtures of each true number, all, and those of each set of genders and each group.

    Args:
        scores: of :func:`score_split`; ``gender_1`` ... and ``group`` where known.
    """
    genders = [column for column in scores if column.startswith("gender_")]
    rows = zip(scores[genders].astype(str).to_numpy(), scores["n_sources"], strict=True)
    names = pd.Series([subset_of(list(row[:n])) for row, n in rows], index=scores.index)
    numbers = scores.groupby("n_sources")
    chosen = {f"{n} speaker{'s' * (n != 1)}": mine for n, mine in numbers} | {"all": scores}
    groups = scores["group"] if "group" in scores else pd.Series("", index=scores.index)
    for column in (names, groups):
        chosen |= {name: scores[column == name] for name in sorted(set(column) - {""})}
    return chosen


def by_number(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over the mixtures of each of the :func:`subsets`.

    Columns: ``mixtures``, ``count_accuracy`` (share with the right number), ``missed`` and
    ``ghosts`` (sources and estimates in all), and the means of scores, each without those that are
    NaN.
    """
    rows = {}
    for name, group in subsets(scores).items():
        rows[name] = {
            "mixtures": len(group),
            "count_accuracy": (group["n_sources"] == group["n_estimates"]).mean(),
            "missed": group["missed"].sum(),
            "ghosts": group["ghosts"].sum(),
            **{column: group[column].mean() for column in MEANS},
        }
    return pd.DataFrame(rows).T


def describe_counts(scores: pd.DataFrame) -> str:
    """Both tables as text."""
    means = by_number(scores).round(3).to_string(na_rep="")
    return f"mixtures by true number (rows) and number found:\n{confusion(scores)}\n{means}"


def count_rows(scores: pd.DataFrame, split: str, facts: Provenance) -> pd.DataFrame:
    """Rows of the result file: all mixtures, then those of each number, genders and group.

    SI-SDR and SI-SDRi are those of pairs; besides the columns of all results there are
    ``p_si_sdr`` and ``count_accuracy``.
    """
    rows = []
    means = by_number(scores)
    for name, mine in ({"all": scores} | subsets(scores)).items():
        row = {"split": split, **asdict(facts), "subset": name, "n_mixtures": len(mine)}
        row |= {column: means.loc[name, column] for column in (*MEANS, "count_accuracy")}
        row |= zip(INTERVAL, mean_interval(mine["si_sdri"].to_numpy()), strict=True)
        failed = mine["si_sdri"].isna() & (mine["n_sources"] > 1)
        rows.append({**row, "n_failed": int(failed.sum())})
    columns = [*COLUMNS, "known_si_sdri", "p_si_sdr", "count_accuracy"]
    digits = dict.fromkeys((*MEANS, *INTERVAL, "count_accuracy"), DIGITS)
    return pd.DataFrame(rows).reindex(columns=columns).round(digits)


def _who(record: dict[Any, Any]) -> dict[str, str]:
    """What a row of a manifest says about the speakers."""
    return {c: record[c] for c in record if c.startswith(("speaker_", "gender_")) or c == "group"}
