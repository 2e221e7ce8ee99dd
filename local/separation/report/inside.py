"""Looks inside a network, as numbers: filters, masks, what an output depends on, activity.

:mod:`separation.report.inside_plots` draws them, ``local/explain.py`` writes the pictures.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from asteroid_filterbanks import FreeFB
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann
from torch import nn

from separation.errors import RecipeError

BINS = 1024  # of the spectrum of a filter, which is padded with zeros to that
BLOCKS = ("TCN", "net", "sm")  # what Asteroid's maskers call the list of their blocks
QUIET = 1e-6  # amplitude in place of 0, -120 dB
MOMENT = 0.1  # seconds of an output whose causes are asked for
PATCHES = (10, 24)  # of an occluded mixture: bands, pieces of time
WINDOW = 0.032  # seconds, of the STFT that patches are taken out of
PLACES = 8  # output samples whose gradients are averaged


@dataclass(frozen=True)
class Filters:
    """Filters in the order of their frequencies.

    Attributes:
        taps: shape ``(filter, time)``.
        peaks: frequency at which each is strongest, Hz, rising.
        order: where each was before, shape ``(filter,)``.
        spectra: dB below the strongest point of each, shape ``(filter, frequency)``, 0 Hz to half
            the sample rate.
    """

    taps: np.ndarray
    peaks: np.ndarray
    order: np.ndarray
    spectra: np.ndarray


@dataclass(frozen=True)
class Occlusion:
    """What is missing in an output when a patch of the mixture is.

    Attributes:
        moment: start of the piece of output that is looked at, seconds; it lasts :data:`MOMENT`.
        change: energy of the change over that of the output, dB, shape ``(band, piece)``.
    """

    moment: float
    change: np.ndarray


def learned_filters(model: nn.Module, sample_rate: int) -> dict[str, Filters]:
    """Filters of ``encoder`` and ``decoder``; empty if they are not learned, such as an STFT."""
    found = {}
    for name in ("encoder", "decoder"):
        bank = getattr(getattr(model, name, None), "filterbank", None)
        if isinstance(bank, FreeFB):
            taps = bank.filters().detach().cpu().numpy()[:, 0]
            found[name] = sort_filters(taps, sample_rate)
    return found


def sort_filters(taps: np.ndarray, sample_rate: int) -> Filters:
    """Sort filters, shape ``(filter, time)``, by the frequency at which they are strongest."""
    spectra = np.abs(np.fft.rfft(taps, max(BINS, taps.shape[1])))
    peaks = np.fft.rfftfreq(max(BINS, taps.shape[1]), 1 / sample_rate)[spectra.argmax(axis=1)]
    order = np.argsort(peaks, kind="stable")
    spectra = spectra / np.maximum(spectra.max(axis=1, keepdims=True), QUIET)
    levels = 20 * np.log10(np.maximum(spectra, QUIET))
    return Filters(taps[order], peaks[order], order, levels[order])


def masks(model: nn.Module, mixture: np.ndarray) -> np.ndarray:
    """The masks of a mixture ``(time,)``: shape ``(source, channel, frame)``."""
    with _watching([model.get_submodule("masker")]) as seen:
        _run(model, mixture)
    return seen[0][0].numpy()


def activity(model: nn.Module, mixture: np.ndarray) -> np.ndarray:
    """RMS over channels of what each block puts out, dB, shape ``(block, frame)``.

    Blocks that work on frames in another arrangement (dual-path) are averaged over all of them, and
    have the same value in each frame.

    Raises:
        RecipeError: a network without such blocks.
    """
    masker = model.get_submodule("masker")
    blocks = next((getattr(masker, name) for name in BLOCKS if hasattr(masker, name)), None)
    if blocks is None:
        raise RecipeError(f"{type(model).__name__}: no list of blocks named {', '.join(BLOCKS)}")
    with _watching(blocks) as seen:
        _run(model, mixture)
    powers = []
    for output in seen:
        power = output[0].square().mean(dim=0)
        powers.append(power if power.ndim == 1 else power.mean().reshape(1))
    frames = max(len(power) for power in powers)
    rows = [power.expand(frames) if len(power) == 1 else power for power in powers]
    levels = torch.stack([row[:frames] for row in rows]).clamp(min=QUIET**2).log10() * 10
    return levels.numpy()


def occlusion(model: nn.Module, mixture: np.ndarray, sample_rate: int) -> list[Occlusion]:
    """Take patches out of the STFT of a mixture and see which ones each output needs.

    An output is looked at where it is loudest, for :data:`MOMENT`.

    Args:
        model: the network.
        mixture: shape ``(time,)``.
        sample_rate: in Hz.

    Returns:
        one for each output.
    """
    whole = _run(model, mixture)
    span = min(round(MOMENT * sample_rate), mixture.size)
    starts = [loudest_moment(estimate, span) for estimate in whole]
    changes = np.empty((len(whole), *PATCHES))
    for (band, piece), samples in without_patches(mixture, sample_rate):
        estimates = _run(model, samples)
        for source, start in enumerate(starts):
            part = slice(start, start + span)
            energy = np.square(whole[source, part]).sum()
            change = np.square(estimates[source, part] - whole[source, part]).sum()
            ratio = change / max(energy, QUIET**2)
            changes[source, band, piece] = 10 * np.log10(max(ratio, QUIET**2))
    moments = [start / sample_rate for start in starts]
    return [Occlusion(*pair) for pair in zip(moments, changes, strict=True)]


def without_patches(
    mixture: np.ndarray, sample_rate: int
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Yield band and piece of each of the :data:`PATCHES`, and ``(time,)`` without it."""
    window, length = round(WINDOW * sample_rate), mixture.size
    padded = np.pad(mixture.astype(np.float64), (0, max(window - length, 0)))
    stft = ShortTimeFFT(hann(window, sym=False), window // 4, sample_rate)
    spectrum = stft.stft(padded)
    bands = np.linspace(0, spectrum.shape[0], PATCHES[0] + 1).round().astype(int)
    # Frame k is around sample k * hop, counted from stft.p_min.
    pieces = np.linspace(0, length, PATCHES[1] + 1)
    frames = np.searchsorted((np.arange(spectrum.shape[1]) + stft.p_min) * stft.hop, pieces)
    frames[0], frames[-1] = 0, spectrum.shape[1]
    for band in range(PATCHES[0]):
        for piece in range(PATCHES[1]):
            left = spectrum.copy()
            left[bands[band] : bands[band + 1], frames[piece] : frames[piece + 1]] = 0
            samples = stft.istft(left, k1=padded.size)[:length]
            yield (band, piece), samples.astype(np.float32)


def loudest_moment(samples: np.ndarray, span: int) -> int:
    """First of the ``span`` samples in a row of ``(time,)`` that have the most energy."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    return int(np.argmax(energy[span:] - energy[:-span]))


def gradients(model: nn.Module, mixture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much one output sample changes with each input sample (effective receptive field).

    Luo, Li, Urtasun and Zemel, "Understanding the effective receptive field in deep convolutional
    neural networks", NeurIPS 2016.

    Args:
        model: the network.
        mixture: shape ``(time,)``, at least 16 samples.

    Returns:
        samples from the output to the input, negative for the past; and the magnitude of the
        gradient there, mean over the outputs and some output samples in the middle.
    """
    length = mixture.size
    places = np.linspace(length * 3 // 8, length * 5 // 8, PLACES).astype(int)
    reach = length * 3 // 8 - 1
    wave = torch.as_tensor(mixture, dtype=torch.float32)[None].requires_grad_()
    total = np.zeros(2 * reach + 1)
    with torch.enable_grad():
        estimates = model(wave)[0]
        for place in places:
            for estimate in estimates:
                (slope,) = torch.autograd.grad(estimate[place], wave, retain_graph=True)
                total += slope[0, place - reach : place + reach + 1].abs().numpy()
    return np.arange(-reach, reach + 1), total / (len(places) * len(estimates))


def _run(model: nn.Module, mixture: np.ndarray) -> np.ndarray:
    """Estimates ``(source, time)`` of a mixture ``(time,)``."""
    with torch.no_grad():
        return model(torch.as_tensor(mixture, dtype=torch.float32)[None])[0].numpy()


@contextlib.contextmanager
def _watching(modules: Iterable[nn.Module]) -> Iterator[list[torch.Tensor]]:
    """Yield a list that takes what the modules put out, in their order of use."""
    seen: list[torch.Tensor] = []
    handles = [module.register_forward_hook(partial(_keep, seen)) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _keep(seen: list[torch.Tensor], _module: nn.Module, _inputs: Any, output: Any) -> None:
    first = output[0] if isinstance(output, tuple) else output
    seen.append(first.detach().clone())
