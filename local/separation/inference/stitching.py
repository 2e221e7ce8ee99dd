"""Which source of a segment is which of the next: speakers kept over a whole recording.

Entry point: :func:`find_orders`, from what :func:`compare_seam` and :func:`describe_voices`
measure. Two things tell: the estimates of two segments where these overlap, and how the voices
sound. Were neighbours matched one by one, a pause as long as the overlap could exchange everybody
after it; here the orders of all segments are found together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from torchaudio.functional import melscale_fbanks  # type: ignore[import-untyped]

FRAME_SECONDS = 0.032
BANDS = 24  # of a voice's spectrum
PITCHES = (70.0, 400.0)  # Hz
VOICED = 0.5  # autocorrelation at the pitch's lag, to that at 0, of a frame that has a pitch
HEARD = 0.8  # share of a frame's energy with which a source describes itself
QUIET_DB = -30.0  # of a frame, to the loudest: a pause
PITCH_SCALE = 5.0  # of an octave, beside a factor of e in a band
SURE = 0.5  # a seam that says less than this much more for one order than for the others is weak
SEAM_WEIGHT = 20.0  # of a seam that fits in one order only, beside the voices of a segment
ROUNDS = 10


@dataclass(frozen=True)
class Voices:
    """How the sources of a segment sound.

    Attributes:
        features: ``(source, feature)``, NaN where one is not known.
        seconds: ``(source,)``, for how long they were heard alone, or nearly so.
    """

    features: np.ndarray
    seconds: np.ndarray


def compare_seam(before: np.ndarray, after: np.ndarray, loudness: float) -> np.ndarray:
    """How well each source of a segment goes on as each of the next, where they overlap.

    Args:
        before: of one segment, the samples that the next has, too, ``(source, time)``.
        after: of the next, the same samples.
        loudness: mean square of the recording; in an overlap that is silent beside it, nothing
            can be told.

    Returns:
        ``(source, source)``: ``2 <a, b>`` to the energies of all; over an order of identical
        estimates that adds up to 1, less where the overlap is 30 dB below the recording.
    """
    energy = float(np.square(before).sum() + np.square(after).sum())
    floor = 2 * loudness * before.shape[1] * 10 ** (QUIET_DB / 10)
    return 2 * (before @ after.T).astype(np.float64) / (energy + floor + np.finfo(float).tiny)


def describe_voices(estimates: np.ndarray, sample_rate: int) -> Voices:
    """Measure mean log spectrum and mean pitch of each source, in frames that are mostly its own.

    Args:
        estimates: of a segment, ``(source, time)``.
        sample_rate: Hz.
    """
    size = 2 ** round(np.log2(FRAME_SECONDS * sample_rate))
    signals = torch.from_numpy(np.ascontiguousarray(estimates))
    signals = torch.nn.functional.pad(signals, (0, max(0, size - signals.shape[1])))
    frames = signals.unfold(1, size, size // 2) * torch.hann_window(size)
    spectra = torch.fft.rfft(frames, 2 * size).abs().square()
    energy = spectra.sum(-1)
    loud = energy.sum(0) > energy.sum(0).max() * 10 ** (QUIET_DB / 10)
    heard = loud & (energy > HEARD * energy.sum(0).clamp(min=torch.finfo(energy.dtype).tiny))
    filters = melscale_fbanks(spectra.shape[-1], 80.0, sample_rate / 2, BANDS, sample_rate)
    bands = (spectra @ filters).clamp(min=1e-10).log()
    bands = bands - bands.mean(-1, keepdim=True)  # of any level
    pitch = _pitches(spectra, sample_rate)
    features = np.zeros((len(estimates), BANDS + 1))
    for source, own in enumerate(heard):
        if own.any():
            features[source, :BANDS] = bands[source, own].mean(0)
            voiced = pitch[source, own & (pitch[source] > 0)]
            octaves = voiced.log2().mean() if len(voiced) else np.nan
            features[source, BANDS] = PITCH_SCALE * octaves
    return Voices(features, heard.sum(1).numpy() * size / 2 / sample_rate)


def _pitches(spectra: torch.Tensor, sample_rate: int) -> torch.Tensor:
    """Pitch of every frame in Hz, 0 where there is none, by autocorrelation."""
    correlation = torch.fft.irfft(spectra)
    shortest, longest = (round(sample_rate / pitch) for pitch in PITCHES[::-1])
    best, lag = correlation[..., shortest : longest + 1].max(-1)
    voiced = best > VOICED * correlation[..., 0]
    return torch.where(voiced, sample_rate / (lag + shortest), torch.zeros(()))


def find_orders(seams: Sequence[np.ndarray], voices: Sequence[Voices]) -> list[tuple[int, ...]]:
    """Find the order of each segment's sources in which the same speaker has the same place.

    Segments between weak seams are first put together by their voices, those that were heard
    longest before the others; then the orders of all segments that fit seams and voices best are
    found by dynamic programming, and the mean voices again, until nothing changes.

    Args:
        seams: between segment and next, of :func:`compare_seam`; one less than there are segments.
        voices: of every segment.

    Returns:
        for every segment, which of its sources come at which place.
    """
    n_src = len(voices[0].seconds)
    orders = list(permutations(range(n_src)))
    features, seconds = _stacked(voices)
    links = [SEAM_WEIGHT * _of_orders(seam, orders) for seam in seams]
    chosen = _first_guess(links, features, seconds, orders)
    for _ in range(ROUNDS):
        before = chosen
        means = _means(features, seconds, [orders[c] for c in chosen])
        chosen = _best_path(_fits(features, seconds, means, orders), links)
        if chosen == before:
            break
    first = orders[chosen[0]]  # the first segment stays as it is
    back = [first.index(source) for source in range(n_src)]
    return [tuple(orders[c][place] for place in back) for c in chosen]


def _stacked(voices: Sequence[Voices]) -> tuple[np.ndarray, np.ndarray]:
    """Features ``(segment, source, feature)`` and seconds; what is not known is as on average."""
    features = np.stack([v.features for v in voices])
    seconds = np.stack([v.seconds for v in voices])
    known = np.isfinite(features) & (seconds > 0)[..., None]
    average = features.sum((0, 1), where=known) / np.maximum(known.sum((0, 1)), 1)
    return np.where(known, features, average), seconds


def _of_orders(seam: np.ndarray, orders: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Sum of a seam for each order before it and each after it."""
    return np.array([[seam[one, other].sum() for other in orders] for one in orders])


