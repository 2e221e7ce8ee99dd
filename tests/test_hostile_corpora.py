"""Files of the user stay as they are, whatever is done with a corpus."""

import shutil
import sys

import pytest

import mix
from separation.corpus.lists import list_path
from small_corpora import TINY, Corpus, assert_one_line, contents, every_corpus, load
from test_librimix import make_version
from tiny_corpus import make_sources

# --- nothing is lost


@pytest.mark.parametrize("corpus", [name for name in TINY if name != "espeak-2mix"], indirect=True)
@pytest.mark.parametrize(
    "how", ["is", "inside", "around", "link to it", "its link", "a link in it"]
)
def test_recordings_where_the_corpus_is_written_stay(corpus, how, capfd):
    """As ./run.sh --corpus folder-2mix --corpus_dir data/folder-2mix/sources once deleted them."""
    real, given = corpus.data / "sources", None
    if how == "is":
        real = corpus.data
    elif how == "around":
        real = corpus.given
        version = "Libri2Mix/wav8k/min" if corpus.name == "librimix" else ""
        corpus.data = corpus.given / version / "data"
    elif how == "its link":
        real = corpus.own.parent / "elsewhere"
    if real != corpus.given:
        real.parent.mkdir(exist_ok=True)
        shutil.move(corpus.given, real)
    if how == "its link":
        corpus.data.symlink_to(real)
    elif how == "link to it":
        given = corpus.own.parent / "link"
        given.symlink_to(real)
    elif how == "a link in it":
        given = corpus.data / "link"
        given.symlink_to("sources")
    before = contents(corpus.own.parent)
    said = corpus.prepare(given=given or real)
    assert_one_line(said, capfd)
    assert "this stage writes" in said
    assert contents(corpus.own.parent) == before


def test_a_link_to_the_recordings_in_the_corpus_folder_is_not_written_through(corpus, capfd):
    corpus.data.mkdir()
    (corpus.data / "sources").symlink_to(corpus.own)
    before = contents(corpus.own.parent)
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert f"{corpus.data}/sources: in the way" in said
    assert contents(corpus.own) == {k: v for k, v in before.items() if corpus.own in k.parents}


MINE = ["notes.txt", "sources/mine.wav", "sources/anna/mine.wav", "lists/mine.txt"]
MINE += ["lists/mix_2_spk_dev.txt", "wav8k/min/tr/mix/mine.wav", "wav8k/min/tr/s3/mine.wav"]
MINE += ["mixtures/mine.csv", "archives/mine.zip", ".unpacking/mine", ".mixing-mine/mine"]


@every_corpus
def test_own_files_in_the_corpus_folder_stay(corpus, capfd):
    """Before the first run, and through runs with other settings."""
    mine = [
        n for n in MINE if corpus.name not in ("minilibri-2mix", "librimix") or "sources" not in n
    ]
    for name in mine:
        (corpus.data / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus.data / name).write_text("mine")
    for seed in (0, 1):
        assert corpus.prepare(f"seed={seed}") == 0
        if corpus.name not in ("librimix", "minilibri-2mix"):
            assert corpus.run(mix.main, f"seed={seed}") == 0
    assert all((corpus.data / name).read_text() == "mine" for name in mine)
    told = capfd.readouterr().err
    if "sources/mine.wav" in mine and corpus.name != "wsj0-2mix":
        assert f"note: {corpus.data}/sources/anna/mine.wav and 1 more: not made by this" in told


@every_corpus
def test_a_second_run_leaves_what_a_first_run_does(corpus):
    """Also when an earlier one had other settings, or kept no record."""
    assert corpus.prepare() == 0
    before = contents(corpus.data)
    assert corpus.prepare("seed=1") == 0
    assert corpus.prepare() == 0
    assert contents(corpus.data) == before
    (corpus.data / ".made").unlink()
    assert corpus.prepare("seed=1") == 0
    assert corpus.prepare() == 0
    after = contents(corpus.data)
    if corpus.name == "folder-2mix":  # names that are entered and were not needed
        before.pop(corpus.data / ".made")
        after.pop(corpus.data / ".made")
    assert after == before


