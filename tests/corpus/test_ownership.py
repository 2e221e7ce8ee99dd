"""What the recipe made is replaced and removed; what it did not make is neither."""

import os
from pathlib import Path

import pytest

from separation.corpus.layout import Corpus
from separation.corpus.lists import list_path, read_list
from separation.corpus.mixing import mix_split
from separation.corpus.ownership import Made, check_apart
from separation.corpus.starting import begin_manifests, begin_sources, begin_split, link_sources
from separation.errors import RecipeError
from tiny_corpus import RATE, make_corpus, make_sources

N_MIXTURES = {"tr": 4, "cv": 1, "tt": 1}


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def tree(folder):
    """Every file below a folder and its content, without records."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".made"
    }


# --- folders that overlap


@pytest.mark.parametrize(
    ("given", "written", "says"),
    [
        ("a", "a", "is where this stage writes"),
        ("a/b/c", "a", "lies in .*/a, which this stage writes"),
        ("a", "a/b/c", "holds .*/a/b/c, which this stage writes"),
        ("to_a", "a", "is where"),
        ("a", "to_a", "is where"),
        ("to_a/b", "a", "lies in"),
        ("a/b", "to_a", "lies in"),
        ("a", "to_a/new", "holds"),
        ("a/b/../../to_a", "a/b", "holds"),
        ("a/out", "elsewhere", "is where"),
        ("a", "a/b/back", "is where"),
    ],
)
def test_overlapping_folders_are_refused(tmp_path, given, written, says):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "to_a").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a" / "b" / "back").symlink_to("..")
    with pytest.raises(RecipeError, match=says) as error:
        check_apart(tmp_path / given, tmp_path / written)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "written"), [("a", "ab"), ("ab", "a"), ("a/b", "a/c"), ("x", "a")]
)
def test_folders_beside_each_other_are_apart(tmp_path, given, written):
    check_apart(tmp_path / given, tmp_path / written)


# --- the record


def test_names_are_entered_before_files_are_made_and_read_back(tmp_path):
    made = Made(tmp_path / "new")
    made.claim(["a/x.wav", "y.csv"])
    assert Made(tmp_path / "new").names == {"a/x.wav", "y.csv"}
    assert not (tmp_path / "new" / "a").exists()


def test_two_objects_of_one_folder_do_not_lose_each_other_s_entries(tmp_path):
    one, other = Made(tmp_path), Made(tmp_path)
    one.claim(["a"])
    other.claim(["b"])
    one.remove(["c"])
    one.claim(["d"])
    assert Made(tmp_path).names == {"a", "b", "d"}


def test_only_entries_are_removed_and_folders_that_this_empties(tmp_path):
    made = Made(tmp_path)
    made.claim(["s/a/1.wav", "s/a/2.wav", "s/b/1.wav"])
    for name in made.names:
        write(tmp_path / name)
    mine = write(tmp_path / "s" / "b" / "mine.wav")
    made.remove({*made.below("s"), "s/b/mine.wav"})
    assert tree(tmp_path) == {"s/b/mine.wav": b"x"}
    assert mine.is_file()
    assert not (tmp_path / "s" / "a").exists()
    assert not (tmp_path / ".made").exists()


def test_a_file_of_the_user_is_in_the_way_and_nothing_is_entered(tmp_path):
    write(tmp_path / "s" / "mine.wav", "mine")
    made = Made(tmp_path)
    with pytest.raises(RecipeError, match=r"s/mine.wav: in the way, and not made by this recipe"):
        made.claim(["s/a.wav", "s/mine.wav"])
    assert Made(tmp_path).names == set()
    assert tree(tmp_path) == {"s/mine.wav": b"mine"}


@pytest.mark.parametrize("kind", ["link to a folder", "file", "link to nothing"])
def test_no_file_is_made_through_a_link_or_below_a_file(tmp_path, kind):
    (tmp_path / "mine").mkdir()
    place = tmp_path / "data" / "s"
    place.parent.mkdir()
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / ("mine" if kind == "link to a folder" else "gone"))
    with pytest.raises(RecipeError, match="data/s: in the way"):
        Made(tmp_path / "data").claim(["s/a/x.wav"])
    assert not any((tmp_path / "mine").iterdir())


def test_a_folder_that_became_a_link_is_not_followed(tmp_path):
    made = Made(tmp_path / "data")
    made.claim(["s/a/x.wav"])
    mine = write(tmp_path / "mine" / "x.wav", "mine")
    (tmp_path / "data" / "s").mkdir()
    (tmp_path / "data" / "s" / "a").symlink_to(mine.parent)
    made.remove(made.names)
    assert mine.read_text() == "mine"
    assert (tmp_path / "data" / "s" / "a").is_symlink()


@pytest.mark.parametrize("name", ["../mine.txt", "{}/mine.txt", "s/../../mine.txt", "..", "/", "."])
def test_a_record_that_was_tampered_with_reaches_nothing_outside(tmp_path, name):
    write(tmp_path / "mine.txt", "mine")
    write(tmp_path / "data" / "s" / "a", "ours")
    write(tmp_path / "data" / ".made", f"s/a\n{name.format(tmp_path)}\n")
    made = Made(tmp_path / "data")
    made.remove(made.names)
    assert tree(tmp_path) == {"mine.txt": b"mine"}


def test_a_folder_of_the_user_under_a_made_name_stays(tmp_path):
    made = Made(tmp_path)
    made.claim(["sources.csv"])
    write(tmp_path / "sources.csv" / "mine")
    made.remove(["sources.csv"])
    assert tree(tmp_path) == {"sources.csv/mine": b"x"}


def test_what_a_killed_writer_left_is_swept_and_nothing_else_hidden(tmp_path):
    Made(tmp_path).claim(["s/a.wav"])
    for name in (".partial-ab12_xyz.wav", ".partial-1234", ".partial notes", ".hidden"):
        write(tmp_path / "s" / name)
    write(tmp_path / ".partial-ab12_xyz.csv")
    Made(tmp_path).claim(["s/b.wav"])
    assert set(tree(tmp_path)) == {"s/.partial notes", "s/.hidden"}


def test_others_files_are_named_in_one_line(tmp_path, capsys):
    made = Made(tmp_path)
    made.claim(["s/a.wav"])
    for name in ("s/a.wav", "s/b/mine.wav", "s/b/other.wav", "s/.DS_Store"):
        write(tmp_path / name)
    made.note_others("s")
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith(f"note: {tmp_path}/s/b/mine.wav and 1 more: not made by this recipe")


# --- corpora of versions that kept no record


def remove_earlier(folder):
    """Make a corpus one of a version that kept no record."""
    for path in folder.rglob(".made"):
        path.unlink()


def test_a_corpus_without_record_is_made_again(tmp_path):
    """Its tables, recordings, lists, mixtures and manifests count as made; the rest does not."""
    make_corpus(tmp_path, N_MIXTURES)
    before = tree(tmp_path)
    remove_earlier(tmp_path)
    mine = ["sources/f1/mine.wav", "lists/mix_2_spk_dev.txt", "wav8k/min/tr/mix/mine.wav"]
    for name in mine:
        write(tmp_path / name, "mine")
    made = begin_sources(tmp_path)
    assert not (tmp_path / "sources.csv").exists()
    assert made.below("sources") == {name for name in before if name.startswith("sources/")}
    assert made.below("lists") == {f"lists/mix_2_spk_{split}.txt" for split in N_MIXTURES}
    make_sources(tmp_path, {"tr": 3, "cv": 1, "tt": 1})
    wav_dir = tmp_path / "wav8k" / "min"
    begin_manifests(wav_dir)
    for split in N_MIXTURES:
        mix_split(Corpus(tmp_path, wav_dir, 2, RATE, "min"), split, 1)
    lines = read_list(list_path(tmp_path, 2, "tr"), 2)
    found = {path.stem for path in (wav_dir / "tr").rglob("*.wav")}
    assert found == {line.mixture_id for line in lines} | {"mine"}
    assert all((tmp_path / name).read_text() == "mine" for name in mine)


def test_mixtures_of_a_killed_stage_1_without_record_are_made_again(tmp_path):
    make_sources(tmp_path, N_MIXTURES)
    remove_earlier(tmp_path)
    line = read_list(list_path(tmp_path, 2, "tr"), 2)[0]
    half = write(tmp_path / "out" / "tr" / "mix" / f"{line.mixture_id}.wav", "half")
    assert mix_split(Corpus(tmp_path, tmp_path / "out", 2, RATE, "min"), "tr", 1).mixtures == 4
    assert half.read_bytes()[:4] == b"RIFF"


def test_mixtures_that_the_user_put_there_are_not_replaced(tmp_path):
    make_sources(tmp_path, N_MIXTURES)
    line = read_list(list_path(tmp_path, 2, "tr"), 2)[1]
    mine = write(tmp_path / "out" / "tr" / "s1" / f"{line.mixture_id}.wav", "mine")
    with pytest.raises(RecipeError, match=rf"{mine}: in the way"):
        mix_split(Corpus(tmp_path, tmp_path / "out", 2, RATE, "min"), "tr", 1)
    assert set(tree(tmp_path / "out")) == {mine.relative_to(tmp_path / "out").as_posix()}


def test_links_to_the_recordings_count_as_made_and_others_do_not(tmp_path):
    recording = write(tmp_path / "own" / "a" / "1.wav")
    other = write(tmp_path / "other" / "1.wav")
    sources = tmp_path / "data" / "sources"
    (sources / "a").mkdir(parents=True)
    (sources / "a" / "a_1.wav").symlink_to(recording)
    (sources / "a" / "a_2.wav").symlink_to(other)
    made = begin_sources(tmp_path / "data", tmp_path / "own")
    assert made.below("sources") == {"sources/a/a_1.wav"}


@pytest.mark.parametrize("text", ["name\nx\n", "path,speaker,gender,split\n", "", "\0"])
def test_a_table_of_the_user_is_in_the_way(tmp_path, text):
    """The second is an empty table of ours, which no stage leaves; it is replaced."""
    write(tmp_path / "sources.csv", text)
    if text.startswith("path"):
        begin_sources(tmp_path)
        return
    with pytest.raises(RecipeError, match="sources.csv: in the way"):
        begin_sources(tmp_path)
    assert (tmp_path / "sources.csv").read_text() == text


@pytest.mark.parametrize("name", ["tr.csv", "fingerprint.txt"])
def test_a_manifest_of_the_user_is_in_the_way(tmp_path, name):
    write(tmp_path / name, "mine")
    if name == "tr.csv":
        with pytest.raises(RecipeError, match="tr.csv: in the way"):
            begin_manifests(tmp_path)
    else:  # the sign of an earlier stage 2
        begin_manifests(tmp_path)
        assert Made(tmp_path).names >= {"fingerprint.txt", "tt.csv"}


def test_a_damaged_manifest_of_earlier_is_named(tmp_path):
    write(tmp_path / "tr.csv").write_bytes("é".encode("latin-1"))
    write(tmp_path / "fingerprint.txt")
    with pytest.raises(RecipeError, match="tr.csv: not a text file in UTF-8"):
        begin_split(tmp_path, tmp_path / "tr", set())


@pytest.mark.parametrize("there", ["nothing", "our link", "their link", "their folder"])
def test_the_link_to_recordings_replaces_only_a_link_of_ours(tmp_path, there):
    own, other, data_dir = tmp_path / "own", tmp_path / "other", tmp_path / "data"
    write(own / "1.wav")
    write(other / "1.wav")
    link = data_dir / "sources"
    data_dir.mkdir()
    if there == "our link":
        link_sources(begin_sources(data_dir), other)
    elif there == "their link":
        link.symlink_to(other)
    elif there == "their folder":
        write(link / "mine")
    made = begin_sources(data_dir, own)
    if there.startswith("their"):
        with pytest.raises(RecipeError, match="sources: in the way"):
            link_sources(made, own)
        assert link.resolve() == (other if there == "their link" else link)
    else:
        link_sources(made, own)
        assert link.resolve() == own
    assert os.path.isfile(other / "1.wav")


def test_the_cache_of_a_killed_run_is_cleared_and_nothing_of_the_user_s(tmp_path):
    make_sources(tmp_path, N_MIXTURES)
    write(tmp_path / ".mixing-left" / "0.f32")
    mine = write(tmp_path / ".mixing-mine" / "notes.txt", "mine")
    outside = write(tmp_path / "outside" / "0.f32", "mine")
    Path(tmp_path / ".mixing-link").symlink_to(outside.parent)
    mix_split(Corpus(tmp_path, tmp_path / "out", 2, RATE, "min"), "tr", 1)
    assert not (tmp_path / ".mixing-left").exists()
    assert mine.read_text() == outside.read_text() == "mine"
