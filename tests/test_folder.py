"""folder-2mix: stage 0 on folders of recordings of many kinds, and stages 1 and 2 after it."""

import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from run_here import run_here
from separation.config import ROOT
from separation.corpus.lists import list_path, read_list, read_sources
from tiny_corpus import syllables

SCRIPT = ROOT / "egs" / "folder-2mix" / "local" / "prepare.py"
SPEAKERS = ["anna", "ben", "carl", "dora", "Eve Smith", "frédéric", "gina", "hans"]
SUFFIXES = [".wav", ".flac", ".ogg", ".mp3"]
RATES = {".wav": 8000, ".flac": 16000, ".ogg": 22050, ".mp3": 44100}


def tone(number, rate=8000, seconds=0.5):
    signal = syllables(seconds * rate / 8000, 90 + 11 * number, number)
    return signal[: round(seconds * rate)]


def make_folder(folder, speakers=SPEAKERS):
    """The same file names for everyone, in the formats in turn; one speaker has folders within."""
    for number, speaker in enumerate(speakers):
        for take in range(2):
            suffix = SUFFIXES[(number + take) % 4]
            inner = Path("day 1", f"take {take}") if speaker == "anna" else Path(f"{take:03}")
            path = folder / speaker / inner.with_suffix(suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(2 * number + take, RATES[suffix]), RATES[suffix])
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("with a space") / "own")


def run(script, data_dir, *overrides):
    options = ("--corpus", "folder-2mix", "--data_dir", data_dir)
    counts = "corpus.n_mixtures={tr: 6, cv: 2, tt: 2}"
    return run_here(script, *options, "--", "nj=1", counts, *overrides)


def prepare(data_dir, folder, *overrides):
    return run(SCRIPT, data_dir, f"corpus.corpus_dir='{folder}'", *overrides)


def failure(result):
    assert (result.returncode, result.stderr.count("error: ")) == (1, 1), result.stderr
    return result.stderr.strip().splitlines()[-1]


def splits_of(data_dir):
    """The set of splits of each speaker."""
    splits = defaultdict(set)
    for utterance in read_sources(data_dir):
        splits[utterance.speaker].add(utterance.split)
    return dict(splits)


def test_stages_0_to_2_from_a_folder(tmp_path, recordings):
    result = prepare(tmp_path, recordings)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "tr: 4 speakers, 8 recordings, 6 mixtures",
        "cv: 2 speakers, 4 recordings, 2 mixtures",
        "tt: 2 speakers, 4 recordings, 2 mixtures",
    ]
    splits = splits_of(tmp_path)
    assert set(splits) == set(SPEAKERS)
    assert all(len(found) == 1 for found in splits.values())
    for split, count in {"tr": 6, "cv": 2, "tt": 2}.items():
        lines = read_list(list_path(tmp_path, 2, split), 2)
        assert len(lines) == count
        assert len({line.mixture_id for line in lines}) == count
    for script in ("mix.py", "manifest.py"):
        result = run(ROOT / "local" / script, tmp_path)
        assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "wav8k" / "min" / "tr.csv")
    assert len(table) == 6
    assert table["gender_1"].isna().all()
    assert (table["length"] == 4000).all()


def test_every_recording_has_a_name_of_its_own(tmp_path, recordings):
    prepare(tmp_path, recordings)
    paths = [u.path for u in read_sources(tmp_path)]
    assert len({Path(path).stem for path in paths}) == len(paths) == 16
    assert "anna/anna_day_1_take_0.wav" in paths
    assert "Eve_Smith/Eve_Smith_000.wav" in paths
    assert not any(" " in path for path in paths)
    # All but mp3 are the user's own files; mp3 is decoded once.
    link = tmp_path / "sources" / "ben" / "ben_000.flac"
    assert link.resolve() == recordings / "ben" / "000.flac"
    decoded, rate = soundfile.read(tmp_path / "sources" / "anna" / "anna_day_1_take_1.flac")
    assert (rate, len(decoded)) == (16000, 8000)
    decoded, rate = soundfile.read(tmp_path / "sources" / "carl" / "carl_001.wav")
    assert (rate, len(decoded)) == (44100, 22050)
    original = tone(5, 44100)
    noise = np.mean((decoded - original) ** 2)
    assert noise < 0.01 * np.mean(original**2)


