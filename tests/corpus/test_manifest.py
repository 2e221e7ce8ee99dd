"""Stage 2 on good and on spoilt corpora: each fault is named with its file or row."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from separation.corpus.audio import read_audio
from separation.corpus.layout import Corpus
from separation.corpus.lists import list_path, read_list, read_sources
from separation.corpus.manifest import make_manifests, read_fingerprint, read_manifest
from separation.corpus.problems import Problems
from separation.errors import RecipeError
from tiny_corpus import RATE, make_corpus


@pytest.fixture
def corpus(tmp_path):
    return tmp_path, make_corpus(tmp_path)


def test_rows_say_what_the_audio_is(corpus):
    data_dir, wav_dir = corpus
    table = read_manifest(wav_dir / "tr.csv", 2)
    lines = read_list(list_path(data_dir, 2, "tr"), 2)
    assert table["mixture_ID"].tolist() == [line.mixture_id for line in lines]
    genders = {u.path: (u.speaker, u.gender) for u in read_sources(data_dir)}
    for line, row in zip(lines, table.to_dict("records"), strict=True):
        assert row["length"] == len(read_audio(row["mixture_path"], RATE))
        assert (row["speaker_1_ID"], row["gender_1"]) == genders[line.paths[0]]
        assert (row["speaker_2_ID"], row["gender_2"]) == genders[line.paths[1]]


def test_columns_are_librimix_s(corpus):
    _, wav_dir = corpus
    assert list(pd.read_csv(wav_dir / "tt.csv"))[:5] == [
        "mixture_ID",
        "mixture_path",
        "source_1_path",
        "source_2_path",
        "length",
    ]


def test_fingerprint_is_the_same_elsewhere_and_changes_with_a_sample(corpus, tmp_path_factory):
    data_dir, wav_dir = corpus
    fingerprint = read_fingerprint(wav_dir)
    other = make_corpus(tmp_path_factory.mktemp("elsewhere"))
    assert read_fingerprint(other) == fingerprint
    path = next((wav_dir / "tr" / "s1").iterdir())
    samples, rate = soundfile.read(path, dtype="int16")
    samples[100] += 1  # still adds up to the mixture within rounding
    soundfile.write(path, samples, rate)
    assert make_manifests(Corpus(data_dir, wav_dir), 1) != fingerprint


def spoil(kind, wav_dir, name):
    source = wav_dir / "tt" / "s2" / name
    samples, rate = soundfile.read(source)
    if kind == "missing":
        source.unlink()
    elif kind == "rate":
        soundfile.write(source, samples, 16000)
    elif kind == "length":
        soundfile.write(source, samples[:-1], rate)
    elif kind == "sum":
        samples[7] += 10 / 2**15
        soundfile.write(source, samples, rate)
    elif kind == "silent":
        soundfile.write(source, np.zeros_like(samples), rate)
    elif kind == "truncated":
        source.write_bytes(source.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file"),
        ("rate", "16000 Hz, but 8000 Hz"),
        ("length", "its mixture"),
        ("sum", "do not add up"),
        ("silent", "is silent"),
        ("truncated", "cut short"),
    ],
)
def test_a_spoilt_mixture_is_named_and_no_csv_is_written(corpus, kind, says):
    data_dir, wav_dir = corpus
    name = sorted((wav_dir / "tt" / "s2").iterdir())[0].name
    spoil(kind, wav_dir, name)
    for old in wav_dir.glob("*.csv"):
        old.unlink()
    with pytest.raises(RecipeError, match=says) as error:
        make_manifests(Corpus(data_dir, wav_dir), 1)
    assert name.removesuffix(".wav") in str(error.value)
    assert "mix_2_spk_tt.txt:" in str(error.value)
    assert not list(wav_dir.glob("*.csv"))


def test_a_voice_in_tr_and_tt_is_named(corpus):
    data_dir, wav_dir = corpus
    path = data_dir / "sources.csv"
    path.write_text(path.read_text().replace(",f4,", ",f1,"))
    with pytest.raises(RecipeError, match=r"mix_2_spk_tt.txt:\d+: speaker f1 of tt is in tr"):
        make_manifests(Corpus(data_dir, wav_dir), 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.drop(columns="source_2_path"), "column 'source_2_path' is missing"),
        (
            lambda t: t.assign(mixture_ID="same"),
            "tt.csv:3: column 'mixture_ID': 'same' is there twice",
        ),
        (
            lambda t: t.assign(length="long"),
            "tt.csv:2: column 'length': 'long' is not a whole number of 1",
        ),
        (lambda t: t.assign(length=0), "tt.csv:2: column 'length': '0' is not a whole number of 1"),
        (
            lambda t: t.assign(source_1_path="gone.wav"),
            r"tt.csv:2: column 'source_1_path'.*gone.wav: no such",
        ),
        (lambda t: t.iloc[:0], "no mixture in it"),
    ],
)
def test_bad_manifests_are_named(corpus, change, says):
    _, wav_dir = corpus
    path = wav_dir / "tt.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(RecipeError, match=says):
        read_manifest(path, 2)


def test_no_manifest_says_which_stage_makes_it(tmp_path):
    with pytest.raises(RecipeError, match="stage 2 makes it"):
        read_manifest(tmp_path / "tr.csv", 2)


def test_absolute_paths_of_librimix_are_taken(corpus):
    _, wav_dir = corpus
    path = wav_dir / "tt.csv"
    table = read_manifest(path, 2)
    table[["mixture_ID", "mixture_path", "source_1_path", "source_2_path", "length"]].to_csv(
        path, index=False
    )
    assert read_manifest(path, 2)["mixture_path"].tolist() == table["mixture_path"].tolist()


def test_keep_going_tells_every_spoilt_mixture(corpus, capsys):
    data_dir, wav_dir = corpus
    spoilt = [sorted((wav_dir / "tt" / "s2").iterdir())[n].name for n in (0, 2)]
    for kind, name in zip(("missing", "silent"), spoilt, strict=True):
        spoil(kind, wav_dir, name)
    with pytest.raises(RecipeError, match="2 problems, see above"):
        make_manifests(Corpus(data_dir, wav_dir), 1, Problems(keep_going=True))
    told = capsys.readouterr().err
    assert all(name in told for name in spoilt)


def facts(wav_dir):
    """What the corpus of the tests is."""
    tables = {split: read_manifest(wav_dir / f"{split}.csv", 2) for split in ("tr", "cv", "tt")}
    return {
        "mixtures": {split: len(table) for split, table in tables.items()},
        "speakers": {"tr": 4, "cv": 2, "tt": 2},
        "seconds": {
            "2_min": {s: float(table["length"].sum() / RATE) for s, table in tables.items()},
            "2_max": {"tr": 1.0},
        },
    }


def remade(corpus, expected, mode="min", **options):
    return make_manifests(Corpus(*corpus, mode=mode), 1, expected=expected, **options)


def test_a_corpus_as_expected_has_its_plain_fingerprint(corpus):
    before = read_fingerprint(corpus[1])
    assert remade(corpus, facts(corpus[1])) == before
    assert remade(corpus, {}) == before


@pytest.mark.parametrize(
    ("part", "split", "change", "says"),
    [
        ("mixtures", "tr", 1, "tr has 8 mixtures, not 9"),
        ("speakers", "tt", 16, "tt has 2 speakers, not 18"),
        ("seconds", "cv", 0.01, r"cv lasts 3\.\d s, not 3\.\d s"),
    ],
)
def test_another_corpus_is_refused_or_marked(corpus, part, split, change, says):
    expected = facts(corpus[1])
    place = expected[part] if part != "seconds" else expected[part]["2_min"]
    place[split] += change
    before = read_fingerprint(corpus[1])
    with pytest.raises(RecipeError, match=f"{says}; --allow_partial"):
        remade(corpus, expected)
    assert remade(corpus, expected, allow_partial=True) == f"{before}-partial"
    assert read_fingerprint(corpus[1]) == f"{before}-partial"


def test_durations_of_another_mode_are_other_ones(corpus):
    with pytest.raises(RecipeError, match="tr lasts"):
        remade(corpus, facts(corpus[1]), mode="max")


def test_allow_partial_is_told_also_of_a_corpus_that_looks_whole(corpus):
    assert remade(corpus, facts(corpus[1]), allow_partial=True).endswith("-partial")


def test_a_trial_of_short_lists_is_no_error_but_marked(corpus, capsys):
    expected = {"mixtures": {"tr": 20000, "cv": 5000, "tt": 3000}}
    assert remade(corpus, expected).endswith("-partial")
    assert "tr has 8 mixtures, not 20000" in capsys.readouterr().err
