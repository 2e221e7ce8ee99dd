"""Overlap, exchanged speakers and leakage, by construction."""

import numpy as np
import pytest

from separation.evaluation.metrics import evaluate_mixture
from separation.evaluation.talk import describe

RATE = 8000


def turns(*seconds):
    """Noise of each source, shape ``(source, 4 s)``; silent outside its (start, stop) in s."""
    signals = np.random.default_rng(0).standard_normal((len(seconds), 4 * RATE))
    for signal, (start, stop) in zip(signals, seconds, strict=True):
        signal[: start * RATE] = 0.0
        signal[stop * RATE :] = 0.0
    return signals


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (((0, 4), (0, 4)), 1.0),
        (((0, 4), (1, 2)), 0.25),
        (((0, 2), (2, 4)), 0.0),
        (((0, 2), (1, 3)), 1 / 3),  # of the 3 s in which anyone talks
        (((0, 4), (0, 2), (1, 3)), 0.75),
    ],
)
def test_overlap_is_of_the_time_in_which_anyone_talks(seconds, expected):
    references = turns(*seconds)
    assert describe(references, references, RATE)["overlap"] == pytest.approx(expected)


def test_a_quiet_background_is_no_talk():
    references = turns((0, 4), (0, 2))
    references[1, 2 * RATE :] = 0.001 * references[0, 2 * RATE :]  # 60 dB down
    assert describe(references, references, RATE)["overlap"] == pytest.approx(0.5)


def test_exchanged_seconds_are_counted():
    references = turns((0, 4), (0, 4))
    estimates = references + 0.1 * references[::-1]
    assert describe(references, estimates, RATE)["swaps"] == 0
    estimates[:, 2 * RATE : 3 * RATE] = estimates[::-1, 2 * RATE : 3 * RATE].copy()
    assert describe(references, estimates, RATE)["swaps"] == 1
    # Nobody can say whose output is whose where both hold the mixture.
    mixture = np.broadcast_to(references.sum(axis=0), references.shape)
    assert describe(references, mixture, RATE)["swaps"] == 0


def test_seconds_in_which_one_talks_are_not_looked_at():
    references = turns((0, 4), (0, 2))
    estimates = references.copy()
    estimates[:, 3 * RATE :] = estimates[::-1, 3 * RATE :].copy()
    assert describe(references, estimates, RATE)["swaps"] == 0


def test_leakage_is_in_the_output_of_who_is_silent():
    references = turns((0, 4), (0, 2))
    estimates = references.copy()
    assert describe(references, estimates, RATE)["leakage"] == -100.0
    estimates[1, 2 * RATE :] = 0.1 * references[0, 2 * RATE :]
    expected = 10 * np.log10(0.01 / 1.01)
    assert describe(references, estimates, RATE)["leakage"] == pytest.approx(expected)
    assert describe(references, 7 * estimates, RATE)["leakage"] == pytest.approx(expected)
    both = turns((0, 4), (0, 4))
    assert np.isnan(describe(both, both, RATE)["leakage"])


def test_scores_of_a_mixture_have_them_in_any_order_of_its_estimates():
    references = turns((0, 4), (0, 2))
    estimates = references[::-1] + 0.1 * references
    scores = evaluate_mixture(references.sum(axis=0), references, estimates, RATE, ["snr"])
    assert (scores.overlap, scores.swaps) == (0.5, 0)
    assert scores.leakage == pytest.approx(10 * np.log10(0.01 / 1.01))
    estimates[0, 5] = np.nan
    scores = evaluate_mixture(references.sum(axis=0), references, estimates, RATE, ["snr"])
    assert np.isnan([scores.swaps, scores.leakage]).all() and scores.overlap == 0.5
