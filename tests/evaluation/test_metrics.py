"""Metrics against hand computations and other programs."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from asteroid.losses import pairwise_neg_sisdr
from pystoi import stoi

from separation.evaluation.metrics import METRICS, evaluate_mixture
from separation.evaluation.permutation import solve_permutation
from separation.evaluation.ratios import sdr, si_sdr, snr
from tiny_corpus import syllables

RATE = 8000
NAMES = [name for name in METRICS if name != "dnsmos"]  # which takes seconds, see test_dnsmos.py


def orthogonal(signal: np.ndarray, seed: int) -> np.ndarray:
    """Zero-mean noise with the power of ``signal`` and no correlation with it."""
    noise = np.random.default_rng(seed).standard_normal(signal.size)
    signal = signal - signal.mean()
    noise -= noise.mean()
    noise -= np.dot(noise, signal) / np.dot(signal, signal) * signal
    return noise * np.linalg.norm(signal) / np.linalg.norm(noise)


@pytest.fixture
def speech() -> np.ndarray:
    """Two sources of shape ``(2, time)``, 2 s."""
    return np.stack([syllables(2.0, 120, 0), syllables(2.0, 210, 1)]).astype(np.float64)


@pytest.mark.parametrize("level", [-20.0, 0.0, 7.5, 60.0])
def test_si_sdr_of_known_noise(speech, level):
    estimate = speech[0] + 10 ** (-level / 20) * orthogonal(speech[0], 3)
    assert si_sdr(speech[0], estimate) == pytest.approx(level, abs=1e-6)


def test_si_sdr_ignores_scale_sign_and_offset(speech):
    estimate = speech[0] + 0.3 * orthogonal(speech[0], 3)
    expected = si_sdr(speech[0], estimate)
    assert si_sdr(speech[0], -25.0 * estimate + 4.0) == pytest.approx(expected, abs=1e-9)
    assert si_sdr(0.01 * speech[0] - 1.0, estimate) == pytest.approx(expected, abs=1e-9)


def test_si_sdr_is_asteroids(speech):
    estimates = np.stack([speech[1] + 0.2 * speech[0], speech[0] - 0.4 * speech[1] + 0.1])
    ours = [[si_sdr(reference, estimate) for reference in speech] for estimate in estimates]
    loss = pairwise_neg_sisdr(torch.tensor(estimates)[None], torch.tensor(speech)[None])
    np.testing.assert_allclose(ours, -loss[0].numpy(), atol=1e-4)


def test_snr_depends_on_scale(speech):
    assert snr(speech[0], 0.9 * speech[0]) == pytest.approx(20.0, abs=1e-9)
    assert snr(speech[0], np.zeros_like(speech[0])) == pytest.approx(0.0, abs=1e-9)


def test_sdr_is_mir_evals(speech):
    from mir_eval.separation import bss_eval_sources

    noise = np.random.default_rng(5).standard_normal(speech.shape)
    estimates = speech + 0.2 * speech[::-1] + 0.01 * noise
    estimates[0] = np.convolve(estimates[0], [1.0, 0.5, -0.3])[: speech.shape[1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        expected = bss_eval_sources(speech, estimates, compute_permutation=False)[0]
    ours = [sdr(r, e) for r, e in zip(speech, estimates, strict=True)]
    np.testing.assert_allclose(ours, expected, atol=0.01)


def test_permutation_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(10):
        references = rng.standard_normal((3, 400))
        estimates = rng.standard_normal((3, 3)) @ references
        best = max(
            itertools.permutations(range(3)),
            key=lambda order: sum(
                si_sdr(r, estimates[i]) for r, i in zip(references, order, strict=True)
            ),
        )
        assert solve_permutation(references, estimates) == best


def test_permutation_with_a_silent_estimate(speech):
    assert solve_permutation(speech, np.stack([0 * speech[0], speech[0]])) == (1, 0)


def test_scores_do_not_depend_on_the_order_of_estimates(speech):
    mixture = speech.sum(axis=0)
    noise = np.random.default_rng(0).standard_normal(speech.shape)
    estimates = speech + 0.1 * speech[::-1] + 0.01 * noise
    straight = evaluate_mixture(mixture, speech, estimates, RATE, NAMES)
    swapped = evaluate_mixture(mixture, speech, estimates[::-1], RATE, NAMES)
    assert (straight.permutation, swapped.permutation) == ((0, 1), (1, 0))
    assert straight.failure == ""
    assert swapped.values == pytest.approx(straight.values, abs=1e-9)
    for metric in ("si_sdr", "sdr", "snr", "stoi", "pesq", "estoi", "sir"):
        output, before = straight.values[metric], straight.values[f"input_{metric}"]
        assert output > before
        assert straight.values[f"{metric}i"] == output - before


def test_values_are_means_over_sources(speech):
    mixture = speech.sum(axis=0)
    values = evaluate_mixture(mixture, speech, speech + 0.1 * speech[::-1], RATE, NAMES).values
    assert values["input_si_sdr"] == pytest.approx(
        (si_sdr(speech[0], mixture) + si_sdr(speech[1], mixture)) / 2
    )
    assert values["input_snr"] == pytest.approx(
        (snr(speech[0], mixture) + snr(speech[1], mixture)) / 2
    )
    expected = np.mean([stoi(reference, mixture, RATE) for reference in speech])
    assert values["input_stoi"] == pytest.approx(expected)


@pytest.mark.parametrize(("rate", "mode"), [(8000, "nb"), (16000, "wb")])
def test_pesq_is_the_mode_of_the_rate(speech, rate, mode):
    from pesq import pesq

    mixture = speech.sum(axis=0)
    values = evaluate_mixture(mixture, speech, speech, rate, ["pesq"]).values
    expected = np.mean([pesq(rate, reference, mixture, mode) for reference in speech])
    assert values["input_pesq"] == pytest.approx(expected, abs=1e-6)


def test_pesq_of_more_utterances_than_its_code_has_room_for():
    from pesq import pesq

    word = np.concatenate([syllables(0.5, 120, 0), np.zeros(4000, np.float32)])
    noise = 0.003 * np.random.default_rng(0).standard_normal(word.size)
    short, many = (np.tile(word, n) for n in (10, 60))
    expected = pesq(RATE, short, short + np.tile(noise, 10), "nb")
    estimate = many + np.tile(noise, 60)
    scores = evaluate_mixture(many, many[None], estimate[None], RATE, ["pesq"])
    assert scores.values["pesq"] == pytest.approx(expected, abs=0.1)


def test_pesq_leaves_out_pieces_without_speech():
    words = np.concatenate([np.tile(syllables(1.0, 120, 0), 8), np.zeros(30 * RATE, np.float32)])
    noise = 0.003 * np.random.default_rng(0).standard_normal(words.size)
    scores = evaluate_mixture(words, words[None], (words + noise)[None], RATE, ["pesq"])
    assert scores.failure == ""
    assert 1.0 < scores.values["pesq"] < 4.6


def test_silent_reference_has_no_score(speech):
    references = np.stack([speech[0], 0 * speech[1]])
    mixture, estimates = speech.sum(axis=0), speech + 0.1 * speech[::-1]
    pairs = [name for name in NAMES if name not in ("sir", "sar")]
    scores = evaluate_mixture(mixture, references, estimates, RATE, pairs)
    assert all(np.isnan(value) for value in scores.values.values())
    assert "si_sdr of source 2: silent reference" in scores.failure
    assert all("of source 2: silent reference" in reason for reason in scores.failure.split("; "))
    scores = evaluate_mixture(mixture, references, estimates, RATE, ["sir", "sar"])
    assert all(np.isnan(value) for value in scores.values.values())
    assert "sar of source 1: one of the references is silent" in scores.failure


def test_nan_estimate_fails_at_the_output_only(speech):
    estimates = speech.copy()
    estimates[1, 100] = np.nan
    scores = evaluate_mixture(speech.sum(axis=0), speech, estimates, RATE, NAMES)
    for metric in ("si_sdr", "sdr", "snr", "stoi", "pesq", "estoi", "sir"):
        assert np.isnan(scores.values[metric])
        assert np.isnan(scores.values[f"{metric}i"])
        assert np.isfinite(scores.values[f"input_{metric}"])
    assert "pesq of source 2: NaN or Inf in the estimate" in scores.failure


def test_silent_estimate_has_no_si_sdr_but_an_snr(speech):
    estimates = np.stack([speech[0] * 0.9, 0 * speech[1]])
    scores = evaluate_mixture(speech.sum(axis=0), speech, estimates, RATE, NAMES)
    assert np.isnan(scores.values["si_sdr"])
    assert np.isnan(scores.values["sdr"])
    assert np.isnan(scores.values["pesq"])
    assert scores.values["snr"] == pytest.approx(10.0)
    assert "sdr of source 2: silent estimate" in scores.failure


def test_perfect_estimate_has_no_finite_si_sdr(speech):
    scores = evaluate_mixture(speech.sum(axis=0), speech, speech, RATE, ["snr", "stoi", "estoi"])
    assert np.isnan(scores.values["snr"])
    assert "snr of source 1: the value is inf" in scores.failure
    assert scores.values["stoi"] == pytest.approx(1.0)
    assert scores.values["estoi"] == pytest.approx(1.0)


def test_short_utterance_has_no_stoi_and_no_pesq(speech):
    short = speech[:, :1500]
    scores = evaluate_mixture(short.sum(axis=0), short, short + 0.1 * short[::-1], RATE, NAMES)
    assert np.isnan(scores.values["stoi"])
    assert np.isnan(scores.values["pesq"])
    assert np.isfinite(scores.values["si_sdr"])
    assert np.isfinite(scores.values["sdr"])
    assert "stoi of source 1: too little speech" in scores.failure
    assert "estoi of source 1: too little speech" in scores.failure
    assert "pesq of source 1: shorter than a quarter of a second" in scores.failure


def test_pesq_of_a_rate_it_is_not_defined_for(speech):
    scores = evaluate_mixture(speech[0], speech, speech[::-1], 11025, ["pesq"])
    assert np.isnan(scores.values["pesq"])
    assert "not 11025" in scores.failure


def test_shapes_must_agree(speech):
    with pytest.raises(ValueError, match="references"):
        evaluate_mixture(speech[0], speech, speech[:1], RATE)


def test_mse_by_hand():
    references = np.array([[1.0, 0.0, -1.0, 0.5], [0.0, 0.25, 0.0, 0.0]])
    estimates = references + np.array([[0.2], [-0.1]])
    scores = evaluate_mixture(references.sum(0), references, estimates, RATE, ["mse"])
    assert scores.values["mse"] == pytest.approx((0.04 + 0.01) / 2)
    of_input = (np.mean(references[1] ** 2) + np.mean(references[0] ** 2)) / 2
    assert scores.values["input_mse"] == pytest.approx(of_input)
    assert scores.values["msei"] == pytest.approx(0.025 - of_input)
