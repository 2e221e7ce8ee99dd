"""CSV files read and checked against a table of their columns. Entry point: :func:`read_csv`."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from separation.errors import RecipeError
from separation.files import check_name, read_text


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Args:
        kind: ``text``, ``name`` (a text that a file or folder may be called), ``number`` (finite),
            or ``count`` (a whole number).
        required: whether the file must have the column.
        may_be_empty: an empty cell is an empty text or NaN; otherwise an error.
        least: smallest number.
        finite: infinite numbers and NaN are errors; otherwise both are NaN.
    """

    kind: str = "text"
    required: bool = True
    may_be_empty: bool = False
    least: float = -math.inf
    finite: bool = True


def read_csv(
    path: Path, columns: dict[str, Column], others: Column, remedy: str = ""
) -> pd.DataFrame:
    """Read a CSV file with a header.

    Args:
        path: the file.
        columns: of these names.
        others: columns of other names.
        remedy: what to do when the file or a column is missing, such as ``stage 2 makes it``.

    Returns:
        a table with texts as ``str``, numbers as ``float`` (NaN where empty), counts as ``int``;
        and the line of each row in ``attrs["lines"]``.

    Raises:
        RecipeError: names file, line and column of the first thing that is wrong.
    """
    text = read_text(path, remedy)
    reader = csv.reader(io.StringIO(text, newline=""))
    hint = f"; {remedy}" if remedy else ""
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        header = next(reader, [])
        for row in reader:
            if row and len(row) != len(header):
                raise RecipeError(
                    f"{path}:{reader.line_num}: {len(row)} cells, but {len(header)} columns"
                )
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise RecipeError(f"{path}:{reader.line_num}: not CSV: {error}") from error
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise RecipeError(f"{path}: column '{twice[0]}' is there twice")
    for name, column in columns.items():
        if column.required and name not in header:
            raise RecipeError(f"{path}: column '{name}' is missing{hint}")
    table = pd.DataFrame(index=range(len(rows)))
    for place, name in enumerate(header):
        cells = [row[place] for row in rows]
        table[name] = _convert(path, lines, name, cells, columns.get(name, others))
    table.attrs["lines"] = lines
    return table


def check_unique(path: Path, table: pd.DataFrame, column: str) -> None:
    """Raise a :class:`RecipeError` for a value that is in a column twice."""
    double = table[column].duplicated().to_numpy()
    if double.any():
        row = int(double.argmax())
        line = table.attrs["lines"][row]
        raise RecipeError(f"{path}:{line}: {column} {table[column][row]} is there twice")


def _convert(
    path: Path, lines: list[int], name: str, cells: list[str], column: Column
) -> pd.Series:
    values: list[str | float] = []
    for line, cell in zip(lines, cells, strict=True):
        where = f"{path}:{line}: {name}"
        if not cell.strip():
            if not column.may_be_empty:
                raise RecipeError(f"{where} is empty")
            values.append("" if column.kind in ("text", "name") else math.nan)
        elif column.kind == "name":
            values.append(check_name(cell, where))
        elif column.kind == "text":
            values.append(cell)
        else:
            values.append(_number(where, cell, column))
    types = {"number": "float64", "count": "int64"}
    return pd.Series(values, dtype=types.get(column.kind, "object"))


def _number(where: str, cell: str, column: Column) -> float:
    try:
        value = float(cell)
    except ValueError as error:
        raise RecipeError(f"{where} '{cell}' is not a number") from error
    if not math.isfinite(value) and not column.finite:
        return math.nan
    whole = column.kind != "count" or value.is_integer()
    if not math.isfinite(value) or not whole or value < column.least or abs(value) > 2**53:
        wanted = "whole number" if column.kind == "count" else "finite number"
        least = f" of {column.least:g} or more" if column.least > -math.inf else ""
        raise RecipeError(f"{where} '{cell}' is not a {wanted}{least}")
    return value
