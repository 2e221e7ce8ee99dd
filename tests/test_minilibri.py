"""minilibri-2mix: stage 0 on a small LibriSpeech-like folder, and the download."""

import hashlib
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest
import soundfile

from run_here import run_here
from separation.config import ROOT
from separation.corpus.lists import list_path, read_list, read_sources
from separation.errors import RecipeError

SCRIPTS = ROOT / "egs" / "minilibri-2mix" / "local"
SPEAKERS = {str(100 + i): "FM"[i % 2] for i in range(12)}


@pytest.fixture(scope="module")
def corpus_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("with a space") / "LibriSpeech"
    rng = np.random.default_rng(0)
    for speaker in SPEAKERS:
        chapter = folder / "train-clean-5" / speaker / "7"
        chapter.mkdir(parents=True)
        for number in range(3):
            path = chapter / f"{speaker}-7-{number:04}.flac"
            soundfile.write(path, rng.uniform(-0.1, 0.1, 16000), 16000)
    lines = [";ID |SEX| SUBSET |MINUTES| NAME"]
    lines += [f"{s}  | {g} | train-clean-100 | 5.0 | A Name" for s, g in SPEAKERS.items()]
    (folder / "SPEAKERS.TXT").write_text("\n".join(lines))
    return folder


def prepare(data_dir, corpus_dir, *overrides):
    options = ("--corpus", "minilibri-2mix", "--data_dir", data_dir, "--", "nj=1")
    settings = (f"corpus.corpus_dir={corpus_dir}", "corpus.n_mixtures={tr: 6, cv: 2, tt: 3}")
    return run_here(SCRIPTS / "prepare.py", *options, *settings, *overrides)


def test_stage_0_keeps_speakers_apart(tmp_path, corpus_dir):
    result = prepare(tmp_path, corpus_dir)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == "tr: 2 women, 2 men, 6 mixtures"
    utterances = read_sources(tmp_path)
    assert len(utterances) == 36
    assert all(u.gender == SPEAKERS[u.speaker] for u in utterances)
    assert len({(u.speaker, u.split) for u in utterances}) == len(SPEAKERS)
    for split, count in {"tr": 6, "cv": 2, "tt": 3}.items():
        lines = read_list(list_path(tmp_path, 2, split), 2)
        assert len(lines) == count
        splits = {u.path: u.split for u in utterances}
        assert all(splits[path] == split for line in lines for path in line.paths)
        assert all((tmp_path / "sources" / path).is_file() for line in lines for path in line.paths)


