"""Active speech level against signals of known level, and against the standard's own loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.signal import lfilter

from separation.corpus.levels import active_level, known_levels, read_levels
from separation.corpus.problems import Problems
from separation.errors import RecipeError

RATE = 8000


def decibel(power):
    return 10 * np.log10(power)


def speech(seconds, seed, rate=RATE):
    """Noise with the slope of a speech spectrum and four syllables a second, mean square 1."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    shaped = lfilter([1, -0.95], [1, -1.3, 0.6], rng.standard_normal(len(time)))
    signal = shaped * (1 + 0.5 * np.sin(2 * np.pi * 4 * time + rng.uniform(0, 6)))
    return signal / np.sqrt(np.mean(signal**2))


def bursts(activity, level_db, floor_db, burst_seconds, n_bursts, seed):
    """Speech that comes and goes, over a noise floor ``floor_db`` below it."""
    cycle = burst_seconds / activity
    signal = np.zeros(round(n_bursts * cycle * RATE))
    for number in range(n_bursts):
        start = round((number + (1 - activity) * 0.5) * cycle * RATE)
        burst = speech(burst_seconds, seed + number)
        signal[start : start + len(burst)] = burst
    floor = np.random.default_rng(seed).standard_normal(len(signal)) * 10 ** (floor_db / 20)
    return (signal + floor) * 10 ** (level_db / 20)


@pytest.mark.parametrize("level_db", [-60, -26, 0])
@pytest.mark.parametrize("activity", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_long_bursts_have_the_level_they_were_made_with(activity, level_db):
    signal = bursts(activity, level_db, -35, 24, 2, seed=round(activity * 10))
    # Each burst of 24 s is active for another 0.28 s: 0.05 dB.
    assert decibel(active_level(signal, RATE)) == pytest.approx(level_db, abs=0.1)


@pytest.mark.parametrize("activity", [0.1, 0.5, 0.8])
def test_short_bursts_are_active_until_decay_and_hangover_end(activity):
    signal = bursts(activity, -30, -70, 2, 5, seed=3)
    # After a burst the envelope falls as (1 + u) exp(-u), u = time / 30 ms, from the mean of |x|,
    # and reaches the threshold 15.9 dB below the level; the hangover follows.
    mean = np.mean([np.abs(speech(2, 3 + n)).mean() for n in range(5)])
    level = 0.0
    for _ in range(5):
        threshold = 10 ** ((level - 15.9) / 20)
        decay = brentq(lambda u, t=threshold: mean * (1 + u) * np.exp(-u) - t, 0, 20) * 0.03
        onset = brentq(lambda u, t=threshold: mean * (1 - (1 + u) * np.exp(-u)) - t, 0, 20) * 0.03
        level = -decibel((2 + decay + 0.2 - onset) / 2)
    assert decibel(active_level(signal, RATE)) == pytest.approx(-30 + level, abs=0.1)


def by_the_standard(signal, rate):
    """Clause by clause: counters at thresholds 6.02 dB apart, then bisection."""
    thresholds = 2.0 ** -np.arange(16)
    pole, hold = np.exp(-1 / (rate * 0.03)), int(np.ceil(0.2 * rate))
    first = second = 0.0
    counts, waited = np.zeros(16), np.full(16, hold)
    for sample in np.append(signal, np.zeros(rate // 2)):
        first = pole * first + (1 - pole) * abs(sample)
        second = pole * second + (1 - pole) * first
        above = second >= thresholds
        counts += above | (waited < hold)
        waited = np.where(above, 0, np.minimum(waited + 1, hold))
    levels = decibel(np.sum(signal**2) / np.maximum(counts, 1e-9))
    thresholds_db = 2 * decibel(thresholds)
    j = int(np.flatnonzero((levels - thresholds_db >= 15.9) & (counts > 0))[0])
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        level = levels[j] + middle * (levels[j - 1] - levels[j])
        threshold = thresholds_db[j] + middle * (thresholds_db[j - 1] - thresholds_db[j])
        low, high = (middle, high) if level - threshold > 15.9 else (low, middle)
    return level


@pytest.mark.parametrize("seed", range(4))
def test_same_as_the_standard_s_counters_and_bisection(seed):
    rng = np.random.default_rng(seed)
    signal = bursts(rng.uniform(0.2, 0.8), rng.uniform(-50, -5), -40, 0.5, 3, seed)
    assert decibel(active_level(signal, RATE)) == pytest.approx(
        by_the_standard(signal, RATE), abs=0.05
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 20000), st.integers(0, 20000), st.integers(0, 5), st.booleans())
def test_silence_around_the_speech_is_without_influence(before, after, seed, band_pass):
    signal = bursts(0.6, -20, -50, 0.4, 2, seed)[:7000]  # may end in the middle of a burst
    around = np.concatenate([np.zeros(before), signal, np.zeros(after)])
    assert active_level(around, RATE, band_pass) == pytest.approx(
        active_level(signal, RATE, band_pass), rel=1e-6
    )


@settings(deadline=None, max_examples=25)
@given(st.floats(-60, 40))
def test_level_follows_the_signal_s_scale(gain_db):
    signal = bursts(0.5, -20, -40, 0.4, 3, 1)
    change = decibel(active_level(signal * 10 ** (gain_db / 20), RATE) / active_level(signal, RATE))
    assert change == pytest.approx(gain_db, abs=0.05)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100])
