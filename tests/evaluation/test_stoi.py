"""STOI is pystoi's, and has no value where pystoi has none."""

import warnings

import numpy as np
import pystoi
import pytest

from separation.errors import MetricError
from separation.evaluation.perceptual import estoi_score, stoi_score
from tiny_corpus import syllables


def speech(seconds, rate):
    """Syllables with a pause, and as many samples of an estimate with noise and a gain."""
    reference = np.interp(
        np.arange(0, seconds, 1 / rate), np.arange(0, seconds, 1 / 8000), syllables(seconds, 120, 0)
    )
    reference[len(reference) // 3 : len(reference) // 2] *= 1e-4  # silent frames, to be removed
    noise = np.random.default_rng(1).standard_normal(len(reference))
    return reference, 0.3 * reference + 0.02 * noise


@pytest.mark.parametrize("rate", [8000, 10000, 16000])
@pytest.mark.parametrize("seconds", [1.0, 2.37])
def test_values_are_pystois(rate, seconds):
    reference, estimate = speech(seconds, rate)
    silence = np.zeros_like(estimate)
    for other in (estimate, estimate[::-1].copy(), silence, reference, 100 * reference):
        expected = pystoi.stoi(reference, other, rate)
        assert stoi_score(reference, other, rate) == pytest.approx(expected, abs=1e-12)
    assert stoi_score(reference, reference, rate) == pytest.approx(1.0)


@pytest.mark.parametrize("score", [stoi_score, estoi_score])
@pytest.mark.parametrize("samples", [1, 255, 256, 257, 3000, 4096, 4097, 4223, 4224, 4225, 4400])
def test_too_little_speech_is_where_pystoi_says_so(samples, score):
    signals = np.random.default_rng(samples).standard_normal((2, samples))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = pystoi.stoi(*signals, 10000) if samples > 256 else 1e-5  # it fails on a frame
    if expected == 1e-5:
        with pytest.raises(MetricError, match="too little speech, 30 frames are needed"):
            score(*signals, 10000)
    else:
        assert stoi_score(*signals, 10000) == pytest.approx(expected, abs=1e-12)
        assert -1 < score(*signals, 10000) < 1
