"""Mixing against a hand computation, and stage 1 on files."""

import numpy as np
import pytest
import soundfile

from separation.corpus.audio import read_audio
from separation.corpus.levels import active_level
from separation.corpus.lists import list_path, read_list
from separation.corpus.mixing import mix_sources, mix_split
from separation.errors import RecipeError
from tiny_corpus import RATE, make_sources, syllables


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


def test_stage_1_writes_what_the_list_says(tmp_path):
    make_sources(tmp_path, {"tr": 4, "cv": 1, "tt": 1})
    out = tmp_path / "wav8k" / "min"
    assert mix_split(tmp_path, out, "tr", RATE, "min", 2, nj=1) == 4
    for line in read_list(list_path(tmp_path, 2, "tr"), 2):
        signals = [soundfile.read(tmp_path / "sources" / p)[0] for p in line.paths]
        scaled = [
            s / np.sqrt(float(f"{active_level(s, RATE, band_pass=True):.6e}")) * 10 ** (g / 20)
            for s, g in zip(signals, line.gains, strict=True)
        ]
        length = min(map(len, scaled))
        first, second = (s[:length] for s in scaled)
        factor = 0.9 / max(np.abs(first + second).max(), np.abs(first).max(), np.abs(second).max())
        expected = {"mix": first + second, "s1": first, "s2": second}
        for name, signal in expected.items():
            found = read_audio(out / "tr" / name / f"{line.mixture_id}.wav", RATE)
            assert (
                np.abs(found - signal * factor).max() <= 0.502 / 2**15
            )  # rounded to 16 bits, and to float32 before


def test_a_second_run_gives_the_same_bytes_and_clears_what_is_not_listed(tmp_path):
    make_sources(tmp_path, {"tr": 3, "cv": 1, "tt": 1})
    out = tmp_path / "out"
    mix_split(tmp_path, out, "tr", RATE, "min", 2, nj=1)
    files = {p: p.read_bytes() for p in out.rglob("*.wav")}
    stale = out / "tr" / "mix" / "stale.wav"
    stale.write_bytes(b"half")
    mix_split(tmp_path, out, "tr", RATE, "min", 2, nj=2)
    assert {p: p.read_bytes() for p in out.rglob("*.wav")} == files
    assert not stale.exists()


def test_missing_recording_is_named(tmp_path):
    utterances = make_sources(tmp_path, {"tr": 30, "cv": 1, "tt": 1})
    (tmp_path / "sources" / utterances[0].path).unlink()
    with pytest.raises(RecipeError, match=utterances[0].path):
        mix_split(tmp_path, tmp_path / "out", "tr", RATE, "min", 2, nj=1)


def test_silent_recording_is_named(tmp_path):
    utterances = make_sources(tmp_path, {"tr": 40, "cv": 1, "tt": 1})
    path = tmp_path / "sources" / utterances[0].path
    soundfile.write(path, np.zeros(RATE), RATE)
    with pytest.raises(RecipeError, match=f"{utterances[0].path}: silent"):
        mix_split(tmp_path, tmp_path / "out", "tr", RATE, "min", 2, nj=1)


def test_no_list_says_which_stage_makes_it(tmp_path):
    with pytest.raises(RecipeError, match="stage 0 makes it"):
        mix_split(tmp_path, tmp_path / "out", "tr", RATE, "min", 2, nj=1)


def test_three_speakers(tmp_path):
    signals = [syllables(0.5, pitch, 0) for pitch in (100, 150, 220)]
    mixture, sources = mix_sources(signals, [1, 1, 1], (1.0, -1.0, 0.0), "min")
    assert sources.shape == (3, 4000)
    np.testing.assert_allclose(sources.sum(axis=0), mixture, atol=1e-12)