def test_stage_0_is_deterministic_and_follows_the_seed(tmp_path, corpus_dir):
    texts = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        prepare(tmp_path / name, corpus_dir, f"seed={seed}")
        texts.append(list_path(tmp_path / name, 2, "tr").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_a_missing_and_an_empty_folder_are_named(tmp_path):
    result = prepare(tmp_path / "data", tmp_path / "gone")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "gone: no such folder" in result.stderr
    (tmp_path / "own").mkdir()
    result = prepare(tmp_path / "data", tmp_path / "own")
    assert "no <part>/<speaker>/<chapter>/*.flac below it" in result.stderr
    assert not (tmp_path / "data" / "sources.csv").exists()


def test_a_speaker_without_gender_is_named(tmp_path, corpus_dir):
    table = corpus_dir / "SPEAKERS.TXT"
    text = table.read_text()
    table.write_text(text.replace("105 ", "999 "))
    try:
        result = prepare(tmp_path, corpus_dir)
    finally:
        table.write_text(text)
    assert "SPEAKERS.TXT: no speaker 105" in result.stderr


@pytest.fixture
def download(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import download

    return download


@pytest.fixture
def server(tmp_path):
    """A web server that understands Range, and what it was asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = folder / self.path.lstrip("/")
            asked.append(self.headers.get("Range"))
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:])

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}", asked
    httpd.shutdown()


def archive(part):
    """A tar archive as OpenSLR packs it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in (
            (f"LibriSpeech/{part}/1/2/1-2-0000.flac", b"sound"),
            ("LibriSpeech/SPEAKERS.TXT", b"1 | F | x | 1 | n"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def md5(content):
    return hashlib.md5(content).hexdigest()


def test_archives_are_fetched_and_unpacked_once(tmp_path, server, download):
    folder, url, asked = server
    sums = {}
    for part in ("train-clean-5", "dev-clean-2"):
        (folder / f"{part}.tar.gz").write_bytes(archive(part))
        sums[f"{part}.tar.gz"] = md5(archive(part))
    target = download.download_archives(url, sums, tmp_path)
    for part in ("train-clean-5", "dev-clean-2"):
        assert (target / part / "1" / "2" / "1-2-0000.flac").read_bytes() == b"sound"
    assert (target / "SPEAKERS.TXT").is_file()
    assert len(asked) == 2
    assert download.download_archives(url, sums, tmp_path) == target
    assert len(asked) == 2


def place_archive(folder, content):
    path = folder / "archives" / "train-clean-5.tar.gz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path, {path.name: md5(archive("train-clean-5"))}


def test_an_archive_that_lies_there_is_checked_used_and_kept(tmp_path, server, download):
    path, sums = place_archive(tmp_path, archive("train-clean-5"))
    target = download.download_archives("http://nowhere", sums, tmp_path)
    assert (target / "train-clean-5" / "1" / "2" / "1-2-0000.flac").read_bytes() == b"sound"
    assert path.read_bytes() == archive("train-clean-5")  # the user's own
    assert {p.name for p in tmp_path.iterdir()} == {"served", "archives", "LibriSpeech"}


def test_another_archive_that_lies_there_is_refused_and_kept(tmp_path, server, download):
    path, sums = place_archive(tmp_path, b"another")
    with pytest.raises(RecipeError, match=r"train-clean-5.tar.gz: wrong checksum .* move it away"):
        download.download_archives("http://nowhere", sums, tmp_path)
    assert path.read_bytes() == b"another"
    assert not (tmp_path / "LibriSpeech").exists()


def test_a_download_that_was_changed_since_is_fetched_again(tmp_path, server, download):
    folder, url, asked = server
    (folder / "train-clean-5.tar.gz").write_bytes(archive("train-clean-5"))
    path = tmp_path / "archives" / "train-clean-5.tar.gz"
    sums = {path.name: md5(archive("train-clean-5"))}
    download.fetch(f"{url}/{path.name}", path, sums[path.name])
    path.write_bytes(b"damaged")
    target = download.download_archives(url, sums, tmp_path)
    assert (target / "train-clean-5" / "1" / "2" / "1-2-0000.flac").is_file()
    assert len(asked) == 2
    assert not path.parent.exists()  # of a download nothing is left but what was unpacked


def test_unpacking_again_after_a_kill_gives_the_same(tmp_path, server, download, monkeypatch):
    _, sums = place_archive(tmp_path, archive("train-clean-5"))

    def killed(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(download.Path, "rename", killed)
        with pytest.raises(MemoryError):
            download.download_archives("http://nowhere", sums, tmp_path)
    unpacked = tmp_path / ".unpacking-train-clean-5" / "LibriSpeech"
    assert (unpacked / "train-clean-5" / "1" / "2" / "1-2-0000.flac").is_file()
    mine = unpacked / "mine.txt"
    mine.write_text("mine")
    download.download_archives("http://nowhere", sums, tmp_path)
    assert mine.read_text() == "mine"
    table = tmp_path / "LibriSpeech" / "SPEAKERS.TXT"
    assert table.read_bytes() == b"1 | F | x | 1 | n"
    table.write_text("the user's")
    (tmp_path / "LibriSpeech" / "train-clean-5").rename(tmp_path / "moved")
    download.download_archives("http://nowhere", sums, tmp_path)
    assert table.read_text() == "the user's"
    assert (tmp_path / "LibriSpeech" / "train-clean-5" / "1").is_dir()


@pytest.mark.parametrize("kind", ["outside", "link", "device", "cut", "empty", "other part"])
def test_an_archive_with_strange_members_is_refused(tmp_path, download, kind):
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo({"outside": "../out.txt", "cut": "LibriSpeech/x/a"}.get(kind, "a/b"))
        info.type = {"link": tarfile.SYMTYPE, "device": tarfile.FIFOTYPE}.get(kind, tarfile.REGTYPE)
        info.linkname, info.size = "/etc", 100000 if kind == "cut" else 0
        if kind != "empty":
            tar.addfile(info, io.BytesIO(np.random.default_rng(0).bytes(info.size)))
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RecipeError, match="a.tar.gz: ") as error:
        download.unpack(path, tmp_path / "LibriSpeech", "x")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "LibriSpeech").exists()
    assert not (tmp_path / "out.txt").exists()


def test_a_part_of_the_user_with_a_wrong_checksum_is_left(tmp_path, server, download):
    folder, url, _ = server
    (folder / "a.bin").write_bytes(b"good")
    partial = tmp_path / "a.bin.part"
    partial.write_bytes(b"of the user")
    with pytest.raises(RecipeError, match=f"wrong checksum .*; remove {partial} and run again"):
        download.fetch(f"{url}/a.bin", tmp_path / "a.bin", md5(b"good"))
    assert partial.read_bytes() == b"of the user"


def test_an_interrupted_download_goes_on(tmp_path, server, download):
    folder, url, asked = server
    content = bytes(range(256)) * 40
    (folder / "a.bin").write_bytes(content)
    (tmp_path / "a.bin.part").write_bytes(content[:1000])
    download.fetch(f"{url}/a.bin", tmp_path / "a.bin", md5(content))
    assert (tmp_path / "a.bin").read_bytes() == content
    assert asked == ["bytes=1000-"]


def test_a_download_that_was_whole_is_only_checked(tmp_path, server, download):
    folder, url, _ = server
    (folder / "a.bin").write_bytes(b"whole")
    (tmp_path / "a.bin.part").write_bytes(b"whole")
    download.fetch(f"{url}/a.bin", tmp_path / "a.bin", md5(b"whole"))
    assert (tmp_path / "a.bin").read_bytes() == b"whole"


def test_a_wrong_checksum_leaves_nothing(tmp_path, server, download):
    folder, url, _ = server
    (folder / "a.bin").write_bytes(b"damaged")
    with pytest.raises(RecipeError, match="wrong checksum"):
        download.fetch(f"{url}/a.bin", tmp_path / "a.bin", md5(b"good"))
    assert [path.name for path in tmp_path.iterdir()] == ["served"]


def test_no_connection_is_one_line(tmp_path, server, download):
    _, url, _ = server
    with pytest.raises(RecipeError, match=r"gone.bin: download failed .*--corpus_dir") as error:
        download.fetch(f"{url}/gone.bin", tmp_path / "gone.bin", "")
    assert "\n" not in str(error.value)
