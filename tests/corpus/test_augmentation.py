"""Effects on the sources of dynamic mixing, by values."""

import functools
import math

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import fftconvolve, lfilter
from torch.utils.data import DataLoader

from separation.corpus.augmentation import (
    CURVE_HZ,
    DIRECT_DB,
    N_ROOMS,
    Augmentation,
    Effector,
    convolved,
    draw_rooms,
    filtered,
    move_formants,
    mu_law,
    response,
    stack_effects,
)
from separation.corpus.datasets import EpochSampler
from separation.corpus.dynamic import SPEED_UNIT, DynamicMixing, MixDraw, stack
from separation.corpus.layout import Corpus
from separation.corpus.lists import Utterance, read_sources
from tiny_corpus import RATE, make_corpus

ALL = Augmentation(
    formant_range=0.15,
    filter_db=6.0,
    telephone_share=0.3,
    room_share=0.5,
    codec_share=0.3,
    silence_share=0.5,
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


def dynamic(data_dir, augmentation=ALL, seed=1, utterances=None):
    utterances = utterances or [u for u in read_sources(data_dir) if u.split == "tr"]
    draw = MixDraw(4000, speed_range=0.1, augmentation=augmentation)
    return DynamicMixing(utterances, Corpus(data_dir, data_dir), draw, size=40, seed=seed, nj=1)


def mixed(dataset, *keys):
    return dataset.mixer()(stack([dataset[key] for key in keys]))


effector = functools.cache(Effector)  # its rooms take a tenth of a second


def apply(augmentation, sources, seed=0):
    """One mixture with the effects that a seed draws."""
    drawn = augmentation.draw(np.full(len(sources), sources.shape[-1]), np.random.default_rng(seed))
    return effector(augmentation, RATE, 0)(sources[None], stack_effects([drawn]))[0], drawn


def vowel(pitch, formants, seconds=1.0):
    """Pulses of ``pitch`` Hz through resonances of 80 Hz width, ``(time,)``."""
    signal = np.zeros(round(seconds * RATE))
    signal[:: round(RATE / pitch)] = 1
    for formant in formants:
        radius = math.exp(-math.pi * 80 / RATE)
        poles = [1, -2 * radius * math.cos(2 * math.pi * formant / RATE), radius**2]
        signal = lfilter([1], poles, signal)
    return torch.from_numpy(signal / np.abs(signal).max()).float()


def harmonics(signal, pitch):
    """Level of each multiple of ``pitch`` Hz, dB, and what share of the energy is elsewhere."""
    middle = signal[2000:6000].double().numpy()
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(4000))) ** 2
    step = pitch * 4000 / RATE
    places = np.round(np.arange(1, int(2000 / step)) * step).astype(int)
    near = sum(spectrum[places + offset] for offset in (-2, -1, 0, 1, 2))
    return 10 * np.log10(near), 1 - near.sum() / spectrum[: places[-1] + 3].sum()


@pytest.mark.parametrize("factor", [0.85, 1.15])
@pytest.mark.parametrize("pitch", [100, 160])
def test_formants_move_by_the_factor_and_the_pitch_stays(pitch, factor):
    """Against a vowel that was made with the other formants: harmonics above -25 dB agree."""
    moved = move_formants(vowel(pitch, (700, 1800))[None, None], torch.tensor([[factor]]), RATE)
    levels, rest = harmonics(moved[0, 0], pitch)
    assert rest < 0.02  # no energy but at multiples of the pitch
    wanted, _ = harmonics(vowel(pitch, (700 * factor, 1800 * factor)), pitch)
    before, _ = harmonics(vowel(pitch, (700, 1800)), pitch)
    levels, wanted, before = (values - values.max() for values in (levels, wanted, before))
    assert np.argmax(levels) == np.argmax(wanted)
    loud = wanted > -25
    off, off_before = (np.abs(values - wanted)[loud].mean() for values in (levels, before))
    assert off < min(3, 0.75 * off_before)


def test_formants_that_do_not_move_leave_the_signal():
    torch.manual_seed(0)
    sources = torch.randn(2, 2, 3001)
    torch.testing.assert_close(
        move_formants(sources, torch.ones(2, 2), RATE), sources, atol=1e-4, rtol=0
    )


