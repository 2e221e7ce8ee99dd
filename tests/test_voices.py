"""voices-2mix: several folders become one corpus; stages 0 to 2, and what is refused."""

from collections import Counter, defaultdict

import pandas as pd
import pytest
import soundfile

from run_here import run_here
from separation.config import ROOT
from separation.corpus.lists import list_path, read_list, read_sources
from tiny_corpus import syllables

SCRIPT = ROOT / "egs" / "voices-2mix" / "local" / "prepare.py"
ROLES = [
    "corpus.train_groups=[part, read, phone]",
    "corpus.test_groups=[read, phone]",
    "corpus.language_groups=[prompts]",
    "corpus.n_mixtures={tr: 12, cv: 5, tt: 8}",
    "corpus.n_language_mixtures=3",
    "nj=1",
]


def speak(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, syllables(0.5, 90 + 7 * number, number), 8000)


def make_groups(root):
    """A part of LibriSpeech, two groups of which one has genders, and two languages and a half."""
    for number in range(3):
        for take in range(2):
            path = root / "LibriSpeech" / "part" / str(10 + number) / "1"
            speak(path / f"{10 + number}-1-{take}.flac", 2 * number + take)
    lines = [f"{10 + number} | {'FMF'[number]} | part | 5.0 | A Name" for number in range(3)]
    (root / "LibriSpeech" / "SPEAKERS.TXT").write_text("; ID\n" + "\n".join(lines))
    read = [f"{sex}{number}" for sex in "fm" for number in range(6)]
    for number, speaker in enumerate([*read, "libri-10"]):  # one is a reader of the part, too
        speak(root / "read" / speaker / "a.ogg", 10 + number)
    rows = "".join(f"{name},{name[0]}\n" for name in read)
    (root / "read" / "speakers.csv").write_text(f"speaker,gender\n{rows}libri-10,F\n")
    for number in range(6):
        speak(root / "phone" / f"p{number}" / "a.wav", 30 + number)
    for number, speaker in enumerate(["es-1", "es-2", "fr-1", "fr-2", "ru-1"]):
        speak(root / "prompts" / speaker / "a.wav", 40 + number)
    return [root / "LibriSpeech" / "part", root / "read", root / "phone", root / "prompts"]


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return make_groups(tmp_path_factory.mktemp("with a space"))


def run(script, data_dir, folders, *overrides):
    given = ",".join(map(str, folders))
    options = ["--corpus", "voices-2mix", "--data_dir", data_dir, "--"]
    return run_here(script, *options, f"corpus.corpus_dir='{given}'", *ROLES, *overrides)


