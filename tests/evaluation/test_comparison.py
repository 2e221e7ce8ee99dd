"""Comparing systems: paired statistics of known differences, and the script."""

import sys

import numpy as np
import pandas as pd
import pytest

import compare as script
from separation.errors import RecipeError
from separation.evaluation.comparison import Scores, compare, different_data, read_scores
from separation.evaluation.results import COLUMNS


def scores(values, **columns):
    ids = [f"m{i}" for i in range(len(values))]
    return pd.DataFrame({"mixture_ID": ids, "length": 8000, "si_sdri": values} | columns)


def known(rng, difference, n=60):
    """Two systems whose scores vary by 5 dB over mixtures, and their difference by 1 dB."""
    hard = rng.normal(8.0, 5.0, n)
    second = hard + rng.normal(difference, 1.0, n)
    return Scores("a", scores(hard), ""), Scores("b", scores(second), "")


def test_the_interval_holds_the_true_difference_about_95_times_in_100():
    rng = np.random.default_rng(0)
    found = [compare(*known(rng, 0.5), "si_sdri") for _ in range(100)]
    assert 89 <= sum(d.low <= 0.5 <= d.high for d in found) <= 99
    # Unpaired, intervals are +-1.3 dB wide, and 0.5 dB could not be told from nothing.
    assert sum(d.low > 0.0 for d in found) > 90
    assert sum(d.p_value < 0.05 for d in found) > 90


def test_no_difference_is_found_where_there_is_none_but_for_5_in_100():
    rng = np.random.default_rng(1)
    p_values = [compare(*known(rng, 0.0), "si_sdri").p_value for _ in range(100)]
    assert 1 <= sum(p < 0.05 for p in p_values) <= 12


def test_means_and_counts_by_hand():
    first = Scores("a", scores([1.0, 2.0, 3.0, 4.0]), "")
    second = Scores("b", scores([2.0, 1.0, 3.0, 8.0]), "")
    found = compare(first, second, "si_sdri")
    assert (found.n, found.better, found.worse, found.unpaired) == (4, 2, 1, 0)
    assert (found.mean_first, found.mean_second) == (2.5, 3.5)
    assert found.low <= 1.0 <= found.high
    back = compare(second, first, "si_sdri")
    assert (back.better, back.worse) == (1, 2)
    assert back.p_value == found.p_value


def test_a_lower_error_is_better():
    first, second = (Scores(n, scores([0.0] * 3, mse=m), "") for n, m in (("a", 2e-3), ("b", 1e-3)))
    found = compare(first, second, "mse")
    assert (found.better, found.worse) == (3, 0)


def test_equal_systems_differ_by_nothing():
    same = Scores("a", scores([1.0, 2.0, 3.0]), "")
    found = compare(same, same, "si_sdri")
    assert (found.low, found.high, found.p_value) == (0.0, 0.0, 1.0)
    assert (found.better, found.worse) == (0, 0)


def test_pairs_are_of_the_same_mixture_in_any_order():
    first = scores([1.0, 2.0, 3.0, 4.0, np.nan], input_si_sdr=0.0)
    second = scores([1.5, 2.5, 3.5, 9.0, 9.0, 9.0], input_si_sdr=0.004)[::-1]
    second.loc[3, "input_si_sdr"] = 1.0  # other audio under this name
    found = compare(Scores("a", first, ""), Scores("b", second, ""), "si_sdri")
    assert found.n == 3
    assert found.mean_second - found.mean_first == pytest.approx(0.5)
    assert found.unpaired == 2 + 3
    second.loc[2, "length"] = 8001
    assert compare(Scores("a", first, ""), Scores("b", second, ""), "si_sdri").n == 2


def test_different_data_are_named():
    assert different_data([("a", "1"), ("b", "1"), ("a", "1")]) == ""
    assert different_data([("a", "")]) == ""
    assert different_data([("a", "1"), ("b", "2"), ("c", "1")]) == "different data: 1 (a, c), 2 (b)"
    assert different_data([("a", "1"), ("b", "")]) == "data not known of b"


def test_scores_know_their_data_and_their_system(tmp_path):
    path = tmp_path / "toy_small" / "eval_tt" / "scores.csv"
    path.parent.mkdir(parents=True)
    scores([1.0, np.nan], data_fingerprint="0123", stoi=0.5).to_csv(path, index=False)
    for metric in ("si_sdri", "stoi"):
        found = read_scores(path, metric)
        assert (found.name, found.fingerprint) == ("toy_small tt", "0123")
        assert found.table[metric].dtype == float


