"""Scores are those of Asteroid, mir_eval and pystoi, and known values of SIR and SAR."""

import numpy as np
import pytest
from asteroid.metrics import get_metrics
from mir_eval.separation import bss_eval_sources
from pystoi import stoi

from separation.evaluation.metrics import (
    BACKENDS,
    METRICS,
    evaluate_mixture,
    metric_of,
    score_columns,
)
from separation.evaluation.ratios import sir_and_sar
from tiny_corpus import syllables

RATE = 8000


@pytest.fixture(scope="module")
def signals():
    """Mixture, references and estimates of 1.5 s, with interference, artifacts and a filter."""
    references = np.stack([syllables(1.5, 120, 0), syllables(1.5, 210, 1)]).astype(np.float64)
    noise = np.random.default_rng(5).standard_normal(references.shape)
    estimates = references + 0.2 * references[::-1] + 0.01 * noise
    estimates[0] = np.convolve(estimates[0], [1.0, 0.5, -0.3])[: references.shape[1]]
    return references.sum(axis=0), references, estimates


def test_scores_are_asteroids(signals):
    mixture, references, estimates = signals
    names = ["si_sdr", "sdr", "sir", "sar", "stoi", "pesq"]
    ours = evaluate_mixture(mixture, references, estimates, RATE, names).values
    theirs = get_metrics(mixture, references, estimates, RATE, metrics_list="all")
    tolerance = {"si_sdr": 1e-6, "stoi": 1e-6, "pesq": 1e-6, "sdr": 0.01, "sir": 0.01, "sar": 0.01}
    for name in names:
        assert ours[name] == pytest.approx(theirs[name], abs=tolerance[name]), name
        if METRICS[name].of_input:
            before = theirs[f"input_{name}"]
            assert ours[f"input_{name}"] == pytest.approx(before, abs=tolerance[name]), name


@pytest.mark.parametrize("n_src", [1, 2, 3])
def test_sir_and_sar_are_mir_evals(n_src):
    rng = np.random.default_rng(n_src)
    references = np.stack([syllables(1.0, 110 + 60 * i, i) for i in range(n_src)]).astype(float)
    estimates = (np.eye(n_src) + 0.3 * rng.random((n_src, n_src))) @ references
    estimates += 0.02 * rng.standard_normal(references.shape)
    _, sir, sar, _ = bss_eval_sources(references, estimates, compute_permutation=False)
    ours = sir_and_sar(references, estimates)
    if n_src > 1:  # one source alone has no interference: infinite
        np.testing.assert_allclose(ours[0], sir, atol=0.01)
    np.testing.assert_allclose(ours[1], sar, atol=0.01)


def test_sir_and_sar_of_known_interference_and_noise():
    """White noises are almost orthogonal under every delay; filters explain 2 * 512 / time."""
    rng = np.random.default_rng(0)
    references, noise = rng.standard_normal((2, 2, 40000))
    estimates = references + 0.1 * references[::-1]
    sir, sar = sir_and_sar(references, estimates)
    np.testing.assert_allclose(sir, 20.0, atol=0.4)
    assert (sar > 100).all()
    sir, sar = sir_and_sar(references, estimates + 0.1 * noise)
    np.testing.assert_allclose(sar, 20.0, atol=0.4)


def test_a_nan_in_one_estimate_leaves_the_other(signals):
    _, references, estimates = signals
    spoiled = estimates.copy()
    spoiled[1, 100] = np.nan
    whole, rest = (sir_and_sar(references, e) for e in (estimates, spoiled))
    np.testing.assert_allclose([rest[0][0], rest[1][0]], [whole[0][0], whole[1][0]])


def test_both_backends_agree(signals):
    names = list(BACKENDS["pb_bss_eval"])
    own = evaluate_mixture(*signals, RATE, names)
    theirs = evaluate_mixture(*signals, RATE, names, "pb_bss_eval")
    assert own.failure == theirs.failure == ""
    assert list(own.values) == list(theirs.values)
    for column, value in own.values.items():
        tolerance = (
            0.02 if column.removeprefix("input_").startswith(("sdr", "sir", "sar")) else 1e-6
        )
        assert theirs.values[column] == pytest.approx(value, abs=tolerance), column


def test_failures_of_pb_bss_eval_have_reasons(signals):
    mixture, references, estimates = signals
    spoiled = np.stack([estimates[0], 0 * estimates[1]])
    names = ["si_sdr", "sdr", "pesq"]
    scores = evaluate_mixture(mixture, references, spoiled, RATE, names, "pb_bss_eval")
    assert np.isnan(scores.values["sdr"]) and np.isfinite(scores.values["input_sdr"])
    assert "sdr of source 2: pb_bss_eval: " in scores.failure
    short = (mixture[:1500], references[:, :1500], estimates[:, :1500])
    scores = evaluate_mixture(*short, RATE, ["stoi"], "pb_bss_eval")
    assert np.isnan(scores.values["stoi"]) and "Not enough STFT frames" in scores.failure


def test_estoi_is_pystois(signals):
    mixture, references, estimates = signals
    values = evaluate_mixture(mixture, references, estimates, RATE, ["estoi"]).values
    expected = [stoi(r, e, RATE, extended=True) for r, e in zip(references, estimates, strict=True)]
    assert values["estoi"] == pytest.approx(np.mean(expected), abs=1e-9)
    assert values["estoi"] != pytest.approx(np.mean([stoi(r, mixture, RATE) for r in references]))


def test_the_mixture_has_a_sir_and_no_sar(signals):
    values = evaluate_mixture(*signals, RATE, ["sir", "sar"]).values
    assert list(values) == ["input_sir", "sir", "siri", "sar"]
    assert values["siri"] == pytest.approx(values["sir"] - values["input_sir"])
    assert score_columns("sar") == ["sar"]
    assert metric_of("sari") is None
    assert metric_of("siri") is METRICS["sir"]