@pytest.fixture(scope="module")
def data_dir(groups, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    result = run(SCRIPT, folder, groups)
    assert result.returncode == 0, result.stderr
    assert "ru: fewer than 2 speakers, so no mixtures" in result.stdout
    return folder


def test_a_speaker_is_in_one_split_also_across_groups(data_dir):
    splits, groups = defaultdict(set), defaultdict(set)
    for utterance in read_sources(data_dir):
        splits[utterance.speaker].add(utterance.split)
        groups[utterance.speaker].add(utterance.group)
    assert all(len(found) == 1 for found in splits.values())
    assert groups["libri-10"] == {"part", "read"}
    assert splits["libri-10"] == {"tr"}  # a group that only trains has this reader
    counts = Counter((*groups[s], *found) for s, found in splits.items() if len(groups[s]) == 1)
    assert counts["part", "tr"] == 2
    assert counts["read", "cv"] == counts["read", "tt"] == 4  # two of each gender
    assert counts["phone", "cv"] == counts["phone", "tt"] == 2
    assert counts["es", "tt"] == 2


def test_mixtures_of_cv_and_tt_are_within_a_group_and_languages_only_in_tt(data_dir):
    groups = {u.path: u.group for u in read_sources(data_dir)}
    genders = {u.path: u.gender for u in read_sources(data_dir)}
    found = {}
    for split in ("tr", "cv", "tt"):
        pairs = [
            [groups[p] for p in line.paths] for line in read_list(list_path(data_dir, 2, split), 2)
        ]
        found[split] = Counter(one if one == other else "across" for one, other in pairs)
    assert found["cv"] == {"read": 3, "phone": 2}
    assert found["tt"] == {"read": 4, "phone": 4, "es": 3, "fr": 3}
    assert not {"es", "fr", "ru"} & set(found["tr"])
    assert set(genders.values()) == {"F", "M", ""}
    assert genders["part/11/11_1_11-1-0.flac"] == "M"


def test_manifests_have_the_group_where_both_speakers_are_of_it(data_dir, groups):
    for script in ("mix.py", "manifest.py"):
        result = run(ROOT / "local" / script, data_dir, groups)
        assert result.returncode == 0, result.stderr
    table = pd.read_csv(data_dir / "wav8k" / "min" / "tt.csv")
    assert table["group"].value_counts().to_dict() == {"read": 4, "phone": 4, "es": 3, "fr": 3}
    speakers = {u.speaker: u.group for u in read_sources(data_dir) if u.speaker != "libri-10"}
    table = pd.read_csv(data_dir / "wav8k" / "min" / "tr.csv")
    for row in table.itertuples():
        pair = {speakers.get(row.speaker_1_ID), speakers.get(row.speaker_2_ID)}
        if None not in pair:
            assert (len(pair) == 1) == isinstance(row.group, str)


def test_recordings_are_links_and_a_second_run_leaves_nothing_of_the_first(tmp_path, groups):
    assert run(SCRIPT, tmp_path, groups).returncode == 0
    link = tmp_path / "sources" / "phone" / "p0" / "p0_a.wav"
    assert link.resolve() == groups[2] / "p0" / "a.wav"
    (tmp_path / "sources" / "mine.wav").write_text("a user's")
    first = list_path(tmp_path, 2, "tt").read_text()
    assert run(SCRIPT, tmp_path, groups).returncode == 0
    assert list_path(tmp_path, 2, "tt").read_text() == first
    roles = ("corpus.train_groups=[part, read]", "corpus.test_groups=[read]")
    assert run(SCRIPT, tmp_path, [*groups[:2], groups[3]], *roles).returncode == 0
    assert not link.is_symlink()
    assert (groups[2] / "p0" / "a.wav").is_file()
    assert (tmp_path / "sources" / "mine.wav").is_file()


def refused(result):
    assert (result.returncode, result.stderr.count("error: ")) == (1, 1), result.stderr
    return result.stderr.strip().splitlines()[-1]


def test_wrong_folders_and_roles_are_named(tmp_path, groups):
    one, two, three, four = groups
    for folders, overrides, says in (
        ([], (), "--corpus_dir is missing"),
        ([one, two, three / "gone", four], (), "gone: no such folder"),
        ([one, two, four], (), "no folder phone in it; add it"),
        ([*groups, two], (), "two folders are named read"),
        ([*groups, one.parent], (), "no group 'LibriSpeech'"),
        (groups, ("corpus.test_groups=[prompts]",), "prompts is not in corpus.train_groups"),
    ):
        assert says in refused(run(SCRIPT, tmp_path / "data", folders, *overrides))


def test_a_speaker_of_a_language_is_not_heard_in_training(tmp_path):
    folders = make_groups(tmp_path)
    speak(folders[2] / "es-1" / "b.wav", 1)
    line = refused(run(SCRIPT, tmp_path / "data", folders))
    assert "speaker es-1 is in another group, too" in line


def test_a_bad_recording_is_named_and_keep_going_names_all(tmp_path):
    folders = make_groups(tmp_path)
    for group in folders[1:3]:
        (next(group.glob("?[0-9]")) / "text.wav").write_text("no audio")
    assert "text.wav: cannot be read as audio" in refused(run(SCRIPT, tmp_path / "d", folders))
    result = run(SCRIPT, tmp_path / "d", folders, "corpus.keep_going=true")
    assert result.returncode == 1
    assert result.stderr.count("text.wav: cannot be read as audio") == 2
    assert not (tmp_path / "d" / "sources.csv").exists()
