"""Speakers made of speakers: what happens to sources of dynamic mixing before they are added up.

:class:`Augmentation` draws the effects on a mixture's sources, which are a few numbers;
:class:`Effector` applies those of a batch, on the device that the batch is on. A source gets
other formants, another microphone or telephone, a room and a codec, in this order. Its power is
kept, so that gains mean the same. At the end it may be silenced for a while.

References are the sources with all their effects: they always add up to the mixture, and the
network does not learn to remove a room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch

# Formants: linear prediction has a coefficient for each kHz of the rate. More of them would follow
# the harmonics of high-pitched speakers instead of the formants.
FRAME_SECONDS, FRAMES_OVERLAP = 0.032, 4
NOISE_SHARE = 1e-4  # of a frame's energy, added as white noise: envelopes reach 40 dB down
# Microphones: places at which a curve of the response is drawn, in between it is straight in dB and
# octaves. Telephones: a second-order Butterworth slope on either side of the band.
CURVE_HZ = (100.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)
TELEPHONE_HZ = (300.0, 3400.0)
# Rooms: exponentially decaying noise after the direct path (Polack's model).
N_ROOMS = 300
DECAY_SECONDS = (0.1, 0.5)  # to fall by 60 dB
DIRECT_DB = (0.0, 12.0)  # energy of the direct path over that of all that follows
MU = 255.0  # of mu-law (ITU-T G.711)


class Effects(NamedTuple):
    """Effects on sources, ``(source, ...)`` for a mixture, ``(batch, source, ...)`` for a batch."""

    formants: np.ndarray | torch.Tensor  # factor of their frequencies
    curve: np.ndarray | torch.Tensor  # dB at CURVE_HZ, in a last dimension
    telephone: np.ndarray | torch.Tensor  # whether
    room: np.ndarray | torch.Tensor  # its number, -1 for none
    codec: np.ndarray | torch.Tensor  # whether
    silence: (
        np.ndarray | torch.Tensor
    )  # first sample and the one after the last, in a last dimension


@dataclass(frozen=True)
class Augmentation:
    """Draws effects; the block ``data.augment`` of the configuration.

    Args:
        formant_range: formants of a source move by a factor of 1 +- up to this, its pitch stays.
        filter_db: sources go through a random curve of +- up to this many dB.
        telephone_share: share of sources in the band of a telephone.
        room_share: share of sources in a room.
        codec_share: share of sources through 8-bit mu-law.
        silence_share: share of mixtures in which one source is silent, half of them throughout,
            the others for a part.
    """

    formant_range: float = 0.0
    filter_db: float = 0.0
    telephone_share: float = 0.0
    room_share: float = 0.0
    codec_share: float = 0.0
    silence_share: float = 0.0

    def __bool__(self) -> bool:
        """Whether there is anything to draw."""
        return any(getattr(self, item.name) > 0 for item in fields(self))

    def draw(self, lengths: np.ndarray, rng: np.random.Generator) -> Effects:
        """Draw the effects on the sources of a mixture.

        Args:
            lengths: of the sources in samples, ``(source,)``.
            rng: where the numbers come from; as many are drawn whatever the settings are.
        """
        n = len(lengths)
        formants = 1 + self.formant_range * rng.uniform(-1, 1, n)
        curve = self.filter_db * rng.uniform(-1, 1, (n, len(CURVE_HZ)))
        shares = (self.telephone_share, self.room_share, self.codec_share)
        telephone, roomy, codec = (rng.random(n) < share for share in shares)
        room = np.where(roomy, rng.integers(N_ROOMS, size=n), -1)
        silence = np.zeros((n, 2), dtype=np.int64)
        quiet, whole, source = rng.random(), rng.random(), int(rng.integers(n))
        start, end = np.sort(rng.random(2))
        if quiet < self.silence_share:
            share = (0.0, 1.0) if whole < 0.5 else (start, end)
            silence[source] = np.round(np.array(share) * lengths[source])
        return Effects(
            formants.astype(np.float32), curve.astype(np.float32), telephone, room, codec, silence
        )


class Effector:
    """Applies the effects of a batch.

    Args:
        augmentation: what may have been drawn; the rest is left out.
        sample_rate: Hz.
        seed: of the rooms.
    """

    def __init__(self, augmentation: Augmentation, sample_rate: int, seed: int) -> None:
        self.augmentation, self.sample_rate = augmentation, sample_rate
        self.rooms = torch.from_numpy(draw_rooms(sample_rate, seed))

    def __call__(self, sources: torch.Tensor, effects: Effects) -> torch.Tensor:
        """Apply.

        Args:
            sources: ``(batch, source, time)``.
            effects: on each, ``(batch, source)``.

        Returns:
            the sources, each with the power it had, but for its silence.
        """
        settings = self.augmentation
        formants, curve, telephone, room, codec, silence = map(torch.as_tensor, effects)
        power = sources.square().sum(-1, keepdim=True)
        if settings.formant_range:
            sources = move_formants(sources, formants, self.sample_rate)
        if settings.filter_db or settings.telephone_share:
            sources = filtered(sources, response(sources, curve, telephone, self.sample_rate))
        if settings.room_share:
            self.rooms = self.rooms.to(sources.device)
            wet = convolved(sources, self.rooms[room.clamp(min=0)])
            sources = torch.where(room[..., None] >= 0, wet, sources)
        if settings.codec_share:
            sources = torch.where(codec[..., None], mu_law(sources), sources)
        now = sources.square().sum(-1, keepdim=True)
        sources = sources * (power / now.clamp(min=torch.finfo(now.dtype).tiny)).sqrt()
        time = torch.arange(sources.shape[-1], device=sources.device)
        quiet = (time >= silence[..., :1]) & (time < silence[..., 1:])
        return sources.masked_fill(quiet, 0)


def move_formants(sources: torch.Tensor, factor: torch.Tensor, sample_rate: int) -> torch.Tensor:
    """Move the spectral envelope of each frame by a factor; its harmonics stay where they are.

    The envelope ``E(f)`` of a frame is that of linear prediction. Each frame's spectrum is
    multiplied by ``E(f / factor) / E(f)``.

    Args:
        sources: ``(batch, source, time)``.
        factor: ``(batch, source)``.
        sample_rate: Hz.
    """
    size = round(FRAME_SECONDS * sample_rate)
    window = torch.hann_window(size, device=sources.device)
    flat = sources.flatten(0, 1)
    hop = size // FRAMES_OVERLAP
    spectra = torch.stft(flat, size, hop, window=window, return_complex=True)
    envelope = log_envelope(spectra, round(sample_rate / 1000))
    n_bins = envelope.shape[1]
    place = torch.arange(n_bins, device=sources.device) / factor.reshape(-1, 1)
    place = place.clamp(max=n_bins - 1)[..., None]  # (source, bin, 1)
    below = place.floor().long().clamp(max=n_bins - 2)
    rows = below.expand_as(envelope)
    low, high = envelope.gather(1, rows), envelope.gather(1, rows + 1)
    moved = torch.lerp(low, high, (place - below).expand_as(low))
    shaped = spectra * torch.exp(moved - envelope)  # (source, bin, frame)
    signals = torch.istft(shaped, size, hop, window=window, length=flat.shape[-1])
    return signals.reshape(sources.shape)


def log_envelope(spectra: torch.Tensor, order: int) -> torch.Tensor:
    """Spectral envelope of each frame by linear prediction, natural logarithm, without the gain.

    Args:
        spectra: ``(source, bin, frame)``, complex.
        order: number of coefficients.

    Returns:
        ``(source, bin, frame)``.
    """
    size = 2 * (spectra.shape[1] - 1)
    power = spectra.abs().square().transpose(1, 2)
    lags = torch.fft.irfft(power)[..., : order + 1]  # autocorrelation, (source, frame, lag)
    lags[..., 0] = lags[..., 0] * (1 + NOISE_SHARE) + torch.finfo(lags.dtype).tiny
    lag = torch.arange(order, device=lags.device)
    matrix = (lags / lags[..., :1])[..., (lag - lag[:, None]).abs()]
    predictor = torch.linalg.solve(matrix, lags[..., 1:] / lags[..., :1])
    one = torch.ones_like(predictor[..., :1])
    whitening = torch.fft.rfft(torch.cat([one, -predictor], -1), size)
    return -torch.log(whitening.abs()).transpose(1, 2)


def response(
    sources: torch.Tensor, curve: torch.Tensor, telephone: torch.Tensor, sample_rate: int
) -> torch.Tensor:
    """Magnitude response of each source's microphone or telephone, ``(batch, source, bin)``.

    Args:
        sources: ``(batch, source, time)``, of which only the number of samples matters.
        curve: ``(batch, source, place)``, dB at :data:`CURVE_HZ`.
        telephone: ``(batch, source)``, whether there is one.
        sample_rate: Hz.
    """
    hertz = torch.fft.rfftfreq(_fft_size(sources.shape[-1]), 1 / sample_rate, device=curve.device)
    octaves = torch.log2(hertz.clamp(CURVE_HZ[0], CURVE_HZ[-1]))
    places = torch.log2(torch.tensor(CURVE_HZ, device=curve.device))
    right = torch.searchsorted(places, octaves).clamp(1, len(CURVE_HZ) - 1)
    share = (octaves - places[right - 1]) / (places[right] - places[right - 1])
    decibels = torch.lerp(curve[..., right - 1], curve[..., right], share)
    low, high = TELEPHONE_HZ
    band = (1 + (low / hertz.clamp(min=1.0)) ** 4).rsqrt() * (1 + (hertz / high) ** 4).rsqrt()
    return 10 ** (decibels / 20) * torch.where(telephone[..., None], band, torch.ones_like(band))


def filtered(sources: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Filter without delay: the response has no phase.

    Args:
        sources: ``(batch, source, time)``.
        magnitude: ``(batch, source, bin)``.
    """
    size = _fft_size(sources.shape[-1])
    spectra = torch.fft.rfft(sources, size) * magnitude
    return torch.fft.irfft(spectra, size)[..., : sources.shape[-1]]