# ---- the script


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, arguments)])
        script.main()
        return capsys.readouterr().out

    return call


def written(folder, name, values, fingerprint="1"):
    path = folder / name / "eval_tt" / "scores.csv"
    path.parent.mkdir(parents=True)
    scores(values, data_fingerprint=fingerprint).to_csv(path, index=False)
    return path


def results(folder, tag, si_sdri, mse, fingerprint="1"):
    row = dict.fromkeys(COLUMNS, "") | {"corpus": "toy", "tag": tag, "split": "tt", "n_failed": 0}
    row |= {"si_sdri": si_sdri, "mse": mse, "n_mixtures": 9, "data_fingerprint": fingerprint}
    rows = [row | {"subset": "all"}, row | {"subset": "FM"}]
    pd.DataFrame(rows).to_csv(folder / f"{tag}.csv", index=False)
    return folder / f"{tag}.csv"


def test_the_first_scores_are_compared_with_each_of_the_others(run, tmp_path):
    values = np.arange(10.0)
    files = [written(tmp_path, f"toy_{n}", values + n) for n in range(3)]
    out = run(*files, "--csv", tmp_path / "t.csv")
    table = pd.read_csv(tmp_path / "t.csv")
    assert list(table["second"]) == ["toy_1 tt", "toy_2 tt"]
    assert list(table["low"]) == [1.0, 2.0]
    assert "+1.00 to +1.00" in out and "note" not in out
    assert "| toy_1 tt |" in run(*files, "--markdown")
    assert "<td>toy_1 tt</td>" in run(*files, "--html")


def test_scores_of_different_data_are_paired_with_a_note(run, tmp_path):
    one, two = (written(tmp_path, f"toy_{n}", [1.0, 2.0 + n, 3.0][: 3 - n], n) for n in range(2))
    out = run(one, two)
    assert "note: different data: 0 (toy_0 tt), 1 (toy_1 tt): paired by id, length" in out
    assert "note: toy_1 tt: 1 rows of the two files are left out" in out


@pytest.mark.parametrize(
    ("sort", "order"), [((), "b a c"), (("--sort", "mse"), "c a b"), (("--sort", "tag"), "a b c")]
)
def test_results_are_sorted_best_first(run, tmp_path, sort, order):
    rows = {"a": (5.0, 2e-3), "b": (10.0, 3e-3), "c": ("", 1e-3)}
    files = [results(tmp_path, tag, *values) for tag, values in rows.items()]
    run(*files, *sort, "--csv", tmp_path / "t.csv")
    assert list(pd.read_csv(tmp_path / "t.csv")["tag"]) == order.split()


def test_results_of_different_data_have_a_note(run, tmp_path):
    files = [results(tmp_path, "a", 1, 1), results(tmp_path, "b", 2, 1, "2")]
    assert "note: toy: different data: 1 (a), 2 (b): these scores do not compare" in run(*files)
    assert "note" not in run(files[0])


def test_what_cannot_be_compared_says_so_in_one_line(run, tmp_path):
    one = written(tmp_path, "toy_a", [1.0, 2.0])
    other = written(tmp_path, "toy_b", [1.0, 2.0])
    other.write_text(other.read_text().replace("m", "n").replace("nixture", "mixture"))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bare.csv").write_text("mixture_ID,si_sdri\n")
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    row = results(tmp_path, "r", 1, 1)
    for arguments, message in [
        ([one, other], "toy_a tt and toy_b tt: si_sdri of 0 mixtures in common"),
        ([one, one, "--metric", "si_sdrj"], r"no metric 'si_sdrj' \(did you mean 'si_sdri'"),
        ([one], "toy_a/eval_tt/scores.csv: nothing to compare it with"),
        ([one, tmp_path / "empty.csv"], "empty.csv: is empty; give results"),
        ([one, tmp_path / "bare.csv"], "bare.csv: no mixture in it; stage 4"),
        ([tmp_path / "odd.csv"], "odd.csv: neither results nor scores"),
        ([tmp_path / "none.csv"], "none.csv: no such file; stage 4"),
        ([row, "--sort", "si_sdrx"], "--sort si_sdrx: no such column"),
        ([row, one, one, "--csv", tmp_path / "t.csv"], "--csv: one table goes into a file"),
    ]:
        with pytest.raises(RecipeError, match=message) as error:
            run(*arguments)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "t.csv").exists()
