"""Tables of the results of all systems: ``RESULTS.md`` and what the terminal shows."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd

from separation.corpus.problems import Problems
from separation.errors import RecipeError
from separation.evaluation.metrics import METRICS
from separation.evaluation.results import INTERVAL, read_results
from separation.files import atomic_path, visible
from separation.tree import SHELF, shelf_tag

EMPTY = "–"
MADE_FROM = (
    "Made by `local/report.py` from the CSV files of this folder and those of the models that come"
    " with the project, `pretrained/`."
)
LEGEND = (
    "Means over whole utterances; SI-SDRi, SDRi in dB are improvements over the mixture. 95 %:"
    " interval of the mean SI-SDRi, by the bootstrap over its mixtures."
    " **tt**: speakers that training never heard, and its subsets by gender and by group of"
    " recordings; **tr**: speakers that"
    " it heard, so the distance between the two is overfitting."
    " Mixtures for which a metric could not be computed are left out of its mean and counted as"
    " failed. GMAC/s: multiply-accumulates for a second of audio. RTF: seconds of work"
    " for a second of audio, on the machine that evaluated. Systems called oracle: masks made from"
    " the references, which bound what such masks can reach."
)


def load_results(results_dir: Path, problems: Problems | None = None) -> pd.DataFrame:
    """Read all result files of a folder, and those of the models on the shelf beside it.

    Args:
        results_dir: the folder.
        problems: takes files that are not as they should be; None raises the first.

    Raises:
        RecipeError: there is none, or none that can be used.
    """
    problems = problems or Problems()
    paths = visible(results_dir, "*.csv")
    if not paths:
        raise RecipeError(f"{results_dir}: no result file; stage 4 makes them")
    shelved = visible(results_dir.resolve().parent / SHELF.name, "*/results.csv")
    tables = []
    for path in [*paths, *shelved]:
        try:
            table = read_results(path)
            if path in shelved:
                table = table.assign(tag=shelf_tag(path.parent.name))
            if not table.empty:
                tables.append(table)
        except RecipeError as error:
            problems.add(str(error))
    if not tables:
        raise RecipeError(f"{paths[0]}: no row in it that can be used; stage 4 writes the file")
    return pd.concat([table.astype(object) for table in tables], ignore_index=True)


def corpus_table(results: pd.DataFrame, corpus: str) -> pd.DataFrame:
    """Make the table of one corpus: a row a system, best first, every cell a text."""
    chosen = results[results["corpus"] == corpus]
    subsets, _ = _subsets(chosen)
    others = [
        metric
        for name, metric in METRICS.items()
        if name != "si_sdr" and chosen.get(metric.columns[-1], pd.Series()).notna().any()
    ]
    has_interval = chosen.get(INTERVAL[0], pd.Series()).notna().any()
    rows = []
    for tag, rows_of_system in chosen.groupby("tag", sort=True):
        by_subset = {(row.split, row.subset): row for row in rows_of_system.itertuples()}
        unseen, seen = by_subset.get(("tt", "all")), by_subset.get(("tr", "all"))
        facts = next(rows_of_system.itertuples())
        score = getattr(unseen, "si_sdri", float("-inf"))
        row = {"system": tag, "SI-SDRi tt": _number(unseen, "si_sdri")}
        if has_interval:
            row["95 %"] = interval(unseen)
        row |= {f"tt {name}": _number(by_subset.get(("tt", name)), "si_sdri") for name in subsets}
        row |= {
            "SI-SDRi tr": _number(seen, "si_sdri"),
            **{m.heading: _number(unseen, m.columns[-1], m.form) for m in others},
            "mixtures": _count(unseen),
            "parameters": _number(facts, "parameters", ".2f", 1e6, " M"),
            "GMAC/s": _number(facts, "macs_per_second", ".2f", 1e9),
            "RTF": _number(facts, "real_time_factor", ".3f"),
            "epochs": _number(facts, "epochs", ".0f"),
        }
        rows.append((float("-inf") if pd.isna(score) else score, row))
    rows.sort(key=lambda pair: pair[0], reverse=True)
    return pd.DataFrame([row for _, row in rows])


def group_table(results: pd.DataFrame, corpus: str) -> pd.DataFrame:
    """SI-SDRi on each group of a corpus' tt, with its interval; without rows where there are none.

    Systems are in the order of :func:`corpus_table`.
    """
    chosen = results[(results["corpus"] == corpus) & (results["split"] == "tt")]
    _, groups = _subsets(chosen)
    by_subset = {(row.tag, row.subset): row for row in chosen.itertuples()}
    rows = []
    for tag in corpus_table(results, corpus)["system"] if groups else []:
        cells = {name: by_subset.get((tag, name)) for name in groups}
        if any(row is not None for row in cells.values()):
            texts = {f"tt {name}": _with_interval(row) for name, row in cells.items()}
            rows.append({"system": tag, **texts})
    return pd.DataFrame(rows)


def _subsets(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Subsets of tt by gender, such as FM, and those by group."""
    names = sorted(set(rows.loc[rows["split"] == "tt", "subset"]) - {"all"})
    genders = [name for name in names if set(name) <= {"F", "M"}]
    return genders, [name for name in names if name not in genders]