def test_names_that_clash_and_names_that_are_long(tmp_path, recordings):
    folder = make_folder(tmp_path / "own")
    (folder / "ben" / "a").mkdir()
    for name in ("a/b.wav", "a_b.wav", "a b.wav", f"{'x' * 90}1.wav", f"{'x' * 90}2.wav"):
        soundfile.write(folder / "ben" / name, tone(1), 8000)
    (folder / "ben" / "._a_b.wav").write_bytes(b"a mac's shadow")
    (folder / "stray.wav").write_bytes(b"of no speaker")
    result = prepare(tmp_path / "data", folder)
    assert result.returncode == 0, result.stderr
    names = {Path(u.path).stem for u in read_sources(tmp_path / "data") if u.speaker == "ben"}
    assert {"ben_a_b", "ben_a_b-2", "ben_a_b-3"} < names
    assert len(names) == 7
    assert max(map(len, names)) == 70


def test_the_seed_decides(tmp_path, recordings):
    texts = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        prepare(tmp_path / name, recordings, f"seed={seed}")
        texts.append(list_path(tmp_path / name, 2, "tr").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_a_second_run_on_another_folder_leaves_nothing_of_the_first(tmp_path, recordings):
    prepare(tmp_path / "data", recordings)
    prepare(tmp_path / "data", make_folder(tmp_path / "own", SPEAKERS[:6]))
    assert {p.name for p in (tmp_path / "data" / "sources").iterdir()} == {
        name.replace(" ", "_") for name in SPEAKERS[:6]
    }


def test_own_files_below_sources_are_neither_removed_nor_mixed(tmp_path, recordings):
    prepare(tmp_path / "data", recordings)
    mine = tmp_path / "data" / "sources" / "ben" / "mine.wav"
    mine.write_bytes(b"mine")
    result = prepare(tmp_path / "data", make_folder(tmp_path / "own", SPEAKERS[:6]))
    assert result.returncode == 0, result.stderr
    assert f"note: {mine}: not made by this recipe, so left and not used" in result.stderr
    assert mine.read_bytes() == b"mine"
    assert "mine" not in (tmp_path / "data" / "sources.csv").read_text()


@pytest.mark.parametrize("place", ["sources", ".", "..", "sources/anna"])
def test_recordings_within_the_corpus_folder_are_refused_and_kept(tmp_path, place):
    make_folder(tmp_path / "data" / "folder-2mix" / "sources")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    result = prepare(tmp_path / "data" / "folder-2mix", tmp_path / "data" / "folder-2mix" / place)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "nothing of yours may be replaced there" in result.stderr
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_genders_are_balanced_where_they_are_known(tmp_path):
    speakers = [f"f{i}" for i in range(7)] + [f"m{i}" for i in range(9)]
    folder = make_folder(tmp_path / "own", speakers)
    rows = "".join(f"{speaker},{speaker[0]}\n" for speaker in speakers)
    (folder / "speakers.csv").write_text(f"speaker,gender\n{rows}")
    assert prepare(tmp_path / "data", folder).returncode == 0
    counts = defaultdict(set)
    for utterance in read_sources(tmp_path / "data"):
        assert utterance.gender == utterance.speaker[0].upper()
        counts[utterance.split, utterance.gender].add(utterance.speaker)
    sizes = {key: len(found) for key, found in counts.items()}
    assert sizes["cv", "F"] == sizes["cv", "M"] == sizes["tt", "F"] == sizes["tt", "M"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,sex\nanna,F\n", "its first line must be speaker,gender"),
        ("speaker,gender\nanna,woman\n", "speakers.csv:2: gender 'woman' is not F or M"),
        ("speaker,gender\nanna,F\n", "speakers.csv: no speaker Eve Smith in it"),
    ],
)
def test_a_bad_table_of_speakers_is_named(tmp_path, text, message):
    folder = make_folder(tmp_path / "own")
    (folder / "speakers.csv").write_text(text)
    assert message in failure(prepare(tmp_path / "data", folder))


