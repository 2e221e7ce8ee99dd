"""Pictures for the report, each as the bytes of a PNG file."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from separation.evaluation.results import subset_of
from separation.files import atomic_path

# Its first use on a machine reports, seconds later, that it looks for fonts.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

# Okabe and Ito's colours, which colour-blind readers can distinguish, too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SPECTROGRAM_SIZE = (400, 128)  # pixels
SPECTROGRAM_RANGE = 70.0  # dB
CODE = Path(__file__).read_bytes() + matplotlib.__version__.encode()


def draw(path: Path, plot: Callable[..., bytes], *data: Any) -> None:
    """Draw a plot into a PNG file, unless the one there is whole and drawn by this code of this.

    Args:
        path: the file; a digest of what it was drawn from is in it (``Source``).
        plot: such as :func:`training_curve`.
        data: its arguments.
    """
    source = hashlib.sha256(CODE + pickle.dumps((plot.__name__, data))).hexdigest()
    if _source_of(path) != source:
        with atomic_path(path) as temporary:
            temporary.write_bytes(plot(*data, Source=source))


def _source_of(path: Path) -> str:
    """The ``Source`` of a picture; empty where there is none, or no whole picture."""
    if not path.is_file():
        return ""
    try:
        with Image.open(path) as picture:
            picture.load()
            return str(picture.info.get("Source", ""))
    except (OSError, SyntaxError):  # what Pillow raises of a file that is no picture
        return ""


def training_curve(table: pd.DataFrame, title: str, loss: str, **metadata: str) -> bytes:
    """Plot loss on tr and cv and the learning rate over the epochs.

    Args:
        table: an experiment's ``training_log.csv``: ``epoch``, ``loss``, ``val_loss``, ``lr``.
        title: above the plot.
        loss: its name and unit.
        metadata: texts for the PNG file.
    """
    figure = Figure(figsize=(6, 3.6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for column, label, colour in (
        ("loss", "training", COLOURS[0]),
        ("val_loss", "validation (cv)", COLOURS[1]),
    ):
        points = table[["epoch", column]].dropna()
        # One epoch alone is a point, which a line does not show.
        marker = "o" if len(points) < 20 else ""
        axes.plot(
            points["epoch"] + 1, points[column], color=colour, label=label, marker=marker, ms=3
        )
    axes.set(xlabel="epoch", ylabel=loss, title=_plain(title))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    rates = axes.twinx()
    rates.plot(table["epoch"] + 1, table["lr"], color="0.6", lw=1, label="learning rate")
    rates.set(ylabel="learning rate", ylim=(0, None))
    lines = [*axes.get_lines(), *rates.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], fontsize="small")
    return png(figure, **metadata)


def subsets(table: pd.DataFrame) -> list[str]:
    """Subset of each mixture by genders, such as FM, or what is said where one is not known."""
    genders = [column for column in table if column.startswith("gender_")]
    names = [subset_of(list(row)) for row in table[genders].to_numpy()]
    rest = "gender not known" if any(names) else "all"
    return [name or rest for name in names]


def improvement_plot(table: pd.DataFrame, title: str, **metadata: str) -> bytes:
    """Plot SI-SDRi of every mixture: over the input SI-SDR, and as a histogram.

    Args:
        table: ``scores.csv`` of an evaluated split; mixtures without a value are left out.
        title: above the plot.
        metadata: texts for the PNG file.
    """
    figure = Figure(figsize=(8, 3.6), dpi=100, layout="constrained")
    scatter, histogram = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    table = table.assign(subset=subsets(table)).dropna(subset=["si_sdri", "input_si_sdr"])
    names = sorted(set(table["subset"]))
    values = [table.loc[table["subset"] == name, "si_sdri"].to_numpy() for name in names]
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    labels = [f"{n} ({len(v)})" for n, v in zip(names, values, strict=True)]
    for name, value, colour, label in zip(names, values, colours, labels, strict=True):
        inputs = table.loc[table["subset"] == name, "input_si_sdr"]
        scatter.scatter(inputs, value, s=10, alpha=0.7, color=colour, label=label)
    histogram.hist(values, bins=25, orientation="horizontal", stacked=True, color=colours)
    for axes in (scatter, histogram):
        axes.axhline(0.0, color="0.5", lw=1)
        axes.axhline(table["si_sdri"].mean(), color="k", lw=1, ls="--")
        axes.grid(alpha=0.3)
    scatter.set(xlabel="SI-SDR of the mixture (dB)", ylabel="SI-SDRi (dB)")
    histogram.set(xlabel="mixtures", title=f"mean {table['si_sdri'].mean():.2f} dB")
    scatter.set_title(_plain(title))
    scatter.legend(fontsize="small")
    return png(figure, **metadata)


def example_plot(
    mixture: np.ndarray,
    references: np.ndarray,
    estimates: np.ndarray,
    sample_rate: int,
    **metadata: str,
) -> bytes:
    """Draw spectrograms of a mixture, of what was separated from it, and of its sources.

    Args:
        mixture: shape ``(time,)``.
        references: shape ``(source, time)``.
        estimates: shape ``(source, time)``, in the order of the references.
        sample_rate: in Hz.
        metadata: texts for the PNG file.
    """
    figure = Figure(figsize=(4 * (1 + len(references)), 4.6), dpi=80, layout="constrained")
    cells = figure.subplots(2, 1 + len(references), squeeze=False)
    cells[1, 0].set_visible(False)
    columns = [(cells[0, 0], mixture, "mixture")]
    for number, pair in enumerate(zip(estimates, references, strict=True), start=1):
        for axes, samples, name in zip(cells[:, number], pair, ("estimate", "source"), strict=True):
            columns.append((axes, samples, f"{name} {number}"))
    for axes, samples, name in columns:
        image = _shades(samples, sample_rate)
        seconds, kilohertz = samples.size / sample_rate, sample_rate / 2000
        axes.imshow(
            image,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, kilohertz),
            cmap="magma",
            vmin=0,
            vmax=1,
        )
        axes.set(title=name, xlabel="time (s)", ylabel="frequency (kHz)")
    return png(figure, **metadata)


def spectrogram(samples: np.ndarray, sample_rate: int, top: float) -> bytes:
    """Draw a spectrogram without axes: 0 Hz to half the rate, the quietest colour 70 dB below top.

    Args:
        samples: shape ``(time,)``.
        sample_rate: in Hz.
        top: level of the brightest colour, dB of full scale.
    """
    shades = np.clip(1.0 + (decibels(samples, sample_rate) - top) / SPECTROGRAM_RANGE, 0.0, 1.0)
    # An image of 64 colours is a quarter as large as one in full colour.
    indices = Image.fromarray((shades[::-1] * 63).astype(np.uint8)).resize(SPECTROGRAM_SIZE)
    palette = matplotlib.colormaps["inferno"](np.linspace(0, 1, 64))[:, :3]
    indices.putpalette((palette * 255).astype(np.uint8).tobytes())
    file = io.BytesIO()
    indices.save(file, "PNG", optimize=True)
    return file.getvalue()


def decibels(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Levels of ``(frequency, frame)`` in dB; a sine of full scale has 0 dB, silence -120 dB."""
    from scipy.signal import stft  # a second, needed only where there are recordings

    window = min(int(0.032 * sample_rate), samples.size)
    amplitude = 2.0 * np.abs(stft(samples, sample_rate, nperseg=window)[2])
    return 20.0 * np.log10(np.maximum(amplitude, 1e-6))


def _shades(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Levels of ``(frequency, frame)``: 1 at the loudest point, 0 at 70 dB below it and less."""
    level = decibels(samples, sample_rate)
    loudest = max(level.max(), -50.0)  # else silence were bright
    return np.clip(1.0 + (level - loudest) / SPECTROGRAM_RANGE, 0.0, 1.0)


def _plain(text: str) -> str:
    """A text in which matplotlib sees no formula."""
    return text.replace("$", r"\$")


def png(figure: Figure, **metadata: str) -> bytes:
    """The picture, with ``metadata`` in it; unlike ``savefig`` it lays out and draws only once."""
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file, metadata=metadata)
    return file.getvalue()
