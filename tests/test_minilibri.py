"""minilibri-2mix: stage 0 on a small LibriSpeech-like folder, and the download."""

import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading

import numpy as np
import pytest
import soundfile

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
    return subprocess.run(
        [
            sys.executable,
            SCRIPTS / "prepare.py",
            *("--corpus", "minilibri-2mix", "--data_dir", data_dir, "--"),
            f"corpus.corpus_dir={corpus_dir}",
            "corpus.n_mixtures={tr: 6, cv: 2, tt: 3}",
            *overrides,
        ],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "local")},
        check=False,
    )


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
    (tmp_path / "empty").mkdir()
    result = prepare(tmp_path / "data", tmp_path / "empty")
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
    assert not list(tmp_path.glob("a.bin*"))


def test_no_connection_is_one_line(tmp_path, server, download):
    _, url, _ = server
    with pytest.raises(RecipeError, match=r"gone.bin: download failed .*--corpus_dir") as error:
        download.fetch(f"{url}/gone.bin", tmp_path / "gone.bin", "")
    assert "\n" not in str(error.value)
