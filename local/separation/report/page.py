"""The listening page: one HTML file with tables, plots, spectrograms and players in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from math import isnan, nan
from pathlib import Path

import pandas as pd
import soundfile

from separation.corpus.audio import audio_info, read_audio
from separation.corpus.problems import Problems
from separation.errors import RecipeError
from separation.files import atomic_path, visible
from separation.report.plots import spectrogram
from separation.report.tables import LEGEND, commands, corpus_table

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: auto; padding: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; }
tr { border-bottom: 1px solid #8886; }
th:first-child, td:first-child { text-align: left; }
pre { overflow-x: auto; padding: .5rem; background: #8882; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; margin: .4rem 0 1.2rem; }
figure { margin: 0; width: 22rem; max-width: 100%; }
figure img { width: 100%; display: block; }
.plots figure { width: auto; }
audio { width: 100%; height: 2rem; }
figcaption { font-size: .9rem; }
"""
ENDINGS = (".wav", "_estimate.wav")  # of the files of a source
SPECTROGRAM_LEGEND = "Spectrograms: 0 Hz at the bottom, half the sample rate at the top."


@dataclass(frozen=True)
class Listening:
    """One mixture of a system to listen to: the folder that stage 4 wrote, and its score.

    ``si_sdri`` is in dB, NaN where it could not be computed.
    """

    mixture_id: str
    folder: Path
    si_sdri: float


@dataclass(frozen=True)
class SystemPage:
    """What the page shows of one system besides its row in the table."""

    corpus: str
    tag: str
    plots: dict[str, bytes] = field(default_factory=dict)
    examples: list[Listening] = field(default_factory=list)


def write_page(results: pd.DataFrame, systems: list[SystemPage], path: Path) -> None:
    """Write the page.

    Args:
        results: of all systems, see :func:`separation.report.tables.load_results`.
        systems: those whose experiment folders are here; may be empty.
        path: the HTML file.
    """
    legend = escape(LEGEND).replace("**tt**", "<b>tt</b>").replace("**tr**", "<b>tr</b>")
    parts = [f"<h1>Separation results</h1><p>{legend} {SPECTROGRAM_LEGEND}</p>"]
    for corpus in sorted(set(results["corpus"]) | {system.corpus for system in systems}):
        here = [system for system in systems if system.corpus == corpus]
        parts.append(f"<h2>{escape(corpus)}</h2>")
        if corpus in set(results["corpus"]):
            parts += [_table(corpus_table(results, corpus)), _commands(results, corpus)]
        parts += [_listening(here), *(_plots(system) for system in here)]
    if not any(system.examples for system in systems):
        parts.append("<p>Nothing to listen to: stage 4 keeps examples in <code>exp/</code>.</p>")
    body = "\n".join(parts)
    with atomic_path(path) as temporary:
        temporary.write_text(
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Separation results</title>'
            f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n",
            encoding="utf-8",
        )


def find_examples(eval_dir: Path, table: pd.DataFrame, problems: Problems) -> list[Listening]:
    """List the examples that stage 4 kept, in the order of its table; damaged ones not."""
    found = []
    for row in table.to_dict("records"):
        folder = eval_dir / "examples" / row["mixture_ID"]
        estimates = visible(folder, "s*_estimate.wav")
        if not estimates:
            continue
        references = [folder / f"s{i + 1}{end}" for i in range(len(estimates)) for end in ENDINGS]
        try:
            for path in [folder / "mix.wav", *references]:
                read_audio(path)
        except RecipeError as error:
            problems.add(str(error))
        else:
            found.append(Listening(row["mixture_ID"], folder, row.get("si_sdri", nan)))
    return found


def _table(table: pd.DataFrame) -> str:
    def line(cells: Iterable[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    rows = [line(table.columns, "th"), *(line(row, "td") for row in table.to_numpy())]
    return '<div class="wide"><table>' + "\n".join(rows) + "</table></div>"


def _commands(results: pd.DataFrame, corpus: str) -> str:
    lines = [
        f"# {row.tag} ({row.splits}), {row.commit or 'no commit'}, {row.date}\n{row.command}"
        for row in commands(results, corpus).itertuples()
    ]
    text = escape("\n".join(lines))
    return f"<details><summary>Commands</summary><pre>{text}</pre></details>"


def _plots(system: SystemPage) -> str:
    if not system.plots:
        return ""
    figures = [
        f'<figure><img alt="{escape(name)}" src="{_data_uri(data, "image/png")}"></figure>'
        for name, data in system.plots.items()
    ]
    return f'<h3>{escape(system.tag)}</h3><div class="row plots">{"".join(figures)}</div>'


def _listening(systems: list[SystemPage]) -> str:
    """Show each mixture once, with its sources and what every system makes of it."""
    by_mixture: dict[tuple[str, bytes], list[tuple[str, Listening]]] = {}
    for system in systems:
        for example in system.examples:
            # Two systems may have been evaluated on different data under one name.
            key = (example.mixture_id, (example.folder / "mix.wav").read_bytes())
            by_mixture.setdefault(key, []).append((system.tag, example))
    parts = []
    for (mixture_id, _), examples in by_mixture.items():
        folder = examples[0][1].folder
        numbers = range(1, len(list(folder.glob("s*_estimate.wav"))) + 1)
        figures = [_player(folder / "mix.wav", "mixture")]
        figures += [_player(folder / f"s{i}.wav", f"source {i}") for i in numbers]
        parts.append(f"<h3>{escape(mixture_id)}</h3>" + _row(figures))
        for tag, example in examples:
            score = "no SI-SDRi" if isnan(example.si_sdri) else f"SI-SDRi {example.si_sdri:.1f} dB"
            estimates = {i: example.folder / f"s{i}_estimate.wav" for i in numbers}
            parts.append(f"<div>{escape(tag)}: {score}</div>")
            parts.append(_row([_player(p, f"{tag}, source {i}") for i, p in estimates.items()]))
    return "\n".join(parts)


def _row(figures: list[str]) -> str:
    return f'<div class="row">{"".join(figures)}</div>'


def _player(path: Path, caption: str) -> str:
    """A player with the spectrogram above it; FLAC is half as large as the 16-bit file."""
    rate = audio_info(path).sample_rate
    samples = read_audio(path)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    picture = _data_uri(spectrogram(samples, rate), "image/png")
    sound = _data_uri(file.getvalue(), "audio/flac")
    return (
        f'<figure><img alt="spectrogram" src="{picture}">'
        f'<audio controls preload="metadata" src="{sound}"></audio>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