def convolved(sources: torch.Tensor, impulses: torch.Tensor) -> torch.Tensor:
    """Convolve each source with an impulse response, and cut it to the length it had.

    Args:
        sources: ``(batch, source, time)``.
        impulses: ``(batch, source, lag)``.
    """
    size = _fft_size(sources.shape[-1] + impulses.shape[-1])
    spectra = torch.fft.rfft(sources, size) * torch.fft.rfft(impulses, size)
    return torch.fft.irfft(spectra, size)[..., : sources.shape[-1]]


def draw_rooms(sample_rate: int, seed: int) -> np.ndarray:
    """Draw impulse responses, ``(room, lag)``, float32, each with a direct path of 1 at lag 0.

    After it comes Gaussian noise that falls by 60 dB in a time of its own.
    """
    rng = np.random.default_rng([seed, N_ROOMS])
    lag = np.arange(round(DECAY_SECONDS[1] * sample_rate)) / sample_rate
    decay = rng.uniform(*DECAY_SECONDS, (N_ROOMS, 1))
    tail = rng.standard_normal((N_ROOMS, len(lag))) * 10 ** (-3 * lag / decay)
    tail[:, 0] = 0
    energy = 10 ** (-rng.uniform(*DIRECT_DB, (N_ROOMS, 1)) / 10)
    rooms = tail * np.sqrt(energy / np.square(tail).sum(1, keepdims=True))
    rooms[:, 0] = 1
    return rooms.astype(np.float32)


def mu_law(sources: torch.Tensor) -> torch.Tensor:
    """Code and decode in 8-bit mu-law, with the peak of each source as full scale.

    Args:
        sources: ``(batch, source, time)``; silence stays silence.
    """
    peak = sources.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(sources.dtype).tiny)
    x = sources / peak
    code = torch.round(127 * torch.log1p(MU * x.abs()) / math.log1p(MU))
    return torch.sign(x) * torch.expm1(code / 127 * math.log1p(MU)) / MU * peak


def stack_effects(effects: Sequence[Effects]) -> Effects:
    """Effects of a batch."""
    return Effects(*(torch.from_numpy(np.stack(values)) for values in zip(*effects, strict=True)))


def _fft_size(length: int) -> int:
    """Power of two that holds a signal twice: what is filtered does not wrap around audibly."""
    return 1 << (2 * length - 1).bit_length()
