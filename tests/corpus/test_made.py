"""Only files that the recipe made are removed, and recordings lie apart from what it writes."""

import os

import pytest

from separation.corpus.made import Made, check_apart
from separation.errors import RecipeError


def files(folder):
    found = (p for p in folder.rglob("*") if p.is_symlink() or p.is_file())
    return {p.relative_to(folder).as_posix() for p in found}


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_listed_files_are_removed_and_others_stay(tmp_path):
    folder = tmp_path / "sources"
    made = Made(folder)
    made.add(["a/1.wav", "a/2.wav", "b/1.wav"])
    write(folder, "a/1.wav", "a/2.wav", "b/1.wav", "b/mine.wav", "c/.partial-x.wav")
    assert Made(folder).foreign() == ["b/mine.wav"]
    Made(folder).remove(keep=["a/2.wav"])
    assert files(folder) == {"a/2.wav", "b/mine.wav"}
    assert Made(folder).names == {"a/2.wav"}
    Made(folder).remove()
    assert files(folder) == {"b/mine.wav"}
    assert not (folder / "a").exists()


def test_what_earlier_versions_made_is_known_until_there_is_a_list(tmp_path):
    folder = tmp_path / "sources"
    write(folder, "old.wav", "new.wav")
    made = Made(folder, before=["old.wav"])
    made.add(["new.wav"])
    assert Made(folder, before=["x"]).names == {"old.wav", "new.wav"}


def test_links_are_removed_and_not_followed(tmp_path):
    folder, theirs = tmp_path / "sources", tmp_path / "theirs"
    write(theirs, "1.wav", "deep/2.wav")
    folder.mkdir()
    (folder / "link.wav").symlink_to(theirs / "1.wav")
    (folder / "folder").symlink_to(theirs / "deep")
    made = Made(folder)
    made.add(["link.wav", "folder/2.wav", "../theirs/1.wav", str(theirs / "1.wav")])
    made.remove()
    assert files(theirs) == {"1.wav", "deep/2.wav"}
    assert os.listdir(folder) == ["folder"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("data/sources", "data"),
        ("data", "data"),
        ("data", "data/corpus"),
        ("link", "data"),
        ("data", "link/corpus"),
        ("data/../data/sources", "link"),
    ],
)
def test_recordings_within_or_around_the_folder_of_the_corpus(tmp_path, theirs, ours):
    (tmp_path / "data" / "sources").mkdir(parents=True)
    (tmp_path / "data" / "corpus").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(RecipeError, match=r"overlaps with .*; move the recordings"):
        check_apart(tmp_path / theirs, tmp_path / ours)


def test_recordings_elsewhere(tmp_path):
    check_apart(tmp_path / "data-own", tmp_path / "data")
