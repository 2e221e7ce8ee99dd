"""The rows of the page's table: every row of the results, and what papers have published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from separation.evaluation.metrics import METRICS
from separation.ranges import ORACLES
from separation.report.tables import EMPTY, interval
from separation.tables import Column, read_table

# Means on all of tt, from the papers named in it; nobody here measured them.
PUBLISHED = Path(__file__).with_name("published.csv")
KINDS = {
    "trained": "trained",
    "oracle": "oracle",
    "published": "published, not measured here",
}
BAR = 120  # width of the picture of an interval


@dataclass(frozen=True)
class Cell:
    """A cell: what is read, and what it is sorted by (empty texts come last)."""

    text: str
    value: str


@dataclass(frozen=True)
class Bar:
    """A mean and its interval as places from 0 to :data:`BAR`; ends None where not known."""

    zero: float
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    system: str
    corpus: str
    split: str
    subset: str
    kind: str
    source: str
    bar: Bar | None
    cells: list[Cell]


# Heading, column of the results, format, unit of the cell.
FACTS = (
    ("mixtures", "n_mixtures", ".0f", 1.0),
    ("failed", "n_failed", ".0f", 1.0),
    ("parameters, M", "parameters", ".2f", 1e6),
    ("GMAC/s", "macs_per_second", ".2f", 1e9),
    ("RTF", "real_time_factor", ".3f", 1.0),
    ("latency, ms", "latency_ms", ".1f", 1.0),
    ("epochs", "epochs", ".0f", 1.0),
)


def with_published(results: pd.DataFrame) -> pd.DataFrame:
    """Results with a column ``kind``, a key of :data:`KINDS`, and the published rows below them."""
    text = Column()
    columns = {"corpus": text, "system": text, "si_sdri": Column("number"), "source": text}
    published = read_table(PUBLISHED, columns).rename(columns={"system": "tag"})
    published = published.assign(split="tt", subset="all", kind="published")
    kinds = ["oracle" if tag in ORACLES else "trained" for tag in results["tag"]]
    measured = results.assign(kind=kinds, source="")
    order = ["corpus", "split", "subset", "si_sdri"]
    measured = measured.sort_values(order, ascending=[True, False, True, False])
    return pd.concat([measured, published.astype(object)], ignore_index=True)


def table_rows(results: pd.DataFrame) -> tuple[list[str], list[Row]]:
    """Headings of the cells, and the rows.

    Args:
        results: of :func:`with_published`.
    """
    scores = [
        (metric.heading, metric.columns[-1], metric.form, 1.0)
        for name, metric in METRICS.items()
        if name != "si_sdr" and results.get(metric.columns[-1], pd.Series()).notna().any()
    ]
    numbers = [("SI-SDRi, dB", "si_sdri", ".2f", 1.0), *scores, *FACTS]
    headings = [heading for heading, *_ in numbers]
    headings.insert(1, "95 %")
    ends = [n for n in ("si_sdri", "si_sdri_low", "si_sdri_high") if n in results]
    limits = results[ends].astype(float)
    low, high = min(0.0, limits.min().min()), max(1.0, limits.max().max())
    rows = []
    for row in results.itertuples():
        cells = [_cell(row, *number[1:]) for number in numbers]
        width = _value(row, "si_sdri_high", 1) - _value(row, "si_sdri_low", 1)
        cells.insert(1, Cell(interval(row), "" if pd.isna(width) else f"{width:g}"))
        names = (row.tag, row.corpus, row.split, row.subset, row.kind, row.source)
        rows.append(Row(*names, _bar(row, low, high), cells))
    return headings, rows


def _value(row: Any, name: str, scale: float) -> float:
    value = getattr(row, name, None)
    return float("nan") if value is None or pd.isna(value) else float(value) / scale


def _cell(row: Any, name: str, form: str, scale: float) -> Cell:
    value = _value(row, name, scale)
    return Cell(EMPTY, "") if pd.isna(value) else Cell(format(value, form), f"{value:.10g}")


def _bar(row: Any, low: float, high: float) -> Bar | None:
    places = []
    for name in ("si_sdri", "si_sdri_low", "si_sdri_high"):
        value = _value(row, name, 1)
        share = (value - low) / (high - low)
        places.append(None if pd.isna(value) else round(4 + share * (BAR - 8), 1))
    zero = round(4 - low / (high - low) * (BAR - 8), 1)
    return None if places[0] is None else Bar(zero, places[0], places[1], places[2])
