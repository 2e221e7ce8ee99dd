"""Charts of the page as numbers that ``chart.html.j2`` draws as SVG.

Entry points: :func:`histogram`, :func:`scatter`, :func:`curves`, :func:`work`. SVG inside the page
follows its colours in light and dark, stays sharp, and 3000 points take 30 kB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, floor, log10

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 360, 250  # of a chart, in units of its view box
LEFT, RIGHT, TOP, BOTTOM = 50, 350, 10, 210  # of the area inside its axes
LABEL = 13  # height of a label
STEP, ORACLES_ABREAST = 72, 4  # from the left end of an oracle's name to the next one's
COLOURS = 6  # classes c0 to c5 of page.css
BINS = 30
WHOLE = ("epoch", "mixtures")  # labels of axes that count


@dataclass(frozen=True)
class Axis:
    """A scale from values to places.

    Attributes:
        label: quantity and unit.
        ticks: values with a number, the outermost ones at the ends or beyond.
        start: place of the smallest value.
        end: place of the largest value.
        log: logarithmic.
    """

    label: str
    ticks: tuple[float, ...]
    start: float
    end: float
    log: bool = False

    def place(self, values: float | np.ndarray) -> np.ndarray:
        """Places of values on the drawing, in their shape, rounded to a tenth of its unit."""
        scale = np.log10 if self.log else np.asarray
        low, high = scale(self.ticks[0]), scale(self.ticks[-1])
        share = (scale(values) - low) / (high - low)
        return np.round(self.start + share * (self.end - self.start), 1)

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Place and text of each tick."""
        return [(float(self.place(tick)), f"{tick:g}") for tick in self.ticks]


@dataclass(frozen=True)
class Shape:
    """A path of the drawing: ``style`` are classes of page.css, ``name`` is for the legend."""

    path: str
    style: str
    name: str = ""


@dataclass(frozen=True)
class Label:
    """A text at a place; ``anchor`` as SVG's ``text-anchor``."""

    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True)
class Chart:
    """All that is drawn; ``summary`` says it to those who do not see it."""

    title: str
    summary: str
    x: Axis
    y: Axis
    shapes: list[Shape]
    labels: list[Label] = field(default_factory=list)


def axis(label: str, values: Iterable[float], across: bool, log: bool = False) -> Axis:
    """An axis on which all values have a place.

    Args:
        label: quantity and unit.
        values: finite, positive if ``log``.
        across: left to right, else bottom to top.
        log: logarithmic.
    """
    numbers = np.array(list(values), dtype=float)
    low, high = (numbers.min(), numbers.max()) if numbers.size else (0.0, 1.0)
    start, end = (LEFT, RIGHT) if across else (BOTTOM, TOP)
    if log:
        first, last = floor(log10(low)), ceil(log10(high))
        ticks = [10.0**power for power in range(first, max(last, first + 1) + 1)]
    else:
        whole = label in WHOLE
        locator = MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=whole)
        ticks = [float(tick) for tick in locator.tick_values(low, high)]
    return Axis(label, tuple(ticks), start, end, log)


def histogram(values: Mapping[str, np.ndarray], x: Axis) -> Chart:
    """How many mixtures have which SI-SDRi, stacked by subset.

    Args:
        values: of each subset in dB, shape ``(mixture,)``.
        x: for these and, where charts are compared, other systems.
    """
    edges = np.linspace(x.ticks[0], x.ticks[-1], BINS + 1)
    counts = np.array([np.histogram(one, edges)[0] for one in values.values()])
    tops = counts.cumsum(axis=0)
    y = axis("mixtures", [0, tops.max()], across=False)
    lefts, width = x.place(edges[:-1]), round((RIGHT - LEFT) / BINS - 1, 1)
    shapes = []
    for number, name in enumerate(values):
        uppers, lowers = y.place(tops[number]), y.place(tops[number] - counts[number])
        bars = zip(lefts, uppers, lowers, counts[number], strict=True)
        path = "".join(f"M{a} {b}h{width}V{c}h-{width}z" for a, b, c, n in bars if n)
        shapes.append(Shape(path, f"area {_colour(number)}", f"{name} ({len(values[name])})"))
    everything = np.concatenate(list(values.values()))
    mean = everything.mean()
    shapes.append(Shape(f"M{x.place(mean)} {TOP}V{BOTTOM}", "line mean", f"mean {mean:.2f} dB"))
    summary = (
        f"SI-SDRi of {everything.size} mixtures: mean {mean:.2f} dB, smallest"
        f" {everything.min():.2f}, largest {everything.max():.2f}."
    )
    return Chart("SI-SDRi of the mixtures", summary, x, y, shapes)