@pytest.mark.parametrize(("n_src", "n_speakers"), [(2, 6), (3, 9)])
def test_as_many_speakers_as_needed_are_enough_and_one_less_is_told(tmp_path, n_src, n_speakers):
    names = [f"s{i}" for i in range(n_speakers)]
    folder = make_folder(tmp_path / "own", names)
    # Two women, who cannot be in three splits: genders are then not looked at.
    rows = "".join(f"{name},{'F' if name < 's2' else 'M'}\n" for name in names)
    (folder / "speakers.csv").write_text(f"speaker,gender\n{rows}")
    result = prepare(tmp_path / "data", folder, f"corpus.n_src={n_src}")
    assert result.returncode == 0, result.stderr
    for split in ("tr", "cv", "tt"):
        found = {u.speaker for u in read_sources(tmp_path / "data") if u.split == split}
        assert len(found) == n_src
        assert read_list(list_path(tmp_path / "data", n_src, split), n_src)
    line = failure(
        prepare(
            tmp_path / "few", make_folder(tmp_path / "less", names[1:]), f"corpus.n_src={n_src}"
        )
    )
    assert f"{n_speakers - 1} speakers, but at least {n_speakers} are needed" in line


def test_recordings_of_two_channels_are_refused_or_mixed_down(tmp_path):
    folder = make_folder(tmp_path / "own")
    both = np.stack([tone(1), 0.5 * tone(2)], axis=1)
    path = folder / "ben" / "stereo.flac"
    soundfile.write(path, both, 8000)
    line = failure(prepare(tmp_path / "data", folder))
    assert f"{path}: 2 channels; corpus.mixdown=true averages them to one" in line
    assert not (tmp_path / "data" / "sources.csv").exists()
    assert prepare(tmp_path / "data", folder, "corpus.mixdown=true").returncode == 0
    samples, _ = soundfile.read(tmp_path / "data" / "sources" / "ben" / "ben_stereo.wav")
    np.testing.assert_allclose(samples, both.mean(axis=1), atol=1.5 / 2**15)


def test_keep_going_tells_all_that_is_bad(tmp_path):
    folder = make_folder(tmp_path / "own")
    (folder / "ben" / "text.wav").write_text("no audio")
    soundfile.write(folder / "carl" / "short.wav", tone(1)[:799], 8000)
    result = prepare(tmp_path / "data", folder, "corpus.keep_going=true")
    assert "2 of 18 recordings are bad" in failure(result)
    assert f"{folder / 'ben' / 'text.wav'}: cannot be read as audio" in result.stderr
    assert f"{folder / 'carl' / 'short.wav'}: 799 samples, shorter than 0.1 s" in result.stderr
    assert "text.wav: cannot be read" in failure(prepare(tmp_path / "data", folder))


def test_links_within_a_speaker_are_followed_and_empty_speakers_told(tmp_path, recordings):
    folder = tmp_path / "own"
    shutil.copytree(recordings, folder)
    shutil.move(folder / "anna" / "day 1", tmp_path / "elsewhere")
    (folder / "anna" / "day 1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "up").symlink_to(folder / "anna")  # a circle
    (folder / "nobody").mkdir()
    result = prepare(tmp_path / "data", folder)
    assert result.returncode == 0, result.stderr
    assert len([u for u in read_sources(tmp_path / "data") if u.speaker == "anna"]) == 2
    assert f"warning: {folder / 'nobody'}: no recordings below it" in result.stderr


def test_what_is_not_there_is_said(tmp_path):
    assert "--corpus_dir is missing" in failure(run(SCRIPT, tmp_path / "data"))
    assert "gone: no such folder" in failure(prepare(tmp_path / "data", tmp_path / "gone"))
    (tmp_path / "own").mkdir()
    assert "no recordings below it" in failure(prepare(tmp_path / "data", tmp_path / "own"))
