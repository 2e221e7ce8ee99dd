"""Hints at quality without references, and the script that collects them."""

import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

import quality
from separation.errors import RecipeError
from separation.evaluation.blind import activities, correlation, residual_db


def noise(seed, samples=8000):
    return np.random.default_rng(seed).standard_normal(samples)


def test_the_residual_is_what_the_sum_leaves():
    mixture = noise(0)
    assert residual_db(mixture, np.stack([0.5 * mixture, 0.4 * mixture])) == pytest.approx(-20.0)
    assert residual_db(mixture, np.zeros((2, 8000))) == pytest.approx(0.0)
    assert residual_db(mixture, np.stack([mixture, 0 * mixture])) == -np.inf


def test_activity_is_the_share_of_frames():
    mixture = noise(0)
    quarter = np.where(np.arange(8000) < 2000, mixture, 0.001 * mixture)  # 60 dB down
    shares = activities(mixture, np.stack([mixture, quarter, 0 * mixture]), 8000)
    np.testing.assert_allclose(shares, [1.0, 0.26, 0.0], atol=0.02)
    assert np.isnan(activities(0 * mixture, mixture[None], 8000)).all()


def test_correlation_is_the_largest_of_all_pairs():
    one, two = noise(1), noise(2)
    assert correlation(np.stack([one, two])) < 0.05
    assert correlation(np.stack([one, two, -2 * one])) == pytest.approx(1.0)
    assert correlation(np.stack([one, one + two])) == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert np.isnan(correlation(one[None]))


def write(path, samples):
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, samples, 8000, subtype="FLOAT")


def test_script_writes_a_row_a_recording(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quality, "dnsmos_scores", lambda signal, rate: (0, 0, signal.std()))
    one, two = 0.1 * noise(1), 0.2 * noise(2)
    for name in "ab":
        write(tmp_path / "rooms" / f"{name}.wav", one + two)
    write(tmp_path / "out" / "a_s1.wav", one)
    write(tmp_path / "out" / "a_s2.wav", 0.9 * two)
    words = ["--mixtures", tmp_path / "rooms", "--estimates", tmp_path / "out", "--nj", "1"]
    monkeypatch.setattr(sys, "argv", ["quality.py", *map(str, words)])
    quality.main()
    table = pd.read_csv(tmp_path / "out" / "quality.csv", keep_default_na=False)
    assert ",".join(table) == (
        "mixture_ID,length,input_dnsmos,dnsmos,residual_db,activity_1,activity_2,correlation,failure"
    )
    row = table.iloc[0]
    assert float(row["dnsmos"]) == pytest.approx((0.1 + 0.18) / 2, abs=0.01)
    assert float(row["residual_db"]) == pytest.approx(10 * np.log10(0.02**2 / 0.05), abs=0.2)
    assert "b_s1.wav: no such file" in table["failure"][1] and table["residual_db"][1] == ""
    assert "2 recordings, 1 with a failure; estimates of quality" in capsys.readouterr().out


def test_no_recordings(tmp_path, monkeypatch):
    words = ["quality.py", "--mixtures", str(tmp_path), "--estimates", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(RecipeError, match=r"no recording \*.wav in it"):
        quality.main()
