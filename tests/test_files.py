"""Files are whole or not there."""

import errno

import pytest
import requests

from separation.errors import RecipeError
from separation.files import atomic_path


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new folder" / "table.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".csv"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "cannot be written: No space left"),
        (RuntimeError("write failed"), r"cannot be written \(disk full\?\): write failed"),
    ],
)
def test_a_full_disk_is_said_and_leaves_what_was_there(error, message, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("earlier")
    with (
        pytest.raises(RecipeError, match=f"table.csv: {message}"),
        atomic_path(path) as temporary,
    ):
        temporary.write_text("ha")
        raise error
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_a_folder_is_said(tmp_path):
    (tmp_path / "out").write_text("a file")
    why = "cannot be written: a file is where its folder should be"
    for path in (tmp_path / "out" / "a.wav", tmp_path / "out" / "b" / "a.wav"):
        with pytest.raises(RecipeError, match=f"a.wav: {why}"), atomic_path(path):
            pass
    assert (tmp_path / "out").read_text() == "a file"


def test_what_a_killed_process_left_is_swept_and_what_is_being_written_is_not(tmp_path):
    (tmp_path / ".partial-0a1b2c3d.csv").write_text("half")
    with atomic_path(tmp_path / "slow.csv") as slow:
        slow.write_text("slow")
        with atomic_path(tmp_path / "quick.csv") as quick:
            quick.write_text("quick")
        assert sorted(path.name for path in tmp_path.iterdir()) == [slow.name, "quick.csv"]
    assert (tmp_path / "slow.csv").read_text() == "slow"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), requests.ConnectionError("no route")])
def test_what_is_not_of_the_file_is_not_said_to_be(error, tmp_path):
    with pytest.raises(type(error)), atomic_path(tmp_path / "table.csv"):
        raise error
    assert not list(tmp_path.iterdir())
