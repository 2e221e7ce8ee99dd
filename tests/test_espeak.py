"""espeak-2mix: stage 0, on a corpus of a few utterances."""

import csv
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from pitch import median_f0
from separation.config import ROOT, load_corpus_config
from separation.corpus.lists import list_path, read_list, read_sources
from separation.errors import RecipeError
from separation.ranges import SPLITS

SCRIPTS = ROOT / "egs" / "espeak-2mix" / "local"
sys.path.insert(0, str(SCRIPTS))

from voices import VARIANTS  # noqa: E402

TINY = [
    "corpus.n_voices={tr: 4, cv: 2, tt: 2}",
    "corpus.n_utterances={tr: 3, cv: 2, tt: 2}",
    "corpus.n_mixtures={tr: 6, cv: 2, tt: 3}",
]


def load_prepare():
    """The script as a module; `prepare` alone is what other corpora call theirs."""
    spec = importlib.util.spec_from_file_location("espeak_prepare", SCRIPTS / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def prepare(data_dir, *overrides, path=()):
    return subprocess.run(
        [
            sys.executable,
            SCRIPTS / "prepare.py",
            *("--corpus", "espeak-2mix", "--data_dir", data_dir, "--"),
            *overrides,
        ],
        capture_output=True,
        text=True,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(map(str, [*path, ROOT / "local"])),
            "OMP_NUM_THREADS": "1",
        },
        check=False,
    )


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("with a space") / "espeak-2mix"
    result = prepare(folder, *TINY, "nj=2")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("20 utterances of 8 voices: ")
    return folder


def test_utterances_are_as_promised(data_dir):
    utterances = read_sources(data_dir)
    assert len(utterances) == len({u.path for u in utterances}) == 20
    for utterance in utterances:
        samples, rate = soundfile.read(data_dir / "sources" / utterance.path, dtype="int16")
        info = soundfile.info(data_dir / "sources" / utterance.path)
        assert (rate, info.channels, info.subtype) == (8000, 1, "PCM_16")
        assert 2.0 <= len(samples) / rate <= 6.0
        assert np.abs(samples.astype(int)).max() == 2**14
        # no long silence at either end, so that mixtures overlap
        loud = np.flatnonzero(np.abs(samples.astype(int)) > 300)
        assert loud[0] < 0.2 * rate
        assert len(samples) - loud[-1] < 0.3 * rate


def test_splits_have_their_own_voices_and_both_genders(data_dir):
    utterances = read_sources(data_dir)
    voices = {split: {u.speaker for u in utterances if u.split == split} for split in SPLITS}
    assert voices == {
        "tr": {"trf01", "trf02", "trm01", "trm02"},
        "cv": {"cvf01", "cvm01"},
        "tt": {"ttf01", "ttm01"},
    }
    assert all(u.gender.lower() == u.speaker[2] for u in utterances)
    with open(data_dir / "voices.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows if row["split"] == "tr"] == sorted(voices["tr"])
    assert all(row["variant"] in VARIANTS[row["split"]][row["gender"]] for row in rows)


def test_women_speak_higher_than_men_and_as_high_as_asked(data_dir):
    with open(data_dir / "voices.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    measured = {}
    for row in rows:
        paths = sorted((data_dir / "sources" / row["name"]).glob("*.wav"))
        samples = np.concatenate([soundfile.read(path)[0] for path in paths])
        measured[row["name"]] = median_f0(samples, 8000)
        assert measured[row["name"]] == pytest.approx(float(row["f0"]), rel=0.25)
    women = [f0 for name, f0 in measured.items() if name[2] == "f"]
    men = [f0 for name, f0 in measured.items() if name[2] == "m"]
    assert min(women) > 155 > max(men)


def test_lists_mix_different_voices_of_one_split(data_dir):
    for split, count in {"tr": 6, "cv": 2, "tt": 3}.items():
        lines = read_list(list_path(data_dir, 2, split), 2)
        assert len(lines) == count
        for line in lines:
            first, second = (path.split("/")[0] for path in line.paths)
            assert first != second
            assert first.startswith(split)
            assert second.startswith(split)
            assert all((data_dir / "sources" / path).is_file() for path in line.paths)


def test_the_same_bytes_with_one_process_and_after_an_interrupted_run(data_dir, tmp_path):
    # What kill -9 leaves: a record, no sources.csv, some voices whole, one in pieces.
    half = tmp_path / "sources" / "trf01"
    names = [f"sources/trf01/trf01-{number}.wav" for number in ("001", "002", "099")]
    (tmp_path / ".made").write_text("\n".join(["sources.csv", *names, ""]))
    half.mkdir(parents=True)
    (half / "trf01-001.wav").write_bytes(b"RIFF")
    (half / ".partial-x.wav").write_bytes(b"")
    (half / "trf01-099.wav").write_bytes(b"of another configuration")
    result = prepare(tmp_path, *TINY, "nj=1")
    assert result.returncode == 0, result.stderr
    assert contents(tmp_path) == contents(data_dir)


def test_another_seed_gives_another_corpus_at_16_kHz_and_with_three_speakers(data_dir, tmp_path):
    result = prepare(
        tmp_path,
        *("seed=1", "corpus.n_src=3", "corpus.sample_rate=16000"),
        "corpus.n_voices={tr: 3, cv: 3, tt: 3}",
        "corpus.n_utterances={tr: 1, cv: 1, tt: 1}",
        "corpus.n_mixtures={tr: 2, cv: 1, tt: 1}",
    )
    assert result.returncode == 0, result.stderr
    samples, rate = soundfile.read(tmp_path / "sources" / "trf01" / "trf01-001.wav")
    assert rate == 16000
    assert 2.0 <= len(samples) / rate <= 6.0
    lines = read_list(list_path(tmp_path, 3, "tr"), 3)
    assert {path.split("/")[0] for path in lines[0].paths} == {"trf01", "trf02", "trm01"}
    with open(tmp_path / "voices.csv") as new, open(data_dir / "voices.csv") as old:
        assert new.readlines()[1] != old.readlines()[1]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("corpus.n_src=1", "corpus.n_src is 1: must be 2 or more"),
        ("corpus.n_voices.tt=1", r"corpus\.n_voices\.tt=1: fewer voices .* \(n_src 2\)"),
        ("corpus.n_voices.tr=-1", r"n_voices is .*: tr must be 0 or more"),
        ("corpus.n_utterances.cv=0", r"corpus\.n_utterances is .*: cv must be 1 or more"),
        ("corpus.sample_rate=44100", "44100.*8000 or 16000"),
        ("corpus.n_voice.tr=4", "unknown key 'corpus.n_voice'.*n_voices"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(override, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_prepare().check(load_corpus_config("espeak-2mix", [override]))
    assert "\n" not in str(caught.value)


def test_without_the_library_it_says_what_to_install(tmp_path):
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "espeakng_loader.py").write_text("raise ImportError('not here')")
    result = prepare(tmp_path / "data", path=[stub])
    assert result.returncode == 1
    assert result.stderr.startswith("error: the Python package espeakng-loader is missing")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_an_error_in_a_voice_s_process_ends_the_stage_and_leaves_no_list(tmp_path):
    (tmp_path / "sources").write_text("a file where the folder should be")
    (tmp_path / "sources.csv").write_text("of an earlier run")
    (tmp_path / ".made").write_text("sources.csv\n")
    result = prepare(tmp_path, *TINY, "nj=2")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert str(tmp_path / "sources") in last
    assert not (tmp_path / "sources.csv").exists()