def commands(results: pd.DataFrame, corpus: str) -> pd.DataFrame:
    """What made the rows of a corpus: ``tag, splits, command, commit, date, data_fingerprint``."""
    chosen = results[(results["corpus"] == corpus) & (results["subset"] == "all")]
    keys = ["tag", "command", "commit", "date", "data_fingerprint"]
    grouped = chosen.groupby(keys, sort=False, dropna=False)["split"].agg(", ".join)
    return grouped.reset_index(name="splits")


def write_markdown(results: pd.DataFrame, path: Path) -> None:
    """Write ``RESULTS.md``: a table a corpus, the exact commands below it."""
    parts = ["# Results", MADE_FROM, f"{LEGEND} All but SI-SDRi tr is of tt."]
    for corpus in sorted(set(results["corpus"])):
        whole, groups = corpus_table(results, corpus), group_table(results, corpus)
        parts += [f"## {_escaped(corpus)}", _frame(whole)]
        if not groups.empty:
            parts += ["SI-SDRi on the groups of tt, with 95 % intervals:", _frame(groups)]
        for row in commands(results, corpus).itertuples():
            facts = [f"commit {row.commit}"] if row.commit else []
            facts += [row.date] if row.date else []
            facts += [f"data {row.data_fingerprint}"] if row.data_fingerprint else []
            details = _escaped(f"({row.splits}): {', '.join(facts)}")
            parts.append(f"**{_escaped(row.tag)}** {details}")
            fence = _fence(row.command, 3)
            parts.append(f"{fence}sh\n{row.command}\n{fence}")
    with atomic_path(path) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown with aligned columns, the first one left, the others right."""
    columns, *rows = [[_escaped(cell) for cell in row] for row in [columns, *rows]]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for first, *others in [columns, rule, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(f"| {' | '.join([first.ljust(widths[0]), *cells])} |")
    return "\n".join(lines)


def _frame(table: pd.DataFrame) -> str:
    return markdown(list(table.columns), table.to_numpy().tolist())


def _escaped(text: str) -> str:
    """Write a text so that Markdown shows it as it is, on one line."""
    text = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"[\\`*\[\]|#]", lambda match: "\\" + match[0], text)


def _fence(code: str, shortest: int) -> str:
    """Backticks around code, more than there are in a row in it."""
    return "`" * max([shortest, *(len(run) + 1 for run in re.findall("`+", code))])


def terminal_text(results: pd.DataFrame) -> str:
    """The tables for a terminal, one a corpus."""
    texts = []
    for corpus in sorted(set(results["corpus"])):
        table = corpus_table(results, corpus).drop(columns=["GMAC/s", "RTF"])
        texts.append(f"{corpus}\n{table.to_string(index=False)}")
    return "\n\n".join(texts)


def interval(row: object) -> str:
    """The interval of the mean SI-SDRi of a row of results, such as ``6.70 to 7.93``."""
    low, high = (_number(row, name) for name in INTERVAL)
    return EMPTY if EMPTY in (low, high) else f"{low} to {high}"


def _with_interval(row: object) -> str:
    ends = interval(row)
    return _number(row, "si_sdri") + ("" if ends == EMPTY else f" ({ends})")


def _number(row: object, name: str, form: str = ".2f", scale: float = 1, unit: str = "") -> str:
    value = getattr(row, name, None)
    return EMPTY if value is None or pd.isna(value) else format(value / scale, form) + unit


def _count(row: object) -> str:
    if row is None:
        return EMPTY
    failed = int(row.n_failed)  # type: ignore[attr-defined]
    return _number(row, "n_mixtures", ".0f") + (f" ({failed} failed)" if failed else "")
