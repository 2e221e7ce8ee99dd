"""local/score.py: estimates of another program, and what is wrong with them."""

import os
import signal
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

import score
from separation.corpus.audio import read_audio
from separation.errors import RecipeError
from separation.evaluation.metrics import evaluate_mixture
from separation.evaluation.part import PART
from tiny_corpus import make_corpus

METRICS = ["si_sdr", "snr"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return make_corpus(folder, {"tr": 1, "cv": 1, "tt": 6}) / "tt.csv"


def signals(row):
    """Mixture, references, and estimates in the other order with a little of each other."""
    mixture = read_audio(row["mixture_path"])
    references = np.stack([read_audio(row[f"source_{i}_path"]) for i in (1, 2)])
    return mixture, references, (0.8 * references[::-1] + 0.1 * references).astype(np.float32)


def write(path, samples, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="FLOAT")


@pytest.fixture
def estimates(manifest, tmp_path):
    table = score.read_manifest(manifest, 2)
    for row in table.to_dict("records"):
        for number, estimate in enumerate(signals(row)[2], start=1):
            write(tmp_path / f"{row['mixture_ID']}_s{number}.wav", estimate)
    return tmp_path


def run(monkeypatch, manifest, estimates, *options):
    words = ["--estimates", estimates, "--manifest", manifest, "--nj", "1"]
    words += ["--metrics", ",".join(METRICS), *options]
    monkeypatch.setattr(sys, "argv", ["score.py", *map(str, words)])
    score.main()
    return pd.read_csv(estimates / "scores.csv", keep_default_na=False, na_values={"si_sdr": ""})


def test_scores_are_those_of_the_signals(manifest, estimates, monkeypatch, capsys):
    scores = run(monkeypatch, manifest, estimates)
    table = score.read_manifest(manifest, 2)
    assert list(scores["mixture_ID"]) == list(table["mixture_ID"])
    for row, found in zip(table.to_dict("records"), scores.to_dict("records"), strict=True):
        values = evaluate_mixture(*signals(row), 8000, METRICS).values
        assert {name: found[name] for name in values} == pytest.approx(values, abs=1e-4)
    means = pd.read_csv(estimates / "means.csv")
    assert means["si_sdri"][0] == pytest.approx(scores["si_sdri"].mean())
    assert f"all  si_sdri {means['si_sdri'][0]:.2f} (95 %: " in capsys.readouterr().out


def test_files_that_do_not_fit_are_failures_of_their_rows(manifest, estimates, monkeypatch, capsys):
    table = score.read_manifest(manifest, 2)
    ids = list(table["mixture_ID"])
    files = [estimates / f"{name}_s1.wav" for name in ids]
    whole = read_audio(files[1])
    files[0].unlink()
    write(files[1], np.append(whole, 0.0))
    write(files[2], read_audio(files[2])[:-1])
    write(files[3], read_audio(files[3]), 16000)
    files[4].write_bytes(b"no audio")
    scores = run(monkeypatch, manifest, estimates)
    reasons = [
        "no such file",
        f"{len(whole) + 1} samples, longer than its mixture, {len(whole)}",
        "samples, shorter than its mixture",
        "16000 Hz, but 8000 Hz is needed",
        "cannot be read as audio",
    ]
    for path, reason, failure in zip(files, reasons, scores["failure"], strict=False):
        assert failure.startswith(f"estimate {path}: ") and reason in failure
    assert scores["failure"][5] == ""
    assert list(scores["si_sdr"].isna()) == [True] * 5 + [False]
    assert "(n = 6, 5 of them with a failure)" in capsys.readouterr().out


def test_an_estimate_that_no_mixture_has_is_an_error(manifest, estimates, monkeypatch):
    name = score.read_manifest(manifest, 2)["mixture_ID"][0]
    write(estimates / f"{name}_mix.wav", np.zeros(10))  # of another name: no estimate
    run(monkeypatch, manifest, estimates)
    write(estimates / f"{name}_s3.wav", np.zeros(10))
    with pytest.raises(RecipeError, match=f"{name}_s3.wav: an estimate that no mixture has"):
        run(monkeypatch, manifest, estimates)


def test_a_pattern_with_folders(manifest, estimates, monkeypatch):
    for path in list(estimates.glob("*.wav")):
        name, _, number = path.stem.rpartition("_s")
        (estimates / number).mkdir(exist_ok=True)
        path.rename(estimates / number / f"{name}.wav")
    scores = run(monkeypatch, manifest, estimates, "--pattern", "{source}/{id}.wav")
    assert (scores["failure"] == "").all()
    with pytest.raises(RecipeError, match="no estimate of any mixture, such as .*; give --pattern"):
        run(monkeypatch, manifest, estimates)


@pytest.mark.parametrize("pattern", ["{id}.wav", "s{source}.wav", "{id}_{0}.wav", "{id}{source"])
def test_bad_patterns(manifest, estimates, monkeypatch, pattern):
    with pytest.raises(RecipeError, match="must have {id} and {source} once each"):
        run(monkeypatch, manifest, estimates, "--pattern", pattern)


def test_a_manifest_without_references(manifest, estimates, monkeypatch, tmp_path):
    table = score.read_manifest(manifest, 2).drop(columns=["source_1_path", "source_2_path"])
    table.to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(RecipeError, match="'source_1_path' is missing; without references, local/"):
        run(monkeypatch, tmp_path / "m.csv", estimates)


def killed(monkeypatch, manifest, estimates, kill_at=3):
    """Score in a process that is killed at a mixture; returns the lines that it leaves."""
    child = os.fork()
    if child == 0:
        count_calls(monkeypatch, kill_at)
        run(monkeypatch, manifest, estimates)
        os._exit(1)  # not reached
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not (estimates / "scores.csv").exists()
    return (estimates / PART).read_text().splitlines()


def count_calls(monkeypatch, kill_at=None):
    """Names of the mixtures that are scored from now on; kills the process at one of them."""
    calls, real = [], score.score_files

    def counting(mixture, *rest):
        if len(calls) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append(mixture)
        return real(mixture, *rest)

    monkeypatch.setattr(score, "score_files", counting)
    return calls


def test_a_killed_run_resumes_at_its_first_missing_row(manifest, estimates, monkeypatch, capsys):
    run(monkeypatch, manifest, estimates)
    whole = (estimates / "scores.csv").read_bytes()
    (estimates / "scores.csv").unlink()
    assert len(killed(monkeypatch, manifest, estimates)) == 1 + 3
    calls = count_calls(monkeypatch)
    run(monkeypatch, manifest, estimates)
    assert calls == list(score.read_manifest(manifest, 2)["mixture_path"])[3:]
    assert f"{estimates}: 3 of 6 mixtures were scored before" in capsys.readouterr().out
    assert (estimates / "scores.csv").read_bytes() == whole
    assert not (estimates / PART).exists()


def another_estimate(estimates, options):
    path = min(estimates.glob("*_s1.wav"))
    write(path, 2 * read_audio(path))
    os.utime(path, ns=(0, 0))  # a clock may be too coarse to show it


def other_metrics(estimates, options):
    options += ["--metrics", "si_sdr"]


@pytest.mark.parametrize("change", [another_estimate, other_metrics])
def test_scores_of_other_files_or_metrics_are_not_used(manifest, estimates, monkeypatch, change):
    killed(monkeypatch, manifest, estimates)
    calls, options = count_calls(monkeypatch), []
    change(estimates, options)
    run(monkeypatch, manifest, estimates, *options)
    assert len(calls) == 6
