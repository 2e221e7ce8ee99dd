"""Evaluating a split: the table, the examples, the script."""

import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import evaluate
from separation.config import load_config, save_resolved
from separation.corpus.audio import read_audio
from separation.errors import RecipeError
from separation.evaluation.evaluator import (
    evaluate_split,
    example_rows,
    read_split,
    real_time_factor,
)
from separation.evaluation.metrics import evaluate_mixture
from separation.evaluation.results import COLUMNS, read_results
from separation.inference.separator import Separator
from separation.models.registry import build_model, save_model
from separation.process import parallel
from tiny_corpus import make_corpus

TINY = ["net_conf.N=16", "net_conf.B=8", "net_conf.H=12", "net_conf.X=2", "net_conf.R=1"]
processes = partial(parallel, return_as="generator")
ONE = processes(1)
SETTINGS = {"metrics": ["si_sdr", "snr"], "metrics_backend": "own", "n_examples": 2}


class Shares(torch.nn.Module):
    """Gives parts of the mixture as its sources, so every score of it is known."""

    sample_rate = 8000

    def __init__(self, shares=(0.5, 0.5)):
        super().__init__()
        self.shares = torch.nn.Parameter(torch.tensor(shares))

    def forward(self, mixtures):
        return self.shares[:, None] * mixtures[:, None]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def exp_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exp") / "espeak-2mix_tiny"
    conf = load_config("espeak-2mix", "small", None, [*TINY, "nj=1"])
    torch.manual_seed(0)
    save_model(build_model(conf), folder / "best_model.pth")
    save_resolved(conf, folder / "conf.yaml")
    (folder / "training_log.csv").write_text("epoch,lr,loss,val_loss\n0,1,1,1\n4,1,0,1\n")
    return folder


@pytest.fixture
def table(data_dir):
    return read_split(data_dir / "wav8k" / "min" / "tt.csv", 2, 0)


def test_rows_are_the_scores_of_the_mixtures(table, tmp_path):
    scores = evaluate_split(Separator(Shares()), table, tmp_path, SETTINGS, ONE)
    assert ",".join(scores) == (
        "mixture_ID,length,speaker_1_ID,speaker_2_ID,gender_1,gender_2,"
        "input_si_sdr,si_sdr,si_sdri,input_snr,snr,snri,level_difference,"
        "overlap,swaps,leakage,failure"
    )
    assert list(scores["mixture_ID"]) == list(table["mixture_ID"])
    # Both estimates are half the mixture: SI-SDR stays, SNR rises.
    np.testing.assert_allclose(scores["si_sdri"], 0.0, atol=1e-3)
    mixture = read_audio(table["mixture_path"][0])
    sources = np.stack([read_audio(table[f"source_{i}_path"][0]) for i in (1, 2)])
    halves = np.stack([mixture, mixture]) / 2
    values = evaluate_mixture(mixture, sources, halves, 8000, SETTINGS["metrics"]).values
    for name in ("input_si_sdr", "input_snr", "snr"):
        assert scores[name][0] == pytest.approx(values[name], abs=1e-3)
    written = pd.read_csv(tmp_path / "scores.csv", keep_default_na=False)
    assert list(written) == list(scores)
    np.testing.assert_allclose(written["snri"], scores["snri"])


def test_the_same_numbers_again_and_with_processes(table, tmp_path, exp_dir):
    separator = Separator.from_experiment(exp_dir)
    texts = []
    for run, nj in enumerate((1, 1, 2)):
        evaluate_split(separator, table, tmp_path / str(run), SETTINGS, processes(nj))
        texts.append((tmp_path / str(run) / "scores.csv").read_text())
    assert texts[0] == texts[1] == texts[2]


def test_examples_are_in_the_order_of_their_sources(table, tmp_path, monkeypatch):
    sources = [read_audio(table[f"source_{i}_path"][0]) for i in (1, 2)]
    separator = Separator(Shares())
    # What separates perfectly, in the other order.
    monkeypatch.setattr(separator, "separate", lambda *_: np.stack([sources[1], sources[0]]))
    (tmp_path / "examples" / "stale").mkdir(parents=True)
    evaluate_split(separator, table[:1], tmp_path, {**SETTINGS, "metrics": ["stoi"]}, ONE)
    assert [path.name for path in (tmp_path / "examples").iterdir()] == [table["mixture_ID"][0]]
    folder = tmp_path / "examples" / table["mixture_ID"][0]
    for number, source in enumerate(sources, start=1):
        np.testing.assert_array_equal(read_audio(folder / f"s{number}.wav"), source)
        np.testing.assert_array_equal(read_audio(folder / f"s{number}_estimate.wav"), source)
    np.testing.assert_array_equal(
        read_audio(folder / "mix.wav"), read_audio(table["mixture_path"][0])
    )


def test_failures_are_counted_not_averaged(table, tmp_path, monkeypatch):
    separator = Separator(Shares())
    real = separator.separate
    calls = []

    def once_nan(mixture, rate):
        calls.append(1)
        return real(mixture, rate) * (np.nan if len(calls) == 2 else 1.0)

    monkeypatch.setattr(separator, "separate", once_nan)
    scores = evaluate_split(separator, table, tmp_path, {**SETTINGS, "n_examples": 3}, ONE)
    assert list(scores["si_sdr"].isna()) == [False, True, False]
    assert list(scores["failure"] != "") == [False, True, False]
    kept = {path.name for path in (tmp_path / "examples").iterdir()}
    assert kept == set(table["mixture_ID"][[0, 2]])


