"""The CSV files of the recipe: their columns, and :func:`read_table`, which reads all of them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from separation.errors import RecipeError
from separation.files import name_problem, require_file

if TYPE_CHECKING:
    import pandas as pd

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
INFINITE = re.compile(r"[+-]?inf")
LARGEST_COUNT = 2**53  # whole numbers up to here are exact in a float


@dataclass(frozen=True)
class Column:
    """What the cells of a column may be.

    Attributes:
        kind: ``text``, ``number`` (float), ``count`` (int), ``name`` (becomes part of a path where
            results are written), ``below`` (a path below a folder) or ``file`` (a path of a file
            that exists, absolute or relative to the table's folder).
        required: the table must have it.
        empty: cells may be empty; they become NaN in a column of numbers.
        minimum: the smallest number.
        infinite: numbers may be infinite.
        unique: no cell may be there twice.
        choices: all that a text may be; nothing: any text.
    """

    kind: str = "text"
    required: bool = True
    empty: bool = False
    minimum: float = -inf
    infinite: bool = False
    unique: bool = False
    choices: tuple[str, ...] = ()


Columns = dict[str, Column]
_TEXT = Column(empty=True)
_SCORE = Column("number", required=False, empty=True)
_GENDER = Column(required=False, empty=True)
_COUNT = Column("count", minimum=0)
_SHARE = Column("number", required=False, empty=True, minimum=0)

# data/<corpus>/sources.csv: the recordings in use.
SOURCES: Columns = {
    "path": Column("below"),
    "speaker": _TEXT,
    "gender": Column(empty=True, choices=("F", "M")),
    "split": Column(choices=("tr", "cv", "tt")),
    "group": Column(required=False, empty=True),
}

# Names of these tables, today's first, then those of earlier versions.
TRAINING_LOGS = ("training_log.csv", "metrics.csv")
SCORE_FILES = ("scores.csv", "metrics.csv")

# exp/<experiment>/eval_<split>/scores.csv: the scores of a split, a row a mixture. Columns of other
# metrics are texts here; who reads one adds it.
SCORES: Columns = {
    "mixture_ID": Column("name", unique=True),
    "si_sdri": _SCORE,
    "input_*": _SCORE,
    "length": Column("count", required=False, minimum=1),
    "level_difference": _SHARE,
    "overlap": _SHARE,
    "swaps": Column("count", required=False, empty=True, minimum=0),
    "leakage": _SCORE,
    "gender_*": _GENDER,
}

# exp/<experiment>/training_log.csv, a row an epoch. A loss that diverges is infinite.
TRAINING_LOG: Columns = {
    "epoch": _COUNT,
    "loss": Column("number", empty=True, infinite=True),
    "val_loss": Column("number", empty=True, infinite=True),
    "lr": Column("number", minimum=0),
}

# results/<corpus>_<tag>.csv: mean scores, a row a split and subset. Any other column is a score.
RESULTS: Columns = {
    "corpus": Column(),
    "tag": Column(),
    "split": Column(choices=("tr", "cv", "tt")),
    "subset": Column(),
    "n_mixtures": Column("count", minimum=1),
    "n_failed": _COUNT,
    "parameters": Column("count", empty=True, minimum=0),
    "macs_per_second": Column("count", empty=True, minimum=0),
    "real_time_factor": Column("number", empty=True, minimum=0),
    "latency_ms": Column("number", empty=True, minimum=0),
    "epochs": Column("count", empty=True, minimum=0),
    "commit": _TEXT,
    "date": _TEXT,
    "command": _TEXT,
    "data_fingerprint": _TEXT,
    "*": _SCORE,
}


def manifest_columns(n_src: int, fewest: int | None = None) -> Columns:
    """The columns of a manifest of mixtures of ``n_src`` sources: LibriMix's, and what we add.

    Where mixtures have ``fewest`` sources or more, paths of further ones may be empty.
    """
    always = n_src if fewest is None else fewest
    return {
        "mixture_ID": Column("name", unique=True),
        "mixture_path": Column("file"),
        **{f"source_{i + 1}_path": Column("file", empty=i >= always) for i in range(n_src)},
        "length": Column("count", minimum=1),
    }


def read_table(path: Path, columns: Columns, advice: str = "") -> pd.DataFrame:
    """Read a CSV file in UTF-8 and check every cell.

    Args:
        path: the file.
        columns: what its columns must be; a name may be a pattern such as ``gender_*``. Columns
            that no name or pattern covers are texts.
        advice: how to get a good file, such as ``stage 2 makes it``.

    Returns:
        a row a record: texts as str, empty ones as ``""``; numbers as float, counts as int, both
        NaN where empty; paths of files absolute.

    Raises:
        RecipeError: names the file, the line and the column of the first mistake.
    """
    import pandas as pd  # half a second, which processes that only mix or check do without

    require_file(path, advice)
    ending = f"; {advice}" if advice else ""
    try:
        records = list(_records(path))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not a text file in UTF-8{ending}") from error
    if not records:
        raise RecipeError(f"{path}: is empty{ending}")
    header = records[0][1]
    for name in header:
        if header.count(name) > 1:
            raise RecipeError(f"{path}: column '{name}' is there twice{ending}")
    for name, column in columns.items():
        if column.required and name not in header:
            raise RecipeError(f"{path}: column '{name}' is missing{ending}")
    for line, cells in records[1:]:
        if len(cells) != len(header):
            raise RecipeError(f"{path}:{line}: {len(cells)} cells, but {len(header)} columns")
    lines = [line for line, _ in records[1:]]
    return pd.DataFrame(
        {
            name: _series(path, name, _rule(name, columns), lines, cells)
            for name, *cells in zip(*(cells for _, cells in records), strict=True)
        }
    )


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line where each record starts, and its cells; lines without any are left out."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        text = file.read()
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any("\0" in cell for cell in cells):
                raise csv.Error("NUL byte")
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise RecipeError(f"{path}:{line}: not CSV: {error}") from error


def _rule(name: str, columns: Columns) -> Column:
    if name in columns:
        return columns[name]
    return next((rule for key, rule in columns.items() if fnmatchcase(name, key)), _TEXT)


def _series(path: Path, name: str, rule: Column, lines: list[int], cells: list[str]) -> pd.Series:
    import pandas as pd

    seen: set[str] = set()
    values = []
    for line, cell in zip(lines, cells, strict=True):
        try:
            values.append(_value(cell, rule, path.parent))
            if rule.unique and cell in seen:
                raise ValueError("is there twice")
        except ValueError as error:
            raise RecipeError(f"{path}:{line}: column '{name}': '{cell}' {error}") from error
        seen.add(cell)
    kinds = {"number": float, "count": int if None not in values else float}
    return pd.Series(values, dtype=kinds.get(rule.kind, str))


def _value(cell: str, rule: Column, folder: Path) -> float | str | None:
    """Turn a cell into its value; a ValueError says what is wrong with it."""
    if rule.kind in ("number", "count"):
        return _number(cell, rule)
    if not cell:
        if rule.empty:
            return ""
        raise ValueError("is empty")
    if rule.choices and cell not in rule.choices:
        raise ValueError(f"is not one of {', '.join(rule.choices)}")
    if rule.kind == "name" and (problem := name_problem(cell)):
        raise ValueError(problem)
    if rule.kind == "below" and (cell.startswith("/") or ".." in cell.split("/")):
        raise ValueError("leads out of the sources")
    if rule.kind == "file":
        try:
            require_file(folder / cell)
        except RecipeError as error:
            raise ValueError(f"leads to {error}") from error
        return str(folder / cell)
    return cell


def _number(cell: str, rule: Column) -> float | None:
    if not cell and rule.empty:
        return None
    whole = rule.kind == "count"
    valid = bool(NUMBER.fullmatch(cell) or (rule.infinite and INFINITE.fullmatch(cell)))
    value = float(cell) if valid else -inf
    # A number such as 1e999 is infinite, too.
    valid = valid and value >= rule.minimum and (rule.infinite or isfinite(value))
    if not valid or (whole and not (value.is_integer() and value <= LARGEST_COUNT)):
        minimum = f" of {rule.minimum:g} or more" if rule.minimum > -inf else ""
        raise ValueError(f"is not a {'whole ' if whole else ''}number{minimum}")
    return int(value) if whole else value