def test_a_tone_gets_the_gain_of_the_curve_at_its_place():
    time = torch.arange(RATE) / RATE
    tones = torch.stack([torch.sin(2 * torch.pi * f * time) for f in (1000.0, 250.0)])[None]
    curve = torch.zeros(1, 2, len(CURVE_HZ))
    curve[..., CURVE_HZ.index(1000.0)] = 6.0
    got = filtered(tones, response(tones, curve, torch.zeros(1, 2, dtype=torch.bool), RATE))
    gains = (got[..., 2000:6000] * tones[..., 2000:6000]).sum(-1) / 2000
    np.testing.assert_allclose(gains[0], [10 ** (6 / 20), 1.0], rtol=2e-3)


@pytest.mark.parametrize(
    ("hertz", "gain"), [(50, (1 + 6.0**4) ** -0.5), (300, 0.5**0.5), (1000, 1.0), (3400, 0.5**0.5)]
)
def test_a_telephone_has_its_band(hertz, gain):
    time = torch.arange(RATE) / RATE
    tone = torch.sin(2 * torch.pi * hertz * time)[None, None]
    magnitude = response(tone, torch.zeros(1, 1, len(CURVE_HZ)), torch.tensor([[True]]), RATE)
    got = filtered(tone, magnitude)
    found = (got * tone)[..., 2000:6000].sum() / tone[..., 2000:6000].square().sum()
    other = 1 / (1 + (300 / hertz) ** 4) ** 0.5 / (1 + (hertz / 3400) ** 4) ** 0.5
    assert found.item() == pytest.approx(other, rel=5e-3)
    assert found.item() == pytest.approx(gain, rel=1e-2)