def test_examples_are_spread_over_the_split_and_every_gender_pair_is_among_them():
    first, second = ["F"] * 9 + ["M"], ["F"] * 6 + ["M", "", "F", "F"]
    table = pd.DataFrame({"gender_1": first, "gender_2": second})
    assert example_rows(table, 0) == set()
    assert example_rows(table, 1) == {0, 6}  # FF, and the first FM
    assert example_rows(table, 4) == {0, 3, 6, 9}
    assert example_rows(table, 99) == set(range(10))
    assert example_rows(pd.DataFrame({"mixture_ID": ["a", "b", "c"]}), 2) == {0, 2}


def test_at_most_so_many_mixtures_spread_over_the_split(data_dir):
    path = data_dir / "wav8k" / "min" / "tr.csv"
    everything = list(read_split(path, 2, 0)["mixture_ID"])
    assert len(everything) == 8
    some = read_split(path, 2, 3)
    assert list(some["mixture_ID"]) == [everything[0], everything[4], everything[7]]
    assert list(some.index) == [0, 1, 2]
    assert len(read_split(path, 2, 99)) == 8


def test_speed_is_per_second_of_audio(table, monkeypatch):
    separator = Separator(Shares())
    clock = iter([10.0, 13.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    seconds = table["length"].sum() / 8000
    assert real_time_factor(separator, table) == pytest.approx(3.0 / seconds)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
    evaluate.main()


def test_script_writes_the_result_file(data_dir, exp_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RECIPE_COMMAND", "./run.sh --tag tiny")
    path = tmp_path / "results" / "espeak-2mix_tiny.csv"
    arguments = ["--exp_dir", exp_dir, "--data_dir", data_dir, "--results", path, "--device", "cpu"]
    run(monkeypatch, *arguments, "--", "evaluation.max_mixtures.tr=4")
    results = read_results(path)
    assert list(results) == COLUMNS
    everything = results[results["subset"] == "all"].set_index("split")
    assert list(everything.index) == ["tt", "tr"]
    assert list(everything["n_mixtures"]) == [3, 4]
    row = everything.loc["tt"]
    assert (row["corpus"], row["tag"], row["epochs"]) == ("espeak-2mix", "tiny", 5)
    assert row["command"] == "./run.sh --tag tiny"
    fingerprint = (data_dir / "wav8k" / "min" / "fingerprint.txt").read_text().strip()
    assert row["data_fingerprint"] == fingerprint
    model = Separator.from_experiment(exp_dir).model
    assert row["parameters"] == sum(p.numel() for p in model.parameters())
    assert row["real_time_factor"] > 0
    assert np.isnan(row["latency_ms"])
    metrics = pd.read_csv(exp_dir / "eval_tt" / "scores.csv")
    assert row["si_sdri"] == pytest.approx(metrics["si_sdri"].mean(), abs=1e-4)
    assert row["pesq"] == pytest.approx(metrics["pesq"].mean(), abs=1e-4)
    assert "tt  all  si_sdri" in capsys.readouterr().out
    assert len(list((exp_dir / "eval_tt" / "examples").iterdir())) == 3

    run(monkeypatch, *arguments, "--split", "cv", "--", "evaluation.metrics=[snr]")
    assert set(read_results(path)["split"]) == {"tt", "tr", "cv"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "test"], r"evaluation.splits is \['test'\]: known: tr, cv, tt"),
        (["--device", "tpu9"], "--device tpu9"),
        (["--", "evaluation.metrics=[si_sdr,pesk]"], r"unknown 'pesk' \(did you mean 'pesq'"),
        (["--metrics", "si_sdr,pesk"], r"unknown 'pesk' \(did you mean 'pesq'"),
        (["--metrics_backend", "matlab"], "metrics_backend is 'matlab': known: own, pb_bss_eval"),
        (["--metrics_backend", "pb_bss_eval"], "pb_bss_eval has no 'snr'; give --metrics si_sdr,"),
        (["--", "evaluation.splits=[]"], "must name at least one"),
        (["--", "corpus.mode=max"], "stage 2 makes it"),
        (["--", "evaluation.metric=[snr]"], "unknown key 'evaluation.metric'"),
    ],
)
def test_script_errors(data_dir, exp_dir, tmp_path, monkeypatch, arguments, message):
    paths = ["--exp_dir", exp_dir, "--data_dir", data_dir, "--results", tmp_path / "r.csv"]
    with pytest.raises(RecipeError, match=message):
        run(monkeypatch, *paths, *arguments)
    assert not (tmp_path / "r.csv").exists()


def test_damaged_audio_ends_it_with_the_file(data_dir, exp_dir, tmp_path, table, monkeypatch):
    path = tmp_path / "bad.wav"
    soundfile.write(path, np.zeros(9000, np.float32), 16000)
    table = table.copy()
    table.loc[1, "mixture_path"] = str(path)
    for nj in (1, 2):
        with pytest.raises(RecipeError, match="bad.wav: 16000 Hz, but 8000 Hz is needed"):
            evaluate_split(Separator(Shares()), table, tmp_path / "eval", SETTINGS, processes(nj))
        assert not (tmp_path / "eval" / "scores.csv").exists()


def test_not_an_experiment(tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match="train first"):
        run(monkeypatch, "--exp_dir", tmp_path)
