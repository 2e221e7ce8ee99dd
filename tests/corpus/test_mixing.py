"""The official mixing, against a computation by hand."""

import csv
import math

import numpy as np
import pytest
import soundfile

from separation.corpus.layout import Corpus
from separation.corpus.levels import active_level
from separation.corpus.lists import Utterance, list_path, write_lists
from separation.corpus.mixing import load_source, mix_sources, mix_split
from separation.errors import RecipeError
from tiny_corpus import syllables

RECORDED_RATE = 16000


def test_min_mixture_by_hand():
    a, b = np.array([2.0, -2.0, 4.0]), np.array([3.0, 3.0])
    mixture, sources = mix_sources([a, b], [4.0, 9.0], (20.0, 0.0), "min")
    # a / 2 * 10 = [10, -10], b / 3 = [1, 1], sum [11, -9]: largest peak 11 goes to 0.9.
    np.testing.assert_allclose(mixture, np.array([11, -9]) * 0.9 / 11, rtol=1e-12)
    np.testing.assert_allclose(sources, np.array([[10, -10], [1, 1]]) * 0.9 / 11, rtol=1e-12)


def test_max_mixture_by_hand_pads_at_the_end():
    a, b = np.array([1.0, 1.0, 1.0]), np.array([-1.0])
    mixture, sources = mix_sources([a, b], [1.0, 1.0], (0.0, 0.0), "max")
    # The peak 1 is in the sources, not in the mixture [0, 1, 1].
    np.testing.assert_allclose(mixture, [0, 0.9, 0.9])
    np.testing.assert_allclose(sources, [[0.9, 0.9, 0.9], [-0.9, 0, 0]])


def test_peak_among_the_sources_counts():
    mixture, sources = mix_sources([np.array([1.0]), np.array([-0.5])], [1, 1], (0, 0), "min")
    np.testing.assert_allclose(sources[:, 0], [0.9, -0.45])
    np.testing.assert_allclose(mixture, [0.45])


def test_nothing_but_pauses_stays_silent():
    mixture, sources = mix_sources([np.zeros(4), np.zeros(5)], [1, 1], (0, 0), "min")
    assert not mixture.any()
    assert sources.shape == (2, 4)


def test_three_speakers():
    signals = [syllables(0.5, pitch, 0) for pitch in (100, 150, 220)]
    mixture, sources = mix_sources(signals, [1, 1, 1], (1.0, -1.0, 0.0), "min")
    assert sources.shape == (3, 4000)
    np.testing.assert_allclose(sources.sum(axis=0), mixture, atol=1e-12)


def halved(samples):
    """16 to 8 kHz as MATLAB's resample: sinc of 10 zero crossings a side, Kaiser window, beta 5."""
    place = np.arange(-20, 21)
    taps = np.sinc(place / 2) * np.kaiser(41, 5)
    taps /= taps.sum()
    length = math.ceil(len(samples) / 2)
    around = np.concatenate([np.zeros(20), samples, np.zeros(22)])
    return np.array([around[2 * n : 2 * n + 41] @ taps for n in range(length)])


def test_resampling_is_that_of_the_official_recipe(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 4001)
    soundfile.write(tmp_path / "a.wav", samples, RECORDED_RATE, subtype="PCM_16")
    rounded, _ = soundfile.read(tmp_path / "a.wav")
    found, level = load_source(tmp_path / "a.wav", 8000)
    np.testing.assert_allclose(found, halved(rounded), atol=1e-7)
    assert level == pytest.approx(active_level(halved(rounded), 8000, band_pass=True), rel=1e-6)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_levels_of_16_khz_are_those_of_8_khz(tmp_path, subtype):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    soundfile.write(tmp_path / "a.wav", samples, RECORDED_RATE, subtype=subtype)
    found, level = load_source(tmp_path / "a.wav", RECORDED_RATE)
    np.testing.assert_array_equal(found, soundfile.read(tmp_path / "a.wav", dtype="float32")[0])
    assert level == load_source(tmp_path / "a.wav", 8000)[1]


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.full(1599, 0.1), "100 ms long; 100 ms are needed"),
        (np.zeros(16000), "silent"),
    ],
)
def test_a_recording_without_speech_is_refused(tmp_path, samples, says):
    soundfile.write(tmp_path / "a.wav", samples, RECORDED_RATE)
    with pytest.raises(RecipeError, match=f"a.wav: {says}"):
        load_source(tmp_path / "a.wav", 8000)


def test_a_known_level_is_taken(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(1600, 0.1), RECORDED_RATE)
    assert load_source(tmp_path / "a.wav", 8000, 0.25)[1] == 0.25


