"""Oracles: masks by hand, what they do to signals, the script that evaluates them."""

import sys

import numpy as np
import pandas as pd
import pytest

import evaluate
from separation.config import load_corpus_config
from separation.errors import RecipeError
from separation.evaluation.metrics import evaluate_mixture
from separation.evaluation.oracles import (
    MASKS,
    Oracle,
    ideal_binary_mask,
    ideal_ratio_mask,
    phase_sensitive_mask,
    wiener_like_mask,
)
from separation.evaluation.results import read_results
from separation.ranges import ORACLES
from tiny_corpus import make_corpus, syllables

MASKING = [tag for tag in ORACLES if tag != "oracle_mixture"]
# Four bins of one frame: unequal, opposite phases, equal, silent.
SOURCES = np.array([[3.0, 2.0j, 1.0, 0.0], [1.0, -1.0j, 1.0, 0.0]])[:, :, None]
MIXTURE = SOURCES.sum(axis=0)


def make(tag, *changes):
    return Oracle(tag, load_corpus_config("espeak-2mix", list(changes)))


def improvement(tag, references, mixture=None):
    mixture = references.sum(axis=0) if mixture is None else mixture
    estimates = make(tag).separate(mixture, references)
    return evaluate_mixture(mixture, references, estimates, 8000, ["si_sdr"]).values["si_sdri"]


@pytest.fixture
def speech():
    return np.stack([syllables(1.5, 120, 0), syllables(1.5, 210, 1)])


@pytest.mark.parametrize(
    ("mask", "first", "second"),
    [
        (ideal_binary_mask, [1, 1, 1, 1], [0, 0, 0, 0]),
        (ideal_ratio_mask, [3 / 4, 2 / 3, 1 / 2, 1 / 2], [1 / 4, 1 / 3, 1 / 2, 1 / 2]),
        (wiener_like_mask, [9 / 10, 4 / 5, 1 / 2, 1 / 2], [1 / 10, 1 / 5, 1 / 2, 1 / 2]),
        # Of 2j and -1j the mixture is 1j: the ratios 2 and -1 are cut to 1 and 0.
        (phase_sensitive_mask, [3 / 4, 1, 1 / 2, 0], [1 / 4, 0, 1 / 2, 0]),
    ],
)
def test_masks_by_hand(mask, first, second):
    np.testing.assert_allclose(mask(SOURCES, MIXTURE)[:, :, 0], [first, second], atol=1e-12)


def test_the_phase_sensitive_mask_is_the_cosine():
    angle = 0.3
    mask = phase_sensitive_mask(np.full((1, 1, 1), 0.5 * np.exp(1j * angle)), np.ones((1, 1)))
    assert mask.item() == pytest.approx(0.5 * np.cos(angle))


def test_the_names_are_the_table():
    assert tuple(MASKS) == ORACLES


@pytest.mark.parametrize("tag", MASKING)
@pytest.mark.parametrize("n_src", [2, 3])
def test_oracles_are_far_above_the_mixture(tag, n_src):
    pitches = (110, 190, 300)[:n_src]
    voices = np.stack([syllables(1.5, pitch, seed) for seed, pitch in enumerate(pitches)])
    assert improvement(tag, voices) > 8.0


@pytest.mark.parametrize("tag", MASKING)
def test_noise_is_separated_worse_than_voices_and_better_than_not_at_all(tag, speech):
    noise = np.random.default_rng(0).standard_normal((2, 12000))
    assert 3.0 < improvement(tag, noise) < improvement(tag, speech)


def test_the_mixture_improves_nothing(speech):
    mixture = speech.sum(axis=0)
    estimates = make("oracle_mixture").separate(mixture, speech)
    np.testing.assert_allclose(estimates, [mixture, mixture], atol=1e-6)
    assert improvement("oracle_mixture", speech) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("tag", MASKING)
def test_disjoint_spectra_are_separated_almost_perfectly(tag):
    time = np.arange(12000) / 8000
    # Fades keep the ends from spreading over all frequencies.
    fade = np.hanning(12000)
    tones = np.stack([fade * np.sin(2 * np.pi * f * time) for f in (500.0, 2500.0)])
    assert improvement(tag, tones) > 60.0


