"""Counting speakers and scoring what was found, by hand."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from oracle_network import OneOfSources
from separation.evaluation.results import Provenance, read_results, write_results
from separation.evaluation.speakers import (
    best_rule,
    by_number,
    choose_rule,
    confusion,
    count_rows,
    score_counted,
    score_split,
)
from separation.inference.recursion import RecursiveSeparator, StopRule


def tone(number, length=800):
    """Tones of different numbers are orthogonal, with a mean of zero and the same energy."""
    return np.sin(2 * np.pi * number * np.arange(length) / length)


A, B, C, NOISE = (tone(number) for number in (3, 5, 7, 9))


def test_two_of_two_by_hand():
    """Errors of a tenth and a hundredth of the amplitude: 20 and 40 dB; the input has 0 dB."""
    scores = score_counted(A + B, np.stack([A, B]), np.stack([B + 0.01 * NOISE, A + 0.1 * NOISE]))
    assert (scores["missed"], scores["ghosts"]) == (0, 0)
    assert scores["si_sdr"] == pytest.approx(30.0, abs=1e-6)
    assert scores["si_sdri"] == pytest.approx(30.0, abs=1e-6)
    assert scores["p_si_sdr"] == pytest.approx((20 + 30) / 2, abs=1e-6)  # 30 dB at most


def test_a_missed_source_by_hand():
    """Three sources, of which one is found at 10 dB, one not at all, and one is half a pair."""
    x = A + B + C
    estimates = np.stack([C + 10**-0.5 * NOISE, A + B])
    scores = score_counted(x, np.stack([A, B, C]), estimates)
    assert (scores["missed"], scores["ghosts"]) == (1, 0)
    assert scores["si_sdr"] == pytest.approx((10 + 0) / 2, abs=1e-6)
    before = -10 * np.log10(2)  # of one of three that are as loud
    assert scores["si_sdri"] == pytest.approx(5 - before, abs=1e-6)
    assert scores["p_si_sdr"] == pytest.approx((10 + 0 - 30) / 3, abs=1e-6)


def test_a_ghost_by_hand():
    estimates = np.stack([NOISE, A + 0.1 * NOISE, B + 0.1 * NOISE])
    scores = score_counted(A + B, np.stack([A, B]), estimates)
    assert (scores["missed"], scores["ghosts"]) == (0, 1)
    assert scores["si_sdri"] == pytest.approx(20.0, abs=1e-6)
    assert scores["p_si_sdr"] == pytest.approx((20 + 20 - 30) / 3, abs=1e-6)


@pytest.mark.parametrize(("estimates", "p"), [([A], 30.0), ([A, NOISE], 0.0)])
def test_a_source_alone_has_no_improvement(estimates, p):
    scores = score_counted(A, A[None], np.stack(estimates))
    assert np.isnan(scores["si_sdri"])
    assert scores["ghosts"] == len(estimates) - 1
    assert scores["p_si_sdr"] == pytest.approx(p, abs=1e-6)


def test_a_silent_estimate_has_no_si_sdr_and_the_penalty():
    scores = score_counted(A + B, np.stack([A, B]), np.stack([A + 0.1 * NOISE, 0 * A]))
    assert np.isnan(scores["si_sdr"])
    assert scores["p_si_sdr"] == pytest.approx((20 - 30) / 2, abs=1e-6)


def test_the_best_rule_by_hand():
    """One speaker leaves -30 dB and less, two -2 dB and then -18; the widest gap is below -18."""
    levels = np.array([[-30, -33], [-40, -45], [-2, -18], [-3, -20], [-1, -2]])
    rule = best_rule(levels, np.array([1, 1, 2, 2, 3]), 3)
    assert rule.n_max == 3
    assert -18 < rule.stop_db < -3
    assert rule.stop_db == pytest.approx((-18 - 3) / 2)
    assert [rule.count(row) for row in levels] == [1, 1, 2, 2, 3]


def test_the_best_rule_is_right_as_often_as_can_be():
    """A mixture of two with a rest of -25 dB cannot be told from one of one; there are two such."""
    levels = np.array([[-25.0], [-24.0], [-2.0], [-26.0]])
    rule = best_rule(levels, np.array([1, 1, 2, 2]), 2)
    assert sum(rule.count(row) == n for row, n in zip(levels, (1, 1, 2, 2), strict=True)) == 3
    assert best_rule(np.array([[-np.inf]]), np.array([1]), 2).count([-np.inf]) == 1


@pytest.fixture
def split(tmp_path):
    """A mixture of one, two and three sources each, and one of four; and a network that knows."""
    sources = np.stack([A, 1.1 * B, 1.2 * C, 1.3 * NOISE]) * 0.1
    rows = []
    for count in (1, 2, 3, 4):
        row = {"mixture_ID": f"m{count}", "length": 800, "gender_1": "F", "gender_2": "M"}
        for number in range(4):
            path = tmp_path / f"m{count}_s{number}.wav"
            row[f"source_{number + 1}_path"] = str(path) if number < count else ""
            soundfile.write(path, sources[number], 8000, subtype="FLOAT")
        path = tmp_path / f"m{count}.wav"
        soundfile.write(path, sources[:count].sum(0), 8000, subtype="FLOAT")
        rows.append({**row, "mixture_path": str(path)})
    network = OneOfSources(torch.from_numpy(sources))
    return RecursiveSeparator(network, rule=StopRule(-20, 3)), pd.DataFrame(rows)


def test_a_split_is_scored_and_written(split, tmp_path):
    separator, table = split
    scores = score_split(separator, table, tmp_path / "eval_tt")
    assert scores["n_sources"].tolist() == [1, 2, 3, 4]
    assert scores["n_estimates"].tolist() == [1, 2, 3, 3]
    assert scores["missed"].tolist() == [0, 0, 0, 1]
    assert scores["p_si_sdr"].tolist()[:3] == [30, 30, 30]
    assert scores["known_si_sdri"][3] > 40  # given the number, the fourth is found, too
    assert scores["gender_2"].tolist() == ["M"] * 4
    written = pd.read_csv(tmp_path / "eval_tt" / "speakers.csv")
    pd.testing.assert_frame_equal(written, scores, check_dtype=False)


def test_a_rule_is_chosen_that_counts_right(split):
    separator, table = split
    rule, counted = choose_rule(separator, table.iloc[:3])
    assert rule.n_max == 3
    assert counted["n_estimates"].tolist() == counted["n_sources"].tolist() == [1, 2, 3]


SCORES = pd.DataFrame(
    {
        "mixture_ID": list("abcd"),
        "n_sources": [1, 2, 2, 3],
        "n_estimates": [2, 2, 1, 3],
        "missed": [0, 0, 1, 0],
        "ghosts": [1, 0, 0, 0],
        "si_sdr": [np.nan, 10.0, 2.0, 6.0],
        "si_sdri": [np.nan, 9.0, 1.0, 5.0],
        "known_si_sdri": [np.nan, 9.0, 7.0, 5.0],
        "p_si_sdr": [0.0, 10.0, -14.0, 6.0],
    }
)


def test_tables_by_hand():
    table = confusion(SCORES)
    assert table.index.tolist() == [1, 2, 3]
    assert table.columns.tolist() == [1, 2, 3]
    assert table.to_numpy().tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 1]]
    means = by_number(SCORES)
    assert means.index.tolist() == ["1 speaker", "2 speakers", "3 speakers", "all"]
    assert means["count_accuracy"].tolist() == [0.0, 0.5, 1.0, 0.5]
    assert means.loc["2 speakers", "si_sdri"] == 5.0
    assert means.loc["2 speakers", "known_si_sdri"] == 8.0
    assert means.loc["all", ["missed", "ghosts", "si_sdri", "p_si_sdr"]].tolist() == [1, 1, 5, 0.5]
    assert np.isnan(means.loc["1 speaker", "si_sdri"])


def test_genders_and_groups_have_means_of_their_own():
    """A source that is not there has no gender; a gender that is unknown belongs to no subset."""
    scores = SCORES.assign(
        gender_1=["F", "F", "M", "F"],
        gender_2=["", "M", "F", "M"],
        gender_3=["", "", "", "F"],
        group=["", "near", "far", "near"],
    )
    means = by_number(scores)
    assert means.index.tolist()[4:] == ["F", "FFM", "FM", "far", "near"]
    assert means["mixtures"].tolist()[4:] == [1, 1, 2, 1, 2]
    assert means.loc["FM", ["count_accuracy", "si_sdri", "missed"]].tolist() == [0.5, 5, 1]
    assert means.loc["near", ["count_accuracy", "si_sdri"]].tolist() == [1, 7]
    facts = Provenance("toy-1-2-3spk", "mine", "abc", "today", "command", "0" * 16)
    rows = count_rows(scores, "tt", facts).set_index("subset")
    assert rows.index.tolist()[:5] == ["all", "1 speaker", "2 speakers", "3 speakers", "F"]
    assert rows.loc["FFM", ["n_mixtures", "si_sdri"]].tolist() == [1, 5]
    unknown = by_number(scores.assign(gender_2=["", "M", "?", "M"], group=""))
    assert unknown.index.tolist()[4:] == ["F", "FFM", "FM"]
    assert unknown.loc["FM", "mixtures"] == 1


def test_rows_of_results_are_read_as_those_of_others(tmp_path):
    facts = Provenance("toy-1-2-3spk", "mine", "abc", "today", "command", "0" * 16)
    write_results(tmp_path / "r.csv", count_rows(SCORES, "tt", facts), keep_other_splits=False)
    rows = read_results(tmp_path / "r.csv").set_index("subset")
    assert rows.index.tolist() == ["all", "1 speaker", "2 speakers", "3 speakers"]
    assert rows["n_mixtures"].tolist() == [4, 1, 2, 1]
    assert rows["n_failed"].tolist() == [0, 0, 0, 0]
    assert rows.loc["all", ["si_sdri", "p_si_sdr", "count_accuracy"]].tolist() == [5, 0.5, 0.5]
