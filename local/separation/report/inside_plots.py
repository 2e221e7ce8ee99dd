"""Pictures of what :mod:`separation.report.inside` finds, each as the bytes of a PNG file.

Every picture has its caption in it (``Description``), where stage 5 reads it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from separation.report.inside import MOMENT, Filters, Occlusion
from separation.report.plots import COLOURS, SPECTROGRAM_RANGE, decibels, png

FLOOR = -40.0  # dB, of spectra of filters
CHANGE_FLOOR = -60.0  # dB, of changes of an output
FIELD_FLOOR = -100.0  # dB, of gradients


def filters_plot(banks: dict[str, Filters], sample_rate: int) -> bytes:
    """Draw the filters in time and frequency, lowest first, a column a bank."""
    figure = Figure(figsize=(5 * len(banks), 6), dpi=90, layout="constrained")
    cells = figure.subplots(2, len(banks), squeeze=False)
    for (name, bank), above, below in zip(banks.items(), *cells, strict=True):
        count, length = bank.taps.shape
        scaled = bank.taps / np.maximum(np.abs(bank.taps).max(axis=1, keepdims=True), 1e-12)
        above.imshow(
            scaled.T,
            aspect="auto",
            cmap="RdBu_r",
            vmin=-1,
            vmax=1,
            extent=(0, count, 1000 * length / sample_rate, 0),
        )
        above.set(title=f"{name}: {count} filters", ylabel="time (ms)")
        image = _heat(below, bank.spectra.T, (0, count, 0, sample_rate / 2000), FLOOR, 0.0)
        below.plot(np.arange(count) + 0.5, bank.peaks / 1000, color="w", lw=1)
        below.set(xlabel="filter, by frequency", ylabel="frequency (kHz)")
    figure.colorbar(image, ax=cells[1, :], label="dB below its peak")
    return _png(figure, "Learned filters sorted by frequency: in time, and their spectra.")


def masks_plot(
    mixture: np.ndarray, masks: np.ndarray, banks: dict[str, Filters], sample_rate: int
) -> bytes:
    """Draw the masks ``(source, channel, frame)`` below the spectrogram of their mixture.

    Channels of learned encoders are sorted by the frequency of their filters.
    """
    seconds, kilohertz = mixture.size / sample_rate, sample_rate / 2000
    figure = Figure(figsize=(9, 2.4 * (1 + len(masks))), dpi=90, layout="constrained")
    cells = figure.subplots(1 + len(masks), 1, sharex=True)
    levels = decibels(mixture, sample_rate)
    top = float(levels.max())
    image = _heat(
        cells[0], levels, (0, seconds, 0, kilohertz), top - SPECTROGRAM_RANGE, top, "inferno"
    )
    cells[0].set(title="mixture", ylabel="frequency (kHz)")
    figure.colorbar(image, ax=cells[0], label="dB")
    high, label = kilohertz, "frequency (kHz)"
    if "encoder" in banks:
        masks, high, label = masks[:, banks["encoder"].order], masks.shape[1], "filter"
    for number, (axes, mask) in enumerate(zip(cells[1:], masks, strict=True), start=1):
        image = _heat(axes, mask, (0, seconds, 0, high), 0.0, max(1.0, float(masks.max())))
        axes.set(title=f"mask of output {number}", ylabel=label)
        figure.colorbar(image, ax=axes, label="mask")
    cells[-1].set(xlabel="time (s)")
    return _png(figure, "Masks over time, below the spectrogram of their mixture.")


def occlusion_plot(found: list[Occlusion], seconds: float, sample_rate: int) -> bytes:
    """Draw which patches of a mixture of some length each output needs at its loudest moment."""
    figure = Figure(figsize=(9, 2.4 * len(found)), dpi=90, layout="constrained")
    cells = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for number, (axes, one) in enumerate(zip(cells, found, strict=True), start=1):
        extent = (0, seconds, 0, sample_rate / 2000)
        image = _heat(axes, one.change, extent, CHANGE_FLOOR, 0.0)
        for edge in (one.moment, one.moment + MOMENT):
            axes.axvline(edge, color="w", lw=1, ls="--")
        axes.set(title=f"output {number}", ylabel="frequency (kHz)")
    cells[-1].set(xlabel="time of the patch (s)")
    figure.colorbar(image, ax=cells, label="change (dB of the output)")
    return _png(
        figure,
        "What an output listens to: its change between the dashed lines when a patch is taken out"
        " of the mixture.",
    )


def field_plot(
    offsets: np.ndarray, slopes: np.ndarray, sample_rate: int, field: tuple[int, int] | None
) -> bytes:
    """Draw gradients over the distance from output to input.

    Args:
        offsets: in samples, negative for the past, ``(offset,)``.
        slopes: magnitudes of the gradient there, ``(offset,)``.
        sample_rate: in Hz.
        field: first and last offset that the convolutions reach; None: the whole utterance.
    """
    figure = Figure(figsize=(9, 3.2), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    times = 1000 * offsets / sample_rate
    shares = slopes / max(slopes.max(), 1e-30)
    levels = 20 * np.log10(np.maximum(shares, 10 ** (FIELD_FLOOR / 20)))
    axes.plot(times, levels, lw=0.5, color=COLOURS[0])
    said = "the architecture's field is the whole utterance"
    if field is not None:
        edges = [1000 * edge / sample_rate for edge in field]
        axes.axvspan(edges[0], edges[1], color="0.85", zorder=0)
        inside = (offsets >= field[0]) & (offsets <= field[1])
        share = np.square(slopes[inside]).sum() / max(np.square(slopes).sum(), 1e-30)
        said = (
            f"{100 * share:.1f} % of its energy is within the field of the convolutions (grey),"
            f" {edges[0]:.0f} to {edges[1]:.0f} ms"
        )
    axes.axvline(0, color="k", lw=0.8, ls=":", zorder=1)  # behind the peak that is there
    axes.set(xlim=(times[0], times[-1]), xlabel="time of the input minus that of the output (ms)")
    axes.set(ylabel="gradient (dB of its peak)")
    axes.set_ylim(FIELD_FLOOR, 5)
    return _png(figure, f"Gradient of an output sample with respect to the input; {said}.")


def activity_plot(levels: np.ndarray, seconds: float) -> bytes:
    """Draw the levels ``(block, frame)`` of what blocks put out."""
    figure = Figure(figsize=(9, 3.2), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    extent = (0, seconds, 0.5, len(levels) + 0.5)
    image = _heat(axes, levels, extent, float(levels.min()), float(levels.max()))
    axes.set(xlabel="time (s)", ylabel="block, first at the bottom")
    figure.colorbar(image, ax=axes, label="RMS of the output (dB)")
    return _png(figure, "Activity of the blocks: RMS over the channels that each puts out.")


def _heat(
    axes: Any, values: np.ndarray, extent: tuple, low: float, high: float, colours: str = "viridis"
) -> Any:
    """An image whose first row is at the bottom."""
    return axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=extent,
        cmap=colours,
        vmin=low,
        vmax=high,
    )


def _png(figure: Figure, caption: str) -> bytes:
    return png(figure, Description=caption)