@pytest.mark.parametrize("tag", ["oracle_irm", "oracle_ibm", "oracle_wfm"])
@pytest.mark.parametrize("length", [1, 100, 255, 256, 257, 12000])
def test_lengths_are_kept_and_estimates_add_up_to_the_mixture(tag, length):
    references = np.random.default_rng(0).standard_normal((2, length)).astype(np.float32)
    references[:, : length // 3] = 0.0  # a pause of all
    mixture = references.sum(axis=0)
    estimates = make(tag).separate(mixture, references)
    assert estimates.shape == (2, length)
    assert estimates.dtype == np.float32
    np.testing.assert_allclose(estimates.sum(axis=0), mixture, atol=1e-6)


def test_no_mask_from_0_to_1_is_closer_than_the_phase_sensitive_one():
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((2, 9, 50)) + 1j * rng.standard_normal((2, 9, 50))
    mixture = sources.sum(axis=0)

    def errors(masks):
        return np.abs(sources - masks * mixture) ** 2

    best = errors(phase_sensitive_mask(sources, mixture))
    for share in np.linspace(0.0, 1.0, 21):
        assert (best <= errors(np.full(sources.shape, share)) + 1e-12).all()


def test_window_and_hop_are_settings(speech):
    mixture = speech.sum(axis=0)
    changes = ["evaluation.oracle_window_ms=64", "evaluation.oracle_hop_ms=16"]
    usual, wide = (make("oracle_irm", *c).separate(mixture, speech) for c in ([], changes))
    assert np.abs(usual - wide).max() > 1e-3
    np.testing.assert_allclose(wide.sum(axis=0), mixture, atol=1e-6)


@pytest.mark.parametrize("hop", ["32", "40", "0.01"])
def test_a_hop_that_cannot_be_inverted(hop):
    with pytest.raises(RecipeError, match=r"evaluation.oracle_hop_ms is .*: must be at least a"):
        make("oracle_irm", f"evaluation.oracle_hop_ms={hop}")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
    evaluate.main()


def test_script_writes_scores_and_a_row_without_facts_of_a_network(
    data_dir, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "results" / "r.csv"
    places = ["--data_dir", data_dir, "--exp_dir", tmp_path / "exp", "--results", path]
    system = ["--corpus", "espeak-2mix", "--tag", "oracle_irm"]
    changes = ["--", "nj=1", "evaluation.metrics=[si_sdr]"]
    run(monkeypatch, *system, *places, *changes)
    results = read_results(path)
    row = results[results["split"] == "tt"].iloc[0]
    assert (row["corpus"], row["tag"], row["n_mixtures"]) == ("espeak-2mix", "oracle_irm", 3)
    facts = ["parameters", "macs_per_second", "real_time_factor", "latency_ms", "epochs"]
    assert row[facts].isna().all()
    scores = pd.read_csv(tmp_path / "exp" / "eval_tt" / "scores.csv")
    assert row["si_sdri"] == pytest.approx(scores["si_sdri"].mean(), abs=1e-4)
    assert scores["si_sdri"].min() > 5.0
    assert set(scores["data_fingerprint"]) == {row["data_fingerprint"]}
    assert row["si_sdri_low"] < row["si_sdri"] < row["si_sdri_high"]
    low, high = row["si_sdri_low"], row["si_sdri_high"]
    assert f"(95 %: {low:.2f} to {high:.2f})" in capsys.readouterr().out

    run(monkeypatch, *system, *places, "--split", "cv", *changes)
    assert set(read_results(path)["split"]) == {"tt", "tr", "cv"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--exp_dir DIR names a trained system, --corpus NAME --tag oracle_ibm an oracle"),
        (["--tag", "oracle_ibn"], r"no oracle \(did you mean 'oracle_ibm'\?\); there are"),
        (["--tag", "oracle_ibm"], "--tag oracle_ibm needs --corpus NAME"),
    ],
)
def test_what_is_to_be_evaluated_must_be_said(monkeypatch, arguments, message):
    with pytest.raises(RecipeError, match=message):
        run(monkeypatch, *arguments)