def test_level_is_the_same_at_every_rate(rate):
    time = np.arange(4 * rate) / rate
    tone = np.sin(2 * np.pi * 1013 * time) * (np.sin(2 * np.pi * 0.25 * time) > 0)  # 2 s of 4
    # 0.5 is the sine's mean square; decay to the threshold takes 3.3 time constants.
    expected = decibel(0.5 * 2 / (2 + 0.2 + 3.3 * 0.03))
    assert decibel(active_level(tone, rate)) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("rate", "frequency", "gain_db"),
    [
        (8000, 1000, 0),
        (8000, 3900, 0),  # no low-pass where the rate has no room for it
        (8000, 200, -0.25),
        (16000, 200, -0.25),
        (16000, 5500, -0.25),
        (8000, 150, -4.05),
    ],
)
def test_band_pass_of_voicebox(rate, frequency, gain_db):
    tone = np.sin(2 * np.pi * frequency * np.arange(60 * rate) / rate)
    change = active_level(tone, rate, band_pass=True) / active_level(tone, rate)
    assert decibel(change) == pytest.approx(gain_db, abs=0.01)


@pytest.mark.parametrize(("rate", "frequency"), [(8000, 50), (16000, 7000), (16000, 50)])
def test_band_pass_takes_hum_and_hiss_away(rate, frequency):
    time = np.arange(60 * rate) / rate
    speech_band = 0.01 * np.sin(2 * np.pi * 1000 * time)
    disturbed = speech_band + np.sin(2 * np.pi * frequency * time)
    level = decibel(active_level(disturbed, rate, band_pass=True))
    assert level == pytest.approx(decibel(active_level(speech_band, rate)), abs=0.1)


def test_silence_has_no_level():
    assert active_level(np.zeros(1000), RATE) == 0.0
    assert active_level(np.zeros(0), RATE, band_pass=True) == 0.0


def test_a_click_has_a_level():
    signal = np.zeros(1000)
    signal[500] = 0.5
    # Energy 0.25 over the 200 ms of hangover and the time the envelope stays near its top.
    assert 0.25 / (0.3 * RATE) < active_level(signal, RATE) < 0.25 / (0.2 * RATE)


def test_integers_and_float32_are_taken():
    signal = bursts(0.5, -20, -40, 0.4, 3, 1)
    integers = np.round(signal * 2**15).astype(np.int16)
    assert active_level(integers, RATE) / 2**30 == pytest.approx(
        active_level(signal, RATE), rel=1e-3
    )
    assert active_level(signal.astype(np.float32), RATE) == pytest.approx(
        active_level(signal, RATE), rel=1e-5
    )


def test_levels_measured_before_are_read_from_files_of_a_folder(tmp_path):
    (tmp_path / "a.txt").write_text("01aa0101 1.2345678901234567e-04\nx/01aa0102.wav 2e-3 \n")
    (tmp_path / "b.txt").write_text("01aa0101 1.2345678901234567e-04\n01bo0301 3\n")
    both = {"01aa0101": 1.2345678901234567e-04, "x/01aa0102.wav": 2e-3, "01bo0301": 3.0}
    assert read_levels(tmp_path) == both
    assert read_levels(tmp_path / "b.txt") == {k: both[k] for k in ("01aa0101", "01bo0301")}


@pytest.mark.parametrize(
    "line", ["b", "b 1 2", "b loud", "b nan", "b inf", "b 0", "b -1e-4", "", "a 2e-3"]
)
def test_a_bad_level_is_named(tmp_path, line):
    path = tmp_path / "levels.txt"
    path.write_text(f"a 1e-3\n{line}\nc 1e-3\n")
    with pytest.raises(RecipeError, match=f"^{path}:2: "):
        read_levels(path)


def test_no_levels_are_an_error(tmp_path):
    for path, says in (
        (tmp_path, "no levels in this"),
        (tmp_path / "a.txt", "a.txt: no such file"),
    ):
        with pytest.raises(RecipeError, match=says):
            read_levels(path)


def test_levels_are_found_by_path_or_by_name():
    where = {"m/a.wav": "l:1", "n/a.wav": "l:2", "n/b.flac": "l:3"}
    levels = {"a": 1.0, "n/a.wav": 2.0, "b": 3.0}
    assert known_levels(where, levels, Problems()) == {
        "m/a.wav": 1.0,
        "n/a.wav": 2.0,
        "n/b.flac": 3.0,
    }


def test_recordings_without_a_level_of_their_own_are_told(capsys):
    where = {"m/a.wav": "l:1", "n/a.wav": "l:2", "n/b.flac": "l:3"}
    problems = Problems(keep_going=True)
    assert known_levels(where, {"a": 1.0}, problems) == {"m/a.wav": 1.0}
    told = capsys.readouterr().err
    assert "l:2: the level of a may be that of n/a.wav or of m/a.wav" in told
    assert "l:3: n/b.flac has no level" in told
