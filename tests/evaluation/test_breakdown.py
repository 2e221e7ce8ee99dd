"""Groups of mixtures, the worst ones, and the script that prints them."""

import sys

import numpy as np
import pandas as pd
import pytest

import breakdown as script
from separation.errors import RecipeError
from separation.evaluation.breakdown import by_quantity, by_swaps, worst
from separation.evaluation.metrics import evaluate_mixture


def table():
    """Eight mixtures whose SI-SDRi is ten times their level difference, and one without a score."""
    levels = np.array([4.0, 1.0, 3.0, 2.0, 5.0, 7.0, 6.0, 8.0, 2.5])
    si_sdri = np.append(10 * levels[:-1], np.nan)
    ids = [f"m{level:g}" for level in levels]
    columns = {"mixture_ID": ids, "level_difference": levels, "si_sdri": si_sdri}
    return pd.DataFrame(columns | {"length": 8000})


def test_groups_by_hand():
    rows = by_quantity(table(), "level_difference")
    assert [(row["low"], row["high"]) for row in rows] == [(1, 2), (3, 4), (5, 6), (7, 8)]
    assert [row["si_sdri"] for row in rows] == [15.0, 35.0, 55.0, 75.0]
    assert [row["n_mixtures"] for row in rows] == [2] * 4
    assert (rows[0]["si_sdri_low"], rows[0]["si_sdri_high"]) == (10.0, 20.0)


def test_equal_values_are_one_group():
    (row,) = by_quantity(table(), "length")
    assert (row["n_mixtures"], row["si_sdri"]) == (8, 45.0)
    assert by_quantity(table().assign(length=np.nan), "length") == []


def test_the_worst_come_first_and_failures_do_not_count():
    assert list(worst(table(), 3)["mixture_ID"]) == ["m1", "m2", "m3"]
    assert len(worst(table(), 100)) == 8


@pytest.mark.parametrize(("gain", "expected"), [(1.0, 0.0), (0.1, 20.0), (10.0, 20.0)])
def test_the_level_difference_is_of_the_references(gain, expected):
    noise = np.random.default_rng(0).standard_normal(8000)
    references = np.stack([noise, gain * noise[::-1]])
    scores = evaluate_mixture(references.sum(axis=0), references, references, 8000, ["snr"])
    assert scores.level_difference == pytest.approx(expected)


def test_a_silent_reference_has_no_level_difference():
    references = np.stack([np.ones(100), np.zeros(100)])
    scores = evaluate_mixture(references.sum(axis=0), references, references, 8000, ["snr"])
    assert np.isnan(scores.level_difference)


def test_mixtures_with_exchanged_speakers_are_counted_apart():
    swaps = [0, 0, 2, 0, 1, 0, 0, 0, np.nan]
    leakage = [-20.0] * 4 + [-10.0] + [np.nan] * 4
    rows = by_swaps(table().assign(swaps=swaps, leakage=leakage))
    assert [(row["swapped"], row["n_mixtures"]) for row in rows] == [(0, 6), (1, 2)]
    assert [row["si_sdri"] for row in rows] == [pytest.approx(280 / 6), 40.0]
    assert [row["leakage"] for row in rows] == [-20.0, -15.0]
    assert by_swaps(table()) == []
    assert len(by_swaps(table().assign(swaps=0.0))) == 1


def test_script_prints_overlap_and_exchanges(tmp_path, monkeypatch, capsys):
    scores = table().assign(overlap=np.linspace(0.1, 0.9, 9), swaps=[1] + [0] * 8, leakage=-20.0)
    scores.to_csv(tmp_path / "scores.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["breakdown.py", str(tmp_path / "scores.csv")])
    script.main()
    lines = [[c.strip() for c in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    assert ["", "yes", "1", "40.00", "-20.00", ""] in lines
    assert any(line[1:3] == ["0.10 to 0.20", "2"] for line in lines if len(line) > 2)


def test_script_prints_groups_and_the_worst(tmp_path, monkeypatch, capsys):
    table().to_csv(tmp_path / "scores.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["breakdown.py", str(tmp_path / "scores.csv"), "--worst", "2"])
    script.main()
    lines = [[c.strip() for c in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    assert ["", "1.0 to 2.0", "2", "15.00", "10.00 to 20.00", ""] in lines
    assert lines[-2][1:3] == ["m1", "10"]
    assert lines[-1][1:3] == ["m2", "20"]


def test_scores_without_the_metric_say_so(tmp_path, monkeypatch):
    table().drop(columns="si_sdri").to_csv(tmp_path / "scores.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["breakdown.py", str(tmp_path / "scores.csv")])
    with pytest.raises(RecipeError, match="scores.csv: no si_sdri in it; evaluate with si_sdr"):
        script.main()