def _first_guess(
    links: Sequence[np.ndarray],
    features: np.ndarray,
    seconds: np.ndarray,
    orders: Sequence[tuple[int, ...]],
) -> list[int]:
    """Orders by the seams within runs of segments, and by the voices from run to run."""
    runs: list[list[int]] = [[0]]
    chosen = [0]
    for number, link in enumerate(links, 1):
        scores = link[chosen[-1]]
        best, second = np.sort(scores)[::-1][:2] if len(scores) > 1 else (np.inf, 0.0)
        chosen.append(int(scores.argmax()))
        if best - second < SURE * SEAM_WEIGHT:
            runs.append([])
        runs[-1].append(number)
    runs.sort(key=lambda run: -seconds[run].sum())
    placed = list(runs[0])
    for run in runs[1:]:
        means = _means(features[placed], seconds[placed], [orders[chosen[k]] for k in placed])
        # Another order for the run is one more order after those of its segments.
        moved = [[_after(orders[chosen[k]], o, orders) for k in run] for o in orders]
        fits = _fits(features[run], seconds[run], means, orders)
        sums = [sum(fits[at, c] for at, c in enumerate(one)) for one in moved]
        for k, order in zip(run, moved[int(np.argmax(sums))], strict=True):
            chosen[k] = order
        placed += run
    return chosen


def _after(first: tuple[int, ...], then: tuple[int, ...], orders: Sequence[tuple[int, ...]]) -> int:
    return orders.index(tuple(first[place] for place in then))


def _means(
    features: np.ndarray, seconds: np.ndarray, chosen: Sequence[tuple[int, ...]]
) -> np.ndarray:
    """Mean features of each place ``(source, feature)``, by the seconds behind them."""
    rows = np.arange(len(chosen))[:, None], np.array(chosen)
    weights = seconds[rows][..., None]
    return (weights * features[rows]).sum(0) / np.maximum(weights.sum(0), 1e-9)


def _fits(
    features: np.ndarray,
    seconds: np.ndarray,
    means: np.ndarray,
    orders: Sequence[tuple[int, ...]],
) -> np.ndarray:
    """How well the voices of each segment fit the mean ones in each order ``(segment, order)``."""
    distances = np.square(features[:, :, None] - means).mean(-1)  # (segment, source, place)
    distances *= np.minimum(seconds, 1.0)[..., None]
    places = np.arange(features.shape[1])
    return -np.stack([distances[:, list(order), places].sum(-1) for order in orders], 1)


def _best_path(fits: np.ndarray, links: Sequence[np.ndarray]) -> list[int]:
    """The order of each segment with the largest sum of fits and links (Viterbi)."""
    scores, origins = fits[0], []
    for fit, link in zip(fits[1:], links, strict=True):
        both = scores[:, None] + link
        origins.append(both.argmax(0))
        scores = both.max(0) + fit
    path = [int(scores.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return path[::-1]
