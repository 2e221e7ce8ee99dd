"""Scores of the mixtures themselves are computed once, and never those of something else."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pesq
import pytest
import soundfile

import evaluate
import score
from forked import CONTEXT, Forked, forked
from separation.config import load_corpus_config
from separation.corpus.layout import Corpus
from separation.corpus.manifest import make_manifests, scores_beside
from separation.evaluation import inputs
from separation.evaluation.evaluator import evaluate_split, read_split
from separation.evaluation.metrics import Scoring, evaluate_mixture, score_mixture
from separation.evaluation.oracles import Oracle
from separation.process import parallel
from spoiling import content, cut, folder, loop, pipe
from tiny_corpus import make_corpus, syllables

ONE = parallel(1, return_as="generator")
NAMES = ("si_sdr", "pesq")
SETTINGS = {"metrics": list(NAMES), "metrics_backend": "own", "n_examples": 0}
SOURCES = np.stack([syllables(1.0, 120, 0), syllables(1.0, 210, 1)])
ESTIMATES = SOURCES + 0.1 * SOURCES[::-1]
N_MIXTURES = 3
SIGNALS = (SOURCES.sum(axis=0), SOURCES, ESTIMATES, 8000)


@pytest.fixture
def calls(monkeypatch):
    """Grows with every call of PESQ in this process."""
    found, real = [], pesq.pesq

    def counting(*arguments):
        found.append(1)
        return real(*arguments)

    monkeypatch.setattr(pesq, "pesq", counting)
    return found


@pytest.fixture
def manifest(tmp_path):
    wav_dir = make_corpus(tmp_path / "data", {"tr": 1, "cv": 1, "tt": N_MIXTURES})
    return wav_dir / "tt.csv"


@pytest.fixture
def path(tmp_path):
    """Of a file with the scores of one mixture, as :func:`evaluated` makes it."""
    path = tmp_path / ".tt.inputs"
    evaluated(path)
    return path


def evaluated(path, signals=SIGNALS, metrics=NAMES, backend="own"):
    """Score one mixture and keep the scores of the input, as an evaluation does."""
    scores = score_mixture(*signals, Scoring(tuple(metrics), backend, path))
    inputs.keep(path, [(scores.input_key, scores.of_input)])
    return scores


def of_system(tag, manifest, folder):
    """Evaluate an oracle; returns the bytes of scores.csv."""
    system = Oracle(f"oracle_{tag}", load_corpus_config("espeak-2mix", []))
    table, beside = read_split(manifest, 2, 0), scores_beside(manifest)
    evaluate_split(system, table, folder, SETTINGS, ONE, beside)
    return (folder / "scores.csv").read_bytes()


def test_a_second_system_reads_what_the_first_one_kept(manifest, tmp_path, calls):
    scores = {tag: of_system(tag, manifest, tmp_path / tag) for tag in ("ibm", "irm")}
    assert len(calls) == N_MIXTURES * (2 + 2) + N_MIXTURES * 2  # sources: input and output; output
    scores_beside(manifest).unlink()
    assert of_system("irm", manifest, tmp_path / "anew") == scores["irm"]
    assert len(calls) == N_MIXTURES * (6 + 4)
    assert list(tmp_path.rglob(".partial-*")) == []


def test_scripts_share_them(manifest, tmp_path, monkeypatch, calls):
    def run(script, *words):
        before = len(calls)
        monkeypatch.setattr(sys, "argv", [f"{script.__name__}.py", *map(str, words)])
        script.main()
        return len(calls) - before

    def oracle(tag):
        places = ["--data_dir", tmp_path / "data", "--exp_dir", tmp_path / tag]
        names = ["--corpus", "espeak-2mix", "--tag", f"oracle_{tag}", "--split", "tt"]
        results = ["--results", tmp_path / f"{tag}.csv", "--metrics", ",".join(NAMES)]
        return run(evaluate, *places, *names, *results, "--", "nj=1")

    assert (oracle("ibm"), oracle("irm")) == (4 * N_MIXTURES, 2 * N_MIXTURES)
    for row in read_split(manifest, 2, 0).to_dict("records"):
        for number in (1, 2):
            samples = soundfile.read(row[f"source_{number}_path"])[0]
            name = f"{row['mixture_ID']}_s{number}.wav"
            (tmp_path / "estimates").mkdir(exist_ok=True)
            soundfile.write(tmp_path / "estimates" / name, 0.5 * samples, 8000)
    words = ["--estimates", tmp_path / "estimates", "--manifest", manifest, "--nj", "1"]
    assert run(score, *words, "--metrics", ",".join(NAMES)) == 2 * N_MIXTURES


def test_values_are_equal_to_the_bit(path, calls):
    expected = evaluate_mixture(*SIGNALS, NAMES)
    del calls[:]
    found = evaluated(path)
    assert len(calls) == 2
    assert found.input_key and not expected.input_key
    assert found.values == expected.values  # floats of which none is NaN: to the bit
    assert (found.failure, found.permutation) == (expected.failure, expected.permutation)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("sample", [0, 4000])
def test_one_changed_sample_is_another_mixture(path, calls, which, sample):
    mixture, references = SIGNALS[0].copy(), SOURCES.copy()
    [mixture, *references][which][sample] += 2.0**-15
    signals = (mixture, references, *SIGNALS[2:])
    del calls[:]
    found = evaluated(path, signals)
    assert len(calls) == 4
    assert found.values == evaluate_mixture(*signals, NAMES).values


def test_sources_of_another_order_rate_or_backend_are_others(path):
    keys = {
        inputs.key_of(SOURCES.sum(axis=0), sources, rate, backend)
        for sources in (SOURCES, SOURCES[::-1])
        for rate in (8000, 16000)
        for backend in ("own", "pb_bss_eval")
    }
    assert len(keys) == 8
    own = evaluated(path, metrics=["sdr"]).values["input_sdr"]
    theirs = evaluated(path, metrics=["sdr"], backend="pb_bss_eval").values["input_sdr"]
    assert own != theirs
    assert evaluated(path, metrics=["sdr"]).values["input_sdr"] == own


def test_other_metrics_are_added(path, calls):
    del calls[:]
    first = evaluated(path, metrics=["snr"])
    again = evaluated(path, metrics=["snr", "pesq"])
    assert len(calls) == 2
    assert again.values["input_snr"] == first.values["input_snr"]
    (scores,) = inputs._parse(path).values()
    assert scores.keys() == {"si_sdr", "pesq", "snr"}


@pytest.mark.parametrize(
    ("references", "reason"),
    [
        (SOURCES[:, :1500], "input_pesq of source 1: shorter than a quarter of a second"),
        (SOURCES * np.float32([[1], [0]]), "input_pesq of source 2: silent reference"),
    ],
)
def test_a_reason_is_never_lost(tmp_path, references, reason):
    signals = (references.sum(axis=0), references, 0.9 * references + 0.01, 8000)
    first, second = (evaluated(tmp_path / ".tt.inputs", signals) for _ in range(2))
    assert reason in first.failure
    assert second.failure == first.failure
    assert np.isnan(second.values["input_pesq"])


def test_scores_of_other_versions_are_not_read_and_go(path, calls, monkeypatch):
    del calls[:]
    monkeypatch.setattr(inputs, "versions", lambda: "0" * 16)
    evaluated(path)
    assert len(calls) == 4
    assert [key[:17] for key in inputs._parse(path)] == ["0" * 16 + "-"]


def test_versions_are_of_packages_and_code(monkeypatch):
    before = inputs.versions.__wrapped__()
    assert inputs.versions.__wrapped__() == before
    real = inputs.distributions
    monkeypatch.setattr(inputs, "distributions", lambda: [p for p in real() if p.name != "pesq"])
    assert inputs.versions.__wrapped__() != before


def test_a_worker_of_other_versions_adds_nothing(path):
    before = path.read_bytes()
    inputs.keep(path, [("f" * 81, {"pesq": 1.0}), ("", {"pesq": 2.0})])
    assert path.read_bytes() == before


def one_digit(path):
    before = path.read_text()
    place = before.rindex(".") + 2
    digit = str((int(before[place]) + 1) % 10)
    path.write_text(before[:place] + digit + before[place + 1 :])


DAMAGED = [cut, one_digit, content(b""), content(bytes(range(256))), os.unlink, folder, pipe, loop]


@pytest.mark.parametrize("spoil", DAMAGED)
def test_a_damaged_file_is_not_read_and_made_again(path, calls, spoil):
    whole, expected = path.read_bytes(), evaluate_mixture(*SIGNALS, NAMES).values
    spoil(path)
    del calls[:]
    assert evaluated(path).values == expected
    assert len(calls) == 4
    if spoil is not folder:  # which nothing can replace
        assert path.read_bytes() == whole


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux's /proc")
def test_a_folder_that_cannot_be_written(manifest, tmp_path, calls):
    system = Oracle("oracle_irm", load_corpus_config("espeak-2mix", []))
    table = read_split(manifest, 2, 0)
    for nowhere in (Path("/proc/self/.tt.inputs"), None):  # there not even root writes
        evaluate_split(system, table, tmp_path / str(bool(nowhere)), SETTINGS, ONE, nowhere)
    assert len(calls) == N_MIXTURES * 8
    one, two = ((tmp_path / name / "scores.csv").read_bytes() for name in ("True", "False"))
    assert one == two


def test_processes_that_write_at_once_leave_one_whole_file(tmp_path):
    path, rounds = tmp_path / ".tt.inputs", range(50)

    def writing(number):
        for value in rounds:
            inputs.keep(path, [(f"{inputs.versions()}-{number}", {"pesq": float(value)})])

    children = [CONTEXT.Process(target=writing, args=(number,)) for number in range(3)]
    for child in children:
        child.start()
    reads = 0
    while any(child.is_alive() for child in children):
        if path.exists():
            assert inputs._parse(path), "half-written"
            reads += 1
    assert reads > 0
    assert [child.exitcode for child in children] == [0] * 3
    assert all(value["pesq"] in rounds for value in inputs._parse(path).values())


def test_two_evaluations_at_once(manifest, tmp_path, calls):
    children = [Forked(of_system, tag, manifest, tmp_path / tag) for tag in ("ibm", "irm")]
    assert [child.end().returncode for child in children] == [0, 0]
    for tag in ("ibm", "irm"):
        found = (tmp_path / tag / "scores.csv").read_bytes()
        assert of_system(tag, manifest, tmp_path / "again") == found
    assert len(calls) == 2 * N_MIXTURES * 2  # every input was known


@pytest.mark.parametrize("moment", ["open", "rename"])
def test_a_kill_leaves_the_old_file_or_the_new_one(path, monkeypatch, moment):
    before = path.read_bytes()

    def killed():
        name = "write_text" if moment == "open" else "replace"
        monkeypatch.setattr(
            f"pathlib.Path.{name}", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        )
        evaluated(path, metrics=["snr"])

    assert forked(killed).returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    evaluated(path, metrics=["snr"])
    (scores,) = inputs._parse(path).values()
    assert scores.keys() == {"si_sdr", "pesq", "snr"}


def test_stage_2_removes_them(manifest, tmp_path):
    of_system("ibm", manifest, tmp_path / "ibm")
    assert scores_beside(manifest).is_file()
    make_manifests(Corpus(tmp_path / "data", manifest.parent), 1)
    assert not scores_beside(manifest).exists()


def test_nothing_is_written_beside_a_manifest_of_the_user_s(manifest, tmp_path, calls):
    own = manifest.with_name("own.csv")  # in a folder of ours, and in none
    own.write_bytes(manifest.read_bytes())
    assert scores_beside(own) is None
    assert scores_beside(tmp_path / "tt.csv") is None
    (manifest.parent / ".made").write_bytes(b"\xff")
    assert scores_beside(manifest) is None
    before = sorted(manifest.parent.iterdir())
    of_system("ibm", manifest, tmp_path / "ibm")
    assert sorted(manifest.parent.iterdir()) == before
