"""Compare systems by their results or, mixture by mixture, by their scores.

FILES are result files, results/*.csv, which make one table, and scores of mixtures,
exp/*/eval_tt/scores.csv: the first of these is compared with each of the others on the mixtures
that both have, with a 95 % bootstrap interval of the mean difference and the Wilcoxon signed-rank
test. What was evaluated on different data is named below the table.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import argparse
import csv
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from separation.arguments import make_parser
from separation.errors import RecipeError, nearest
from separation.evaluation.comparison import compare, different_data, read_scores
from separation.evaluation.metrics import METRICS, metric_of
from separation.evaluation.results import read_results
from separation.files import atomic_path, read_text
from separation.report.tables import EMPTY, interval, markdown

TEXTS = ("corpus", "tag", "split", "subset", "commit", "date", "command", "data_fingerprint")
# Columns in which the smallest number is the best, besides metrics that say so.
SMALLEST_FIRST = (*TEXTS, "parameters", "macs_per_second", "real_time_factor", "latency_ms")


def main() -> None:
    """Parse the command line, print a table for each kind of file, write the CSV file."""
    arguments = parse_arguments()
    results, scores = sort_files(arguments.files)
    if len(scores) == 1:
        raise RecipeError(f"{scores[0]}: nothing to compare it with; give two scores.csv or more")
    if arguments.csv and results and scores:
        raise RecipeError("--csv: one table goes into a file; give results or scores, not both")
    if results:
        table = results_table(results, arguments.sort)
        report(table, shown_results(table), result_notes(table), arguments)
    if scores:
        table, notes = paired_table(scores, arguments.metric)
        report(table, shown_pairs(table, arguments.metric), notes, arguments)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILES")
    parser.add_argument(
        "--sort", default="si_sdri", help="column to sort results by (default: si_sdri)"
    )
    parser.add_argument(
        "--metric", default="si_sdri", help="column of scores to compare (default: si_sdri)"
    )
    parser.add_argument("--csv", type=Path, help="write the table to this file as well")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print Markdown")
    form.add_argument("--html", action="store_true", help="print HTML")
    return parser.parse_args()


def sort_files(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Tell result files from files of scores by their first line.

    Raises:
        RecipeError: a file that is neither.
    """
    results, scores = [], []
    for path in paths:
        header = next(csv.reader(read_text(path, "stage 4 makes it").splitlines()), [])
        if "mixture_ID" in header:
            scores.append(path)
        elif {"corpus", "tag", "split"} <= set(header):
            results.append(path)
        else:
            what = "neither results nor scores of mixtures" if header else "is empty"
            raise RecipeError(f"{path}: {what}; give results/*.csv or exp/*/eval_*/scores.csv")
    return results, scores


def results_table(paths: list[Path], sort: str) -> pd.DataFrame:
    """Rows of whole splits of result files, by corpus and split, then by a column, best first.

    Raises:
        RecipeError: a damaged file, one without such a row, or no such column.
    """
    tables = []
    for path in paths:
        table = read_results(path)
        table = table[table["subset"] == "all"]
        if table.empty:
            raise RecipeError(f"{path}: no row of a whole split in it; stage 4 makes it")
        tables.append(table.astype(object))
    table = pd.concat(tables, ignore_index=True)
    if sort not in table:
        raise RecipeError(
            f"--sort {sort}: no such column{nearest(sort, table)}; there are {', '.join(table)}"
        )
    errors = [c for metric in METRICS.values() if metric.lower_is_better for c in metric.columns]
    smallest = sort in (*SMALLEST_FIRST, *errors)
    if sort not in TEXTS:
        table[sort] = table[sort].astype(float)
    table = table.sort_values(sort, ascending=smallest, kind="stable", na_position="last")
    return table.sort_values(["corpus", "split"], ascending=[True, False], kind="stable")


def shown_results(table: pd.DataFrame) -> pd.DataFrame:
    """The same for people, every cell a text."""
    shown_columns = {metric.columns[-1]: metric for metric in METRICS.values()}
    columns = {c: m for c, m in shown_columns.items() if c in table and table[c].notna().any()}
    rows = []
    for row in table.itertuples():
        cells = {"corpus": row.corpus, "split": row.split, "system": row.tag}
        cells |= {"mixtures": f"{row.n_mixtures:.0f}"}
        for name, metric in columns.items():
            cells[metric.heading] = shown(getattr(row, name), metric.form)
            if name == "si_sdri":
                cells["95 %"] = interval(row)
        size = EMPTY if pd.isna(row.parameters) else f"{row.parameters / 1e6:.2f} M"
        rows.append(cells | {"parameters": size, "data": row.data_fingerprint or EMPTY})
    return pd.DataFrame(rows)


def result_notes(table: pd.DataFrame) -> list[str]:
    """A line for each corpus whose systems were not evaluated on the same data."""
    notes = []
    for corpus, rows in table.groupby("corpus", sort=True):
        said = different_data(zip(rows["tag"], rows["data_fingerprint"], strict=True))
        if said:
            notes.append(f"{corpus}: {said}: these scores do not compare")
    return notes


def paired_table(paths: list[Path], metric: str) -> tuple[pd.DataFrame, list[str]]:
    """Compare the first file of scores with each of the others.

    Returns:
        a row a comparison, and what has to be said about the data.
    """
    first, *others = [read_scores(path, metric) for path in paths]
    rows, notes = [], []
    for other in others:
        difference = compare(first, other, metric)
        names = {"first": first.name, "second": other.name, "metric": metric}
        rows.append(names | asdict(difference))
        said = different_data((scores.name, scores.fingerprint) for scores in (first, other))
        if said:
            notes.append(f"{said}: paired by id, length and input SI-SDR of the mixtures")
        if difference.unpaired:
            notes.append(
                f"{other.name}: {difference.unpaired} rows of the two files are left out: other"
                " mixtures, or without a score"
            )
    return pd.DataFrame(rows), notes


def shown_pairs(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The same for people, every cell a text."""
    kind = metric_of(metric)
    form = kind.form if kind else ".2f"
    rows = []
    for row in table.to_dict("records"):
        difference = row["mean_second"] - row["mean_first"]
        rows.append(
            {
                "system": row["second"],
                "against": row["first"],
                "mixtures": str(row["n"]),
                metric: shown(row["mean_second"], form),
                f"{metric} against": shown(row["mean_first"], form),
                "difference": f"{difference:+{form}}",
                "95 %": f"{row['low']:+{form}} to {row['high']:+{form}}",
                "better": str(row["better"]),
                "worse": str(row["worse"]),
                "Wilcoxon p": f"{row['p_value']:.2g}",
            }
        )
    return pd.DataFrame(rows)


def report(
    table: pd.DataFrame, texts: pd.DataFrame, notes: list[str], arguments: argparse.Namespace
) -> None:
    """Print a table in the form that is asked for, and notes; write the CSV file."""
    if arguments.markdown:
        print(markdown(list(texts), texts.to_numpy().tolist()))
    elif arguments.html:
        print(texts.to_html(index=False))
    else:
        print(texts.to_string(index=False))
    for note in notes:
        print(f"note: {note}")
    if arguments.csv:
        with atomic_path(arguments.csv) as temporary:
            table.to_csv(temporary, index=False)


def shown(value: float, form: str) -> str:
    """A number as text; an empty one as a dash."""
    return EMPTY if pd.isna(value) else format(value, form)


if __name__ == "__main__":
    run_command(main)