OWN_NAMES = {
    "folder-2mix": ["sources.csv", "sources/ben/ben_000.flac", "lists/mix_2_spk_tr.txt"],
    "espeak-2mix": ["sources/trf01/trf01-001.wav", "voices.csv"],
    "minilibri-2mix": ["sources.csv", "sources/mine.wav", "lists/mix_2_spk_cv.txt"],
    "librimix": ["sources.csv", "sources/mine.wav", "mixtures/cv.csv"],
    "wsj0-2mix": ["sources.csv", "sources/wsj0/si_tr_s/40n/40no031a.wav", "lists/mix_2_spk_tt.txt"],
}


@pytest.mark.parametrize(
    ("corpus", "name"),
    [(corpus, name) for corpus, names in OWN_NAMES.items() for name in names],
    indirect=["corpus"],
)
def test_own_files_under_names_of_the_recipe_are_in_the_way(corpus, name, capfd):
    path = corpus.data / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    said = corpus.prepare()
    assert said.endswith(
        "in the way, and not made by this recipe: move it elsewhere, or remove it if you do not"
        " need it"
    )
    assert "\n" not in said
    assert path.read_text() == "mine"
    path.unlink()
    if name == "sources/mine.wav":
        path.parent.rmdir()
    assert corpus.prepare() == 0


def test_a_folder_of_recordings_is_remade_after_a_kill_at_any_file(corpus, monkeypatch):
    """Every place between two files: what the next run leaves is what one run leaves."""
    assert corpus.prepare() == 0
    whole = contents(corpus.data)
    prepare = load("folder-2mix")
    for last in (1, 5, 16):
        shutil.rmtree(corpus.data)
        assert corpus.prepare("seed=1") == 0
        recordings = sys.modules["separation.corpus.recordings"]
        original, calls = recordings.place_recording, []

        def killed(*arguments, last=last, original=original, calls=calls):
            calls.append(1)
            if len(calls) == last:
                raise ZeroDivisionError  # nothing that the script would handle
            return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(recordings, "place_recording", killed)
            with pytest.raises(ZeroDivisionError):
                corpus.run(prepare.main, f"corpus.corpus_dir='{corpus.own}'")
        assert not (corpus.data / "sources.csv").exists()
        assert corpus.prepare() == 0
        after = contents(corpus.data)
        assert after.pop(corpus.data / ".made")
        assert after == {path: text for path, text in whole.items() if path.name != ".made"}


def test_lists_that_lie_in_the_corpus_folder_are_refused(tmp_path, monkeypatch, capfd):
    corpus = Corpus("wsj0-2mix", tmp_path / "a", monkeypatch)
    shutil.move(corpus.lists, corpus.data / "lists")
    corpus.lists = corpus.data / "lists"
    before = contents(corpus.data)
    said = corpus.prepare("corpus.allow_partial=true")
    assert_one_line(said, capfd)
    assert f"{corpus.lists} is where this stage writes" in said
    assert contents(corpus.data) == before


def test_a_longer_earlier_list_of_another_number_of_speakers_is_removed_and_no_other(tmp_path):
    make_sources(tmp_path, {"tr": 2, "cv": 1, "tt": 1})
    mine = tmp_path / "lists" / "mix_3_spk_tt.txt"
    mine.write_text("mine")
    make_sources(tmp_path, {"tr": 2, "cv": 1, "tt": 0})
    assert not list_path(tmp_path, 2, "tt").exists()
    assert mine.read_text() == "mine"


def test_mixtures_of_a_user_below_the_data_folder_are_not_removed(tmp_path, monkeypatch, capsys):
    """--data_dir at a LibriMix tree: its wav8k/min/<part>/mix_clean/*.wav and so on."""
    corpus = Corpus("folder-2mix", tmp_path, monkeypatch)
    make_sources(corpus.data, {"tr": 2, "cv": 1, "tt": 1})
    version = make_version(corpus.data)
    version.rename(corpus.data / "min")
    (corpus.data / "wav8k").mkdir()
    (corpus.data / "min").rename(corpus.data / "wav8k" / "min")
    (corpus.data / "wav8k" / "min" / "dev").rename(corpus.data / "wav8k" / "min" / "cv")
    before = contents(corpus.data / "wav8k")
    assert corpus.run(mix.main) == 0
    after = contents(corpus.data / "wav8k")
    assert all(after[path] == before[path] for path in before)
    assert "not made by this recipe, so left and not used" in capsys.readouterr().err
