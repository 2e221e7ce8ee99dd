"""wsj0-2mix: the mixing lists, downloaded or given: which are taken, and which are refused."""

import functools
import hashlib
import http.server
import threading
import zipfile

import pytest

from separation.corpus.lists import parse_line
from separation.errors import RecipeError
from wsj0_tree import CORPUS, LISTS, make_lists, make_tree, prepare


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A tree that tests leave as it is."""
    return make_tree(tmp_path_factory.mktemp("with a space"))


def test_lists_are_downloaded_from_the_first_address_that_has_them(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(CORPUS / "local"))
    import official_lists

    served = tmp_path / "served"
    served.mkdir()
    (served / "page.zip").write_text("<html>moved</html>")
    with zipfile.ZipFile(served / "lists.zip", "w") as file:
        for split, text in LISTS[2].items():
            file.writestr(f"mix_2_spk_{split}.txt", text)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    archive = tmp_path / "archives" / "lists.zip"
    urls = [f"{base}/gone.zip", f"{base}/page.zip", f"{base}/lists.zip"]
    try:
        texts = official_lists.gather("", urls, 2, archive)
    finally:
        server.shutdown()
    assert texts == {split: text.encode() for split, text in LISTS[2].items()}
    assert official_lists.gather("", [], 2, archive) == texts  # kept: not downloaded again
    kept = {path.name for path in archive.parent.iterdir()}
    assert kept == {"lists.zip", "lists.zip.sha256"}


@pytest.fixture
def official_lists(monkeypatch):
    monkeypatch.syspath_prepend(str(CORPUS / "local"))
    import official_lists

    return official_lists


def test_the_checksums_of_the_lists_are_kept_and_told(tmp_path, tree):
    result = prepare(tmp_path / "data", tree)
    kept = (tmp_path / "data" / "lists" / "SHA256SUMS").read_text()
    sums = {split: hashlib.sha256(text.encode()).hexdigest() for split, text in LISTS[2].items()}
    assert kept == "".join(f"{sums[split]}  mix_2_spk_{split}.txt\n" for split in sums)
    assert kept in result.stdout
    make_lists(tmp_path / "lists")
    path = tmp_path / "lists" / "mix_2_spk_tr.txt"
    path.write_text(LISTS[2]["tr"].splitlines()[0] + "\n")
    result = prepare(tmp_path / "data", tree, f"corpus.lists='{path.parent}'")
    assert "note: the lists are others than before" in result.stderr
    assert (tmp_path / "data" / "lists" / "SHA256SUMS").read_text() != kept


def test_an_archive_of_lists_that_changed_is_refused(tmp_path, official_lists):
    archive = tmp_path / "archives" / "lists.zip"
    archive.parent.mkdir()
    for texts in (LISTS[2], LISTS[2], {**LISTS[2], "tr": LISTS[2]["cv"]}):
        with zipfile.ZipFile(archive, "w") as file:
            for split, text in texts.items():  # at one time, so that the bytes are the same
                file.writestr(zipfile.ZipInfo(f"mix_2_spk_{split}.txt"), text)
        if texts is LISTS[2] or texts == LISTS[2]:
            found = official_lists.gather("", [], 2, archive)
            assert found == {split: text.encode() for split, text in LISTS[2].items()}
    with pytest.raises(RecipeError, match="lists.zip: changed since it was first used") as error:
        official_lists.gather("", [], 2, archive)
    assert "\n" not in str(error.value)
    assert official_lists.gather(str(archive), [], 2, archive)["tr"] == LISTS[2]["cv"].encode()
    archive.with_name("lists.zip.sha256").write_bytes(b"\xff")
    with pytest.raises(RecipeError, match="changed since"):
        official_lists.gather("", [], 2, archive)


def official(change=lambda line, number: line):
    """Lists of the official size, speakers and form."""
    counts = {"tr": (10, 5), "cv": (6, 5), "tt": (4, 2)}
    part = {"tr": "si_tr_s", "cv": "si_tr_s", "tt": "si_et_05"}
    lists = {}
    for split, (lines, speakers) in counts.items():
        names = [f"{split[0]}{number:02x}" for number in range(speakers)]
        rows = []
        for number in range(lines):
            one, other = names[number % speakers], names[(number + 1) % speakers]
            paths = [f"wsj0/{part[split]}/{s}/{s}o{number:02x}1a.wav" for s in (one, other)]
            gain = number / 4 % 2.5
            row = f"{paths[0]} {gain:g} {paths[1]} {-gain:g}"
            rows.append(parse_line(change(row, number) if split == "tt" else row, f"x:{number}"))
        lists[split] = rows
    expected = {
        "mixtures": {split: count for split, (count, _) in counts.items()},
        "speakers": {split: count for split, (_, count) in counts.items()},
    }
    return lists, expected


FAULTS = {
    "x:2: .* are no names of WSJ0": lambda line, n: (
        line.replace("wsj0/", "wsj1/") if n == 2 else line
    ),
    "x:3: .* are no names": lambda line, n: line.replace("031a", "031b1") if n == 3 else line,
    "x:1: its gains are not x and -x": lambda line, n: line.replace("-0.25", "-0.26"),
    "x:1: its gains": lambda line, n: line.replace("0.25", "2.75"),
    "tt has 3 speakers, not 2": lambda line, n: line.replace("t00", "t0x") if n == 2 else line,
}


@pytest.mark.parametrize("says", FAULTS)
def test_downloaded_lists_that_are_not_the_official_ones_are_refused(official_lists, says):
    official_lists.check_official(*official(), "a.zip")
    with pytest.raises(RecipeError, match=rf"a.zip: these are not the official lists: .*{says}"):
        official_lists.check_official(*official(FAULTS[says]), "a.zip")