LINES = {  # gains as they stand in official lists
    2: [
        "wsj0/a/01a.wav 1.98574 wsj0/b/02b.wav -1.98574 ",
        "wsj0/c/03c.wav 5.2094e-07 wsj0/a/01a.wav -5.2094e-07 ",
        "wsj0/b/02b.wav 0.0597138 wsj0/c/03c.wav -0.0597138 ",
    ],
    3: [
        "wsj0/a/01a.wav 1.98574 wsj0/b/02b.wav -1.98574 wsj0/c/03c.wav 0 ",
        "wsj0/c/03c.wav 0.5 wsj0/a/01a.wav -0.5 wsj0/b/02b.wav 0 ",
        "wsj0/b/02b.wav 2.26437 wsj0/c/03c.wav -2.26437 wsj0/a/01a.wav 0 ",
    ],
}
NAMES = {
    2: [
        "01a_1.9857_02b_-1.9857",
        "03c_5.2094e-07_01a_-5.2094e-07",
        "02b_0.059714_03c_-0.059714",
    ],
    3: [
        "01a_1.9857_02b_-1.9857_03c_0",
        "03c_0.5_01a_-0.5_02b_0",
        "02b_2.2644_03c_-2.2644_01a_0",
    ],
}


def make_tree(data_dir, n_src):
    """Three recordings of 16 kHz, and a list of three mixtures; returns the recordings' samples."""
    recorded = {}
    for number, speaker in enumerate("abc"):
        path = f"wsj0/{speaker}/0{number + 1}{speaker}.wav"
        (data_dir / "sources" / path).parent.mkdir(parents=True)
        samples = np.repeat(syllables(0.6 + 0.123 * number, 90 + 70 * number, number), 2)
        samples += 0.01 * np.random.default_rng(number).standard_normal(len(samples))
        samples *= 10 ** (-number / 2)
        soundfile.write(data_dir / "sources" / path, samples[number:], RECORDED_RATE, "PCM_16")
        recorded[path] = soundfile.read(data_dir / "sources" / path)[0]
    utterances = [Utterance(path, path.split("/")[1], "", "tr") for path in recorded]
    write_lists(data_dir, utterances, {})
    list_path(data_dir, n_src, "tr").parent.mkdir()
    list_path(data_dir, n_src, "tr").write_text("".join(f"{line}\n" for line in LINES[n_src]))
    return recorded


def by_hand(words, recorded, levels, rate, mode):
    """mix, s1, s2, ... of one line, step for step as create_wav_2speakers.m has it."""
    scaled = []
    for path, gain in zip(words[0::2], words[1::2], strict=True):
        samples = recorded[path] if rate == RECORDED_RATE else halved(recorded[path])
        scaled.append(10 ** (float(gain) / 20) * (samples / math.sqrt(levels[path])))
    if mode == "min":
        scaled = [s[: min(map(len, scaled))] for s in scaled]
    else:
        longest = max(map(len, scaled))
        scaled = [np.concatenate([s, np.zeros(longest - len(s))]) for s in scaled]
    signals = [np.sum(scaled, axis=0), *scaled]
    scaling = 0.9 / max(np.abs(signal).max() for signal in signals)
    return [np.round(2**15 * scaling * signal) for signal in signals]


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("n_src", [2, 3])
def test_three_mixtures_by_hand(tmp_path, n_src, rate, mode, given):
    recorded = make_tree(tmp_path, n_src)
    levels = {path: 0.01 * (number + 1) for number, path in enumerate(recorded)}
    if not given:
        levels = {p: active_level(halved(s), 8000, band_pass=True) for p, s in recorded.items()}
    out = tmp_path / "wav"
    corpus = Corpus(tmp_path, out, n_src, rate, mode)
    mixed = mix_split(corpus, "tr", 1, levels if given else None)
    assert mixed.mixtures == 3
    assert mixed.levels == pytest.approx(levels, rel=1e-6)
    for line, name in zip(LINES[n_src], NAMES[n_src], strict=True):
        expected = by_hand(line.split(), recorded, levels, rate, mode)
        for folder, signal in zip(["mix", "s1", "s2", "s3"], expected, strict=False):
            found, found_rate = soundfile.read(out / "tr" / folder / f"{name}.wav", dtype="int16")
            assert found_rate == rate
            assert len(found) == len(signal)
            assert np.abs(found - signal).max() <= 1  # where the last digit rounds the other way
            assert np.mean(found != signal) < 0.02
    assert sum(1 for _ in out.rglob("*.wav")) == 3 * (n_src + 1)


def test_each_recording_is_read_once(tmp_path, monkeypatch):
    recorded = make_tree(tmp_path, 2)
    read = []

    def counted(path, *arguments):
        read.append(path.relative_to(tmp_path / "sources").as_posix())
        return load_source(path, *arguments)

    monkeypatch.setattr("separation.corpus.mixing.load_source", counted)
    mix_split(Corpus(tmp_path, tmp_path / "wav", 2, 8000, "min"), "tr", 1)
    assert sorted(read) == sorted(recorded)


def test_a_recording_of_two_splits_may_have_two_rows(tmp_path):
    make_tree(tmp_path, 2)
    path = tmp_path / "sources.csv"
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    with open(path, "a", newline="") as file:
        csv.writer(file).writerow([rows[1][0], rows[1][1], "", "cv"])
    assert mix_split(Corpus(tmp_path, tmp_path / "wav", 2, 8000, "min"), "tr", 1).mixtures == 3
