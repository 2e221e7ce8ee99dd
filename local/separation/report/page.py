"""The report as one static page: results, charts, players and a blind test.

The page is ``page.html.j2`` with the files of :data:`STYLES` and :data:`SCRIPTS` put into it. It
asks nothing of the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from separation.evaluation.results import INTERVAL
from separation.files import atomic_path
from separation.ranges import ORACLES
from separation.report.charts import Chart, axis, curves, histogram, scatter, work
from separation.report.listening import Listening, choose, group, listen
from separation.report.media import Media
from separation.report.plots import subsets
from separation.report.rows import BAR, KINDS, table_rows, with_published
from separation.report.tables import LEGEND, commands
from separation.tree import ROOT

HERE = Path(__file__).parent
STYLES = (ROOT / "local" / "web" / "colours.css", HERE / "page.css")
SCRIPTS = ("table.js", "player.js", "mixtures.js", "binomial.js", "blind.js")
WORK = {"macs_per_second": "GMAC/s", "real_time_factor": "real-time factor"}


@dataclass(frozen=True)
class SystemPage:
    """What the page shows of one system besides its rows in the table.

    Attributes:
        corpus: its corpus.
        tag: its name.
        scores: of its mixtures of tt.
        epochs: its training log.
        loss: name and unit of what it was trained with.
        examples: mixtures to listen to.
        pictures: PNG files and what they show, such as those of local/explain.py.
    """

    corpus: str
    tag: str
    scores: pd.DataFrame | None = None
    epochs: pd.DataFrame | None = None
    loss: str = "loss"
    examples: list[Listening] = field(default_factory=list)
    pictures: list[tuple[str, bytes]] = field(default_factory=list)


def write_page(results: pd.DataFrame, systems: list[SystemPage], path: Path) -> None:
    """Write the page, and beside it a folder of sounds and pictures if they are large.

    Args:
        results: of all systems, see :func:`separation.report.tables.load_results`.
        systems: those whose experiment folders are here; may be empty.
        path: the HTML file.
    """
    media = Media(path)
    table = with_published(results)
    headings, rows = table_rows(table)
    corpora = [
        _corpus(corpus, table, [system for system in systems if system.corpus == corpus], media)
        for corpus in sorted({*results["corpus"], *(system.corpus for system in systems)})
    ]
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html.j2").render(
        legend=LEGEND.replace("**", ""),
        headings=headings,
        rows=rows,
        kinds=KINDS,
        bar=BAR,
        corpora=corpora,
        media=media,
        style=Markup("".join(path.read_text(encoding="utf-8") for path in STYLES)),
        script=Markup("".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)),
    )
    media.write()
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    media.clean()


def _corpus(
    name: str, table: pd.DataFrame, systems: list[SystemPage], media: Media
) -> dict[str, Any]:
    """What the template needs of one corpus."""
    rows = table[(table["corpus"] == name) & (table["kind"] != "published")]
    overall = rows[(rows["split"] == "tt") & (rows["subset"] == "all")]
    scores = dict(zip(overall["tag"], overall["si_sdri"], strict=True))
    systems = sorted(  # trained ones first, of these the best
        systems, key=lambda one: (one.tag in ORACLES, -scores.get(one.tag, -np.inf), one.tag)
    )
    groups = group((system.tag, system.examples) for system in systems)
    return {
        "name": name,
        "work": _work(overall),
        "systems": _systems(systems, media),
        "mixtures": [listen(why, members, media) for why, members in choose(groups)],
        "commands": list(commands(rows, name).itertuples()),
    }


def _work(rows: pd.DataFrame) -> list[Chart]:
    """Quality against each measure of work."""
    rows = rows.rename(columns={"tag": "system"})
    wanted = ["system", "si_sdri", *INTERVAL, *WORK]
    numbers = rows.reindex(columns=wanted).astype(dict.fromkeys(wanted[1:], float))
    numbers["macs_per_second"] /= 1e9
    charts = [work(numbers, column, label) for column, label in WORK.items()]
    return [chart for chart in charts if chart]


def _systems(systems: list[SystemPage], media: Media) -> list[dict[str, Any]]:
    """Charts and pictures of the systems of a corpus, on the same axes."""
    points = {id(system): _points(system.scores) for system in systems}
    known = [pairs for of_system in points.values() for pairs in of_system.values()]
    if known:
        inputs, outputs = np.concatenate(known).T
        both = (
            axis("SI-SDR of the mixture (dB)", inputs, across=True),
            axis("SI-SDR of the estimates (dB)", outputs, across=False),
        )
        gains = axis("SI-SDRi (dB)", outputs - inputs, across=True)
    shown = []
    for system in systems:
        charts = []
        if of_system := points[id(system)]:
            improved = {name: pairs[:, 1] - pairs[:, 0] for name, pairs in of_system.items()}
            charts = [histogram(improved, gains), scatter(of_system, both)]
        if system.epochs is not None and (chart := curves(system.epochs, system.loss)):
            charts.append(chart)
        pictures = [(text, media.add(png, ".png")) for text, png in system.pictures]
        if charts or pictures:
            shown.append({"tag": system.tag, "charts": charts, "pictures": pictures})
    return shown


def _points(scores: pd.DataFrame | None) -> dict[str, np.ndarray]:
    """SI-SDR in and out of each subset of genders, shape ``(mixture, 2)``; empty without any."""
    if scores is None or not {"si_sdri", "input_si_sdr"} <= set(scores):
        return {}
    names = pd.Series(subsets(scores))
    inputs = scores["input_si_sdr"].to_numpy(dtype=float)
    pairs = np.stack([inputs, inputs + scores["si_sdri"].to_numpy(dtype=float)], axis=1)
    known = np.isfinite(pairs).all(axis=1)
    chosen = {name: pairs[known & (names == name).to_numpy()] for name in sorted(set(names))}
    return {name: points for name, points in chosen.items() if len(points)}
