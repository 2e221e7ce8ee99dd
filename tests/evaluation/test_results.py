"""Result files: columns, means, subsets, and the facts about a system."""

import json

import numpy as np
import pandas as pd
import pytest

from evaluate import corpus_of
from separation.errors import RecipeError
from separation.evaluation.results import (
    COLUMNS,
    Provenance,
    corpus_and_tag,
    read_results,
    result_rows,
    subset_of,
    summarise,
    trained_epochs,
    write_results,
)
from separation.report.tables import corpus_table, load_results
from separation.stages import done_marker

FACTS = Provenance(
    corpus="toy",
    tag="small",
    parameters=1234,
    macs_per_second=5678,
    real_time_factor=0.01,
    latency_ms=None,
    epochs=7,
    commit="abc1234",
    date="2026-01-02T03:04:05+00:00",
    command="./run.sh --tag small",
    data_fingerprint="0123456789abcdef",
)


def scores() -> pd.DataFrame:
    """Four mixtures, one of them without a PESQ."""
    return pd.DataFrame(
        {
            "mixture_ID": ["a", "b", "c", "d"],
            "gender_1": ["F", "M", "M", ""],
            "gender_2": ["F", "F", "F", "M"],
            "si_sdr": [1.0, 2.0, 4.0, 9.0],
            "si_sdri": [10.0, 20.0, 40.0, 90.0],
            "pesq": [2.0, np.nan, 3.0, 4.0],
            "failure": ["", "pesq of source 1: no utterance found", "", ""],
        }
    )


def test_every_group_has_a_row():
    table = scores().assign(group=["vctk", "libri", "libri", ""])
    rows = {row["subset"]: row for row in summarise(table)}
    assert list(rows) == ["all", "FF", "FM", "libri", "vctk"]
    assert (rows["libri"]["n_mixtures"], rows["libri"]["si_sdri"]) == (2, 30.0)
    assert (rows["vctk"]["n_mixtures"], rows["vctk"]["si_sdri"]) == (1, 10.0)
    assert rows["all"]["si_sdri"] == 40.0


def test_means_leave_out_what_failed_and_count_it():
    rows = {row["subset"]: row for row in summarise(scores())}
    assert list(rows) == ["all", "FF", "FM"]
    assert rows["all"]["n_mixtures"] == 4
    assert rows["all"]["n_failed"] == 1
    assert rows["all"]["si_sdri"] == 40.0
    assert rows["all"]["pesq"] == 3.0
    assert (rows["FM"]["n_mixtures"], rows["FM"]["n_failed"]) == (2, 1)
    assert (rows["FM"]["si_sdr"], rows["FM"]["pesq"]) == (3.0, 3.0)
    assert rows["FF"]["n_failed"] == 0


def test_the_mean_improvement_has_an_interval_where_there_are_two_mixtures():
    rows = {row["subset"]: row for row in summarise(scores())}
    assert 10.0 <= rows["all"]["si_sdri_low"] < 40.0 < rows["all"]["si_sdri_high"] <= 90.0
    assert (rows["FM"]["si_sdri_low"], rows["FM"]["si_sdri_high"]) == (20.0, 40.0)
    assert np.isnan(rows["FF"]["si_sdri_low"])
    assert "si_sdri_low" not in summarise(scores().drop(columns="si_sdri"))[0]


def test_subset_names():
    assert subset_of(["M", "F"]) == "FM"
    assert subset_of(["M", "F", "F"]) == "FFM"
    assert subset_of(["M", ""]) == ""
    assert subset_of([]) == ""


def test_the_columns_are_these():
    assert ",".join(COLUMNS) == (
        "corpus,tag,split,subset,n_mixtures,n_failed,si_sdr,si_sdri,sdr,sdri,snr,stoi,pesq,mse,"
        "estoi,sir,siri,sar,dnsmos,si_sdri_low,si_sdri_high,parameters,macs_per_second,real_time_factor,latency_ms,epochs,commit,date,command,data_fingerprint"
    )