def scatter(points: Mapping[str, np.ndarray], both: tuple[Axis, Axis]) -> Chart:
    """SI-SDR of the estimates over that of the mixture, a point a mixture.

    Args:
        points: of each subset in dB, shape ``(mixture, 2)``: input, output.
        both: the axes.
    """
    x, y = both
    low, high = max(x.ticks[0], y.ticks[0]), min(x.ticks[-1], y.ticks[-1])
    shapes = []
    if low < high:
        ends = [f"{x.place(value)} {y.place(value)}" for value in (low, high)]
        shapes.append(Shape(f"M{ends[0]}L{ends[1]}", "line mean", "output = input"))
    for number, (name, pairs) in enumerate(points.items()):
        places = zip(x.place(pairs[:, 0]), y.place(pairs[:, 1]), strict=True)
        path = "".join(f"M{a} {b}h0" for a, b in places)
        shapes.append(Shape(path, f"dots {_colour(number)}", name))
    pairs = np.concatenate(list(points.values()))
    worse = int((pairs[:, 1] < pairs[:, 0]).sum())
    summary = f"{len(pairs)} mixtures, {worse} of them worse after separation than before."
    return Chart("Before and after separation", summary, x, y, shapes)


def curves(log: pd.DataFrame, loss: str) -> Chart | None:
    """Loss over the epochs; None where no epoch has a finite one.

    Args:
        log: an experiment's training log: ``epoch``, ``loss``, ``val_loss``.
        loss: its name and unit.
    """
    log = log.replace([np.inf, -np.inf], np.nan)
    names = {"loss": "training", "val_loss": "validation (cv)"}
    known = {name: log[["epoch", name]].dropna().to_numpy() for name in names}
    if not any(len(points) for points in known.values()):
        return None
    everything = np.concatenate(list(known.values()))
    x = axis("epoch", everything[:, 0] + 1, across=True)
    y = axis(loss, everything[:, 1], across=False)
    shapes = []
    for number, (name, points) in enumerate(known.items()):
        places = zip(x.place(points[:, 0] + 1), y.place(points[:, 1]), strict=True)
        path = "L".join(f"{a} {b}" for a, b in places)
        if path:
            alone = "h0" if len(points) == 1 else ""  # a dot, as a line of one point is none
            style = f"{'dots' if alone else 'line'} {_colour(number)}"
            shapes.append(Shape(f"M{path}{alone}", style, names[name]))
    best = known["val_loss"][:, 1].min() if len(known["val_loss"]) else np.nan
    summary = f"Loss over {len(log)} epochs; the smallest on cv is {best:.2f}."
    return Chart("Training", summary, x, y, shapes)


def work(rows: pd.DataFrame, column: str, label: str) -> Chart | None:
    """SI-SDRi over the work that it takes; None without a system whose work is known.

    Args:
        rows: ``system``, ``si_sdri``, ``si_sdri_low``, ``si_sdri_high`` and ``column``, which is
            NaN for oracles: these are horizontal lines.
        column: the work, positive.
        label: of the axis.
    """
    rows = rows.dropna(subset=["si_sdri"])
    points = rows[rows[column] > 0]
    if points.empty:
        return None
    limits = rows[["si_sdri", "si_sdri_low", "si_sdri_high"]].to_numpy(dtype=float)
    x = axis(label, points[column], across=True, log=True)
    y = axis("SI-SDRi on tt (dB)", limits[np.isfinite(limits)], across=False)
    shapes, names, labels = [], [], []
    oracles = rows[rows[column].isna()].sort_values("si_sdri", ascending=False)
    for number, row in enumerate(oracles.itertuples()):
        place = float(y.place(row.si_sdri))
        shapes.append(Shape(f"M{LEFT} {place}H{RIGHT}", "line mean"))
        # Side by side, since lines are closer together than names are high.
        left = LEFT + 4 + STEP * (number % ORACLES_ABREAST)
        names.append(Label(left, round(place - 3, 1), row.system))
    for row in points.to_dict("records"):
        a, b = float(x.place(row[column])), float(y.place(row["si_sdri"]))
        if row["si_sdri_low"] < row["si_sdri_high"]:
            low, high = y.place(row["si_sdri_low"]), y.place(row["si_sdri_high"])
            shapes.append(Shape(f"M{a} {low}V{high}", "line c0"))
        shapes.append(Shape(f"M{a} {b}h0", "dots large c0"))
        left = a > (LEFT + RIGHT) / 2
        labels.append(Label(a + (-8 if left else 8), b + 4, row["system"], "end" if left else ""))
    best = points.loc[points["si_sdri"].idxmax()]
    summary = f"{len(points)} systems; the best, {best['system']}, has {best['si_sdri']:.2f} dB."
    labels = [*names, *apart(labels)]
    return Chart(f"Quality against work: {label}", summary, x, y, shapes, labels)


def apart(labels: list[Label]) -> list[Label]:
    """Move labels down until none of the same side covers another one."""
    moved: list[Label] = []
    for label in sorted(labels, key=lambda one: one.y):
        above = [other.y for other in moved if other.anchor == label.anchor]
        y = max([label.y, *(place + LABEL for place in above)])
        moved.append(Label(label.x, round(y, 1), label.text, label.anchor))
    return moved


def _colour(number: int) -> str:
    return f"c{number % COLOURS}"
