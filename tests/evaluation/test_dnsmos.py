"""DNSMOS: the scores of the package that its weights come from, and where it has none."""

import sys
from importlib import import_module
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soxr

from separation.errors import MetricError, RecipeError
from separation.evaluation import perceptual
from separation.evaluation.metrics import evaluate_mixture
from separation.evaluation.perceptual import dnsmos_scores
from tiny_corpus import syllables

pytest.importorskip("speechmos", reason="speechmos is not installed")


def theirs(signal, monkeypatch):
    """Scores of the package's own code; librosa serves only its second network."""
    librosa = ModuleType("librosa")
    spectrogram = {"melspectrogram": lambda **_: np.ones((120, 900))}
    librosa.feature = SimpleNamespace(**spectrogram)
    librosa.power_to_db = lambda power, ref: power
    monkeypatch.setitem(sys.modules, "librosa", librosa)
    scores = import_module("speechmos.dnsmos").run(signal, 16000)
    return scores["sig_mos"], scores["bak_mos"], scores["ovrl_mos"]


@pytest.mark.parametrize("seconds", [4.6, 9.5, 10.5])
def test_scores_are_the_packages(seconds, monkeypatch):
    signal = soxr.resample(syllables(seconds, 150, 0), 8000, 16000).astype(np.float32)
    expected = theirs(signal, monkeypatch)
    assert dnsmos_scores(signal, 16000) == pytest.approx(expected, abs=1e-6)
    assert all(1.0 < score < 5.0 for score in expected)


def test_other_rates_are_resampled_and_full_scale_is_kept():
    signal = syllables(9.1, 150, 0)
    high = soxr.resample(signal, 8000, 16000, quality="VHQ")
    expected = dnsmos_scores(high, 16000)
    assert dnsmos_scores(signal, 8000) == pytest.approx(expected, abs=1e-6)
    loud = high / np.abs(high).max()
    assert dnsmos_scores(10 * loud, 16000) == pytest.approx(dnsmos_scores(loud, 16000), abs=1e-3)


def test_the_metric_is_the_overall_score_of_output_and_input():
    reference, other = syllables(9.1, 120, 0), syllables(9.1, 210, 1)
    mixture = reference + other
    values = evaluate_mixture(mixture, reference[None], reference[None], 8000, ["dnsmos"]).values
    assert values["dnsmos"] == pytest.approx(dnsmos_scores(reference, 8000)[2])
    assert values["input_dnsmos"] == pytest.approx(dnsmos_scores(mixture, 8000)[2], abs=1e-5)


def test_silence_has_none():
    with pytest.raises(MetricError, match="silent estimate"):
        dnsmos_scores(np.zeros(16000), 16000)


def test_a_missing_package_is_one_line(monkeypatch):
    perceptual._dnsmos_network.cache_clear()
    monkeypatch.setitem(sys.modules, "speechmos", None)
    with pytest.raises(RecipeError, match="dnsmos: package speechmos is missing; pip install"):
        dnsmos_scores(np.ones(16000), 16000)
    perceptual._dnsmos_network.cache_clear()
