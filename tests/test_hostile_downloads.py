"""Bad archives of lists and strange answers of a server."""

import os
import zipfile

import pytest
import requests

from fake_web import Answer
from small_corpora import assert_one_line, load
from wsj0_tree import LISTS

# --- archives of lists


def archive_of_lists(path, **how):
    with zipfile.ZipFile(path, "w", **how) as file:
        for split, text in LISTS[2].items():
            file.writestr(f"lists/mix_2_spk_{split}.txt", text)


def patch(path, where, content):
    data = bytearray(path.read_bytes())
    data[where : where + len(content)] = content
    path.write_bytes(data)


def damaged(path):
    archive_of_lists(path)
    patch(path, path.read_bytes().index(b"wsj0/si"), b"!")


def damaged_deflate(path):
    archive_of_lists(path, compression=zipfile.ZIP_DEFLATED)
    patch(path, path.read_bytes().index(b"tr.txt") + 6, b"\xff" * 20)


def encrypted(path):
    archive_of_lists(path)
    for place in (path.read_bytes().index(b"PK\3\4") + 6, path.read_bytes().index(b"PK\1\2") + 8):
        patch(path, place, b"\1")


def strange_packing(path):
    archive_of_lists(path)
    for place in (path.read_bytes().index(b"PK\3\4") + 8, path.read_bytes().index(b"PK\1\2") + 10):
        patch(path, place, b"\x63")


def cut(path):
    archive_of_lists(path)
    path.write_bytes(path.read_bytes()[:-30])


def no_zip(path):
    path.write_text("<html>")


def empty(path):
    path.touch()


def bomb(path):
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_DEFLATED) as file:
        for split in LISTS[2]:
            file.writestr(f"mix_2_spk_{split}.txt", bytes((1 << 26) + 1))


def outside(path):
    with zipfile.ZipFile(path, "w") as file:
        for split, text in LISTS[2].items():
            file.writestr(f"../../../mix_2_spk_{split}.txt", text.replace("wsj0/", "/wsj0/"))


ZIPS = {
    damaged: "damaged (Bad CRC-32",
    damaged_deflate: "",
    encrypted: "is encrypted",
    strange_packing: "cannot be unpacked: That compression method is not supported",
    cut: "not a zip file",
    no_zip: "not a zip file",
    empty: "not a zip file",
    bomb: "is larger than any mixing list",
    outside: "leads out of the sources",
    os.mkfifo: "a pipe, not a file; --lists is a folder or a zip file",
}


@pytest.mark.parametrize("make", ZIPS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("corpus", ["wsj0-2mix"], indirect=True)
def test_a_bad_zip_of_lists_is_named(corpus, make, capfd):
    path = corpus.own / "lists.zip"
    make(path)
    corpus.lists = path
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert (str(path) in said) != (make is outside)
    assert ZIPS[make] in said


@pytest.mark.parametrize("length", ["abc", "", "-1", "²", "1.5"])
@pytest.mark.parametrize("corpus", ["wsj0-2mix"], indirect=True)
def test_a_length_that_is_no_number_does_not_matter(corpus, length, monkeypatch, tmp_path):
    archive_of_lists(tmp_path / "lists.zip")
    answer = Answer((tmp_path / "lists.zip").read_bytes(), length)
    monkeypatch.setattr(requests, "get", lambda *_, **__: answer)
    official_lists = load("wsj0-2mix", "official_lists")
    archive = tmp_path / "archives" / "lists.zip"
    texts = official_lists.gather("", ["http://somewhere/lists.zip"], 2, archive)
    assert texts == {split: text.encode() for split, text in LISTS[2].items()}
    download = load("minilibri-2mix", "download")
    md5 = download.checksum(archive, "md5")
    download.fetch("http://somewhere/lists.zip", tmp_path / "again.zip", md5)
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()