def test_written_file_reads_back(tmp_path):
    path = tmp_path / "toy_small.csv"
    write_results(path, result_rows(scores(), "tt", FACTS), keep_other_splits=False)
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert path.read_text().splitlines()[2] == (
        "toy,small,tt,FF,1,0,1.0,10.0,,,,,2.0,,,,,,,,,1234,5678,0.01,,7,abc1234,"
        "2026-01-02T03:04:05+00:00,./run.sh --tag small,0123456789abcdef"
    )
    table = read_results(path)
    assert list(table["subset"]) == ["all", "FF", "FM"]
    assert table["si_sdri"][0] == 40.0
    assert table["sdr"].isna().all()
    assert table["data_fingerprint"][0] == "0123456789abcdef"


def test_files_with_fewer_or_other_scores_are_read_and_shown(tmp_path):
    frame = result_rows(scores(), "tt", FACTS)
    frame.drop(columns=["mse", "sdr"]).to_csv(tmp_path / "old.csv", index=False)
    frame.assign(tag="new", loudness=0.5, mse=1e-7).to_csv(tmp_path / "new.csv", index=False)
    assert read_results(tmp_path / "new.csv")["loudness"].tolist() == [0.5] * 3
    table = corpus_table(load_results(tmp_path), "toy")
    assert table["MSE"].tolist() == ["1.00e-07", "–"]
    assert "SDRi" not in table.columns


def test_one_split_anew_keeps_the_others(tmp_path):
    path = tmp_path / "toy_small.csv"
    both = pd.concat([result_rows(scores(), split, FACTS) for split in ("tt", "tr")])
    write_results(path, both, keep_other_splits=False)
    better = scores().assign(si_sdri=100.0)
    write_results(path, result_rows(better, "tt", FACTS), keep_other_splits=True)
    table = read_results(path)
    means = table[table["subset"] == "all"].set_index("split")["si_sdri"]
    assert dict(means) == {"tt": 100.0, "tr": 40.0}
    write_results(path, result_rows(better, "tt", FACTS), keep_other_splits=False)
    assert set(read_results(path)["split"]) == {"tt"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("corpus,tag\na,b\n", "column 'split' is missing"),
        ("", "is empty; stage 4 makes it"),
        (
            f"{','.join(COLUMNS)}\na,a,tt,a,3,0,no{',' * 23}\n",
            "r.csv:2: column 'si_sdr': 'no' is not",
        ),
    ],
)
def test_bad_result_file(tmp_path, content, message):
    (tmp_path / "r.csv").write_text(content)
    with pytest.raises(RecipeError, match=message):
        read_results(tmp_path / "r.csv")


def test_missing_result_file(tmp_path):
    with pytest.raises(RecipeError, match="stage 4"):
        read_results(tmp_path / "r.csv")


def test_epochs(tmp_path):
    assert trained_epochs(tmp_path) is None
    (tmp_path / "training_log.csv").write_text("epoch,loss\n0,1\n1,\n11,-3\n")
    assert trained_epochs(tmp_path) == 12
    (tmp_path / "training_log.csv").rename(tmp_path / "metrics.csv")  # its name in earlier versions
    assert trained_epochs(tmp_path) == 12


def test_experiment_names():
    assert corpus_and_tag("espeak-2mix_small", "espeak-2mix") == ("espeak-2mix", "small")
    assert corpus_and_tag("my_corpus-3spk_a_b", "my_corpus") == ("my_corpus-3spk", "a_b")
    assert corpus_and_tag("elsewhere", "espeak-2mix") == ("espeak-2mix", "elsewhere")


@pytest.mark.parametrize(
    ("made", "named"), [("voices-2mix", "voices-2mix-3spk"), ("folder-2mix", "folder-2mix")]
)
def test_a_row_names_the_corpus_of_the_data(tmp_path, made, named):
    """A system may be evaluated on data of another corpus than its own."""
    assert corpus_of(tmp_path, "voices-2mix-3spk") == "voices-2mix-3spk"
    done_marker(2, tmp_path).write_text(json.dumps({"corpus.name": made}))
    assert corpus_of(tmp_path, "voices-2mix-3spk") == named