def test_rooms_are_a_direct_path_and_noise_that_decays():
    rooms = draw_rooms(RATE, seed=3)
    assert rooms.shape == (N_ROOMS, RATE // 2)
    assert (rooms[:, 0] == 1).all()
    tail = np.square(rooms[:, 1:]).sum(1)
    decibels = -10 * np.log10(tail)
    assert DIRECT_DB[0] - 1e-3 <= decibels.min() < 1
    assert 11 < decibels.max() <= DIRECT_DB[1] + 1e-3
    early, late = (np.square(rooms[:, part]).sum() for part in (slice(1, 800), slice(2400, 3200)))
    assert late < 0.05 * early
    np.testing.assert_array_equal(rooms, draw_rooms(RATE, seed=3))
    assert not np.array_equal(rooms, draw_rooms(RATE, seed=4))


def test_convolution_is_that_of_scipy():
    rng = np.random.default_rng(0)
    sources, impulses = rng.standard_normal((2, 2, 700)), rng.standard_normal((2, 2, 300))
    got = convolved(torch.from_numpy(sources), torch.from_numpy(impulses))
    expected = fftconvolve(sources, impulses, axes=-1)[..., :700]
    np.testing.assert_allclose(got, expected, atol=1e-10)


def test_mu_law_by_hand():
    got = mu_law(torch.tensor([[[1.0, -1.0, 0.0, 0.1, 1e-5]]]))[0, 0]
    code = round(127 * math.log1p(25.5) / math.log1p(255))
    assert got[:3].tolist() == pytest.approx([1.0, -1.0, 0.0])
    assert got[3].item() == pytest.approx(math.expm1(code / 127 * math.log1p(255)) / 255, rel=1e-4)
    assert got[4] == 0
    scaled = mu_law(torch.tensor([[[0.5, 0.05]]]))[0, 0]
    torch.testing.assert_close(scaled, got[[0, 3]] / 2)


def test_silence_stays_silence_and_levels_stay():
    torch.manual_seed(0)
    sources = torch.stack([torch.zeros(4000), torch.randn(4000)])
    without = Augmentation(0.15, 6.0, 0.5, 0.9, 0.5, 0.0)
    for seed in range(5):
        got, _ = apply(without, sources, seed)
        assert not got[0].any()
        assert got[1].square().sum().item() == pytest.approx(sources[1].square().sum().item(), 1e-4)
        assert not torch.allclose(got[1], sources[1], atol=0.1)


def test_one_source_is_silent_where_it_was_drawn():
    sources = torch.ones(2, 1000)
    silent = []
    for seed in range(300):
        got, drawn = apply(Augmentation(silence_share=0.5), sources, seed)
        for row, (start, end) in enumerate(drawn.silence):
            expected = torch.ones(1000)
            expected[start:end] = 0
            assert torch.equal(got[row], expected)
        assert (got == 1).all(dim=1).any()  # the other one is whole
        silent.append(1 - got.mean(1).min().item())
    whole, part = np.mean(np.array(silent) == 1), np.mean(np.array(silent) > 0)
    assert part == pytest.approx(0.5, abs=0.1)
    assert whole == pytest.approx(0.25, abs=0.08)


def test_a_tone_moves_by_the_speed_that_was_drawn(tmp_path):
    """Through the whole of dynamic mixing: the loudest frequency of each source."""
    utterances = []
    for speaker, hertz in (("a", 400), ("b", 1000)):
        (tmp_path / "sources").mkdir(exist_ok=True)
        tone = 0.5 * np.sin(2 * np.pi * hertz / RATE * np.arange(RATE))
        soundfile.write(tmp_path / "sources" / f"{speaker}.wav", tone, RATE, subtype="PCM_16")
        utterances.append(Utterance(f"{speaker}.wav", speaker, "", "tr"))
    dataset = dynamic(tmp_path, Augmentation(codec_share=1.0), utterances=utterances)
    for index in range(5):
        drawn = dataset[0, index]
        _, sources, _ = mixed(dataset, (0, index))
        for row, source in enumerate(sources[0]):
            hertz = 400 if drawn.first[row] < RATE else 1000
            found = np.abs(np.fft.rfft(source.numpy() * np.hanning(4000))).argmax() * RATE / 4000
            assert found == pytest.approx(hertz * drawn.speed[row] / SPEED_UNIT, abs=1.5)


def test_peaks_are_0_9_at_most_and_sources_add_up(data_dir):
    mixtures, sources, lengths = mixed(dynamic(data_dir), *((0, index) for index in range(20)))
    torch.testing.assert_close(sources.sum(1), mixtures, atol=1e-6, rtol=0)
    peaks = torch.maximum(sources.abs().amax((1, 2)), mixtures.abs().amax(1))
    torch.testing.assert_close(peaks, torch.full((20,), 0.9))
    for mixture, length in zip(mixtures, lengths, strict=True):
        assert not mixture[length:].any()


def test_effects_depend_on_seed_epoch_and_index_alone(data_dir):
    one, two = dynamic(data_dir), dynamic(data_dir)
    first = mixed(one, (3, 7))[1]
    mixed(two, (0, 1), (0, 2))
    assert torch.equal(first, mixed(two, (3, 7))[1])
    assert not torch.equal(first, mixed(one, (4, 7))[1])
    assert not torch.equal(first, mixed(dynamic(data_dir, seed=2), (3, 7))[1])


@pytest.mark.parametrize("start", [0, 16])
def test_any_number_of_workers_and_a_resumed_epoch_give_the_same_batches(data_dir, start):
    dataset = dynamic(data_dir)
    mixer = dataset.mixer()
    batches = []
    for workers in (0, 2):
        sampler = EpochSampler(len(dataset), seed=0)
        sampler.set_epoch(2)
        sampler.start = start if workers else 0
        loader = DataLoader(dataset, 8, sampler=sampler, collate_fn=stack, num_workers=workers)
        batches.append([mixer(batch)[1] for batch in loader])
    alone, several = batches
    assert len(several) == 5 - start // 8
    for one, other in zip(alone[start // 8 :], several, strict=True):
        assert torch.equal(one, other)


def test_without_effects_mixtures_are_as_they_were(data_dir):
    """Nothing more is drawn, nothing applied."""
    plain, off = dynamic(data_dir, augmentation=None), dynamic(data_dir, Augmentation())
    assert off[0, 3].effects is None
    for one, other in zip(mixed(plain, (0, 3)), mixed(off, (0, 3)), strict=True):
        assert torch.equal(one, other)
    with_effects = dynamic(data_dir, Augmentation(codec_share=1.0))
    assert off[0, 3].first.tolist() == with_effects[0, 3].first.tolist()
