"""The page's server and its folder of files: what is in them, and what is refused."""

import hashlib
import io
import json
import re
import socket
import tarfile
import threading

import pytest
import requests

import web
from fake_web import Answer
from separation.config import save_resolved
from separation.errors import RecipeError
from separation.inference import runtime, site
from separation.inference.onnx import export_offline, export_streaming
from separation.models.registry import save_model
from small_networks import small_conf, small_network

FOLDER = f"onnxruntime-web-{runtime.VERSION}"
ARCHIVE = f"{FOLDER}.tgz"


def package(names=runtime.FILES):
    """A package of the registry, with other content."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    return content.getvalue()


class Registry:
    """The npm registry as requests sees it: answers with a content, or is not there."""

    def __init__(self, content):
        self.content, self.asked = content, 0

    def get(self, url, **_):
        self.asked += 1
        assert url == runtime.URL
        if self.content is None:
            raise requests.ConnectionError("no route")
        return Answer(self.content, str(len(self.content)))


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Makes a registry that has a content, whose checksum is right unless it says otherwise."""

    def make(content, right=True):
        made = Registry(content)
        monkeypatch.setattr(requests, "get", made.get)
        monkeypatch.setattr(runtime, "CACHE", tmp_path / "data")
        if right:
            monkeypatch.setattr(runtime, "SHA512", hashlib.sha512(content).hexdigest())
        return made

    return make


@pytest.fixture
def stream(tmp_path):
    path = tmp_path / "talk.onnx"
    export_streaming(small_network("causal"), path, {"licence": "CC0", "trained_on": "toys"})
    return path


# --- ONNX Runtime


def test_the_runtime_is_fetched_once_and_only_what_is_needed_is_kept(registry, tmp_path):
    made = registry(package([*runtime.FILES, "ort.webgpu.min.mjs"]))
    for _ in range(2):
        folder = runtime.fetch_runtime()
        assert folder == tmp_path / "data" / FOLDER
        assert {path.name for path in site.visible(folder, "*")} == set(runtime.FILES)
    assert made.asked == 1


def test_another_package_than_expected_is_refused_and_not_kept(registry, tmp_path):
    registry(package(), right=False)
    with pytest.raises(RecipeError, match=r"onnxruntime-web.*wrong checksum.*run again"):
        runtime.fetch_runtime()
    assert not site.visible(tmp_path / "data" / FOLDER, "*")


def test_without_a_connection_it_says_where_the_package_goes_and_takes_it_there(
    registry, tmp_path, monkeypatch
):
    registry(None, right=False)
    folder = tmp_path / "data" / FOLDER
    with pytest.raises(RecipeError, match="download failed.*put it into ") as raised:
        runtime.fetch_runtime()
    assert str(raised.value).endswith(str(folder))
    (folder / ARCHIVE).write_bytes(package())
    with pytest.raises(RecipeError, match=f"{ARCHIVE}: wrong checksum.*remove it"):
        runtime.fetch_runtime()
    monkeypatch.setattr(runtime, "SHA512", hashlib.sha512(package()).hexdigest())
    assert runtime.fetch_runtime() == folder


@pytest.mark.parametrize("content", [package(["other.js"]), b"<html>"], ids=["files", "no archive"])
def test_a_package_without_the_files_is_refused(content, registry):
    registry(content)
    with pytest.raises(RecipeError, match="no package of ONNX Runtime"):
        runtime.fetch_runtime()


# --- the folder


def test_the_written_folder_is_whole_and_the_page_keeps_all_of_it(registry, run, stream, tmp_path):
    registry(package())
    folder = tmp_path / "a site"
    assert run("web", ["--exp_dir", stream, "--write", folder])[0] == 0
    names = {path.name for path in folder.iterdir()}
    kept = re.search(r"FILES = \[(.*?)\]", (folder / "service.js").read_text(), re.DOTALL)
    assert set(re.findall(r'"(.*?)"', kept[1])) == names - {"service.js"} | {"./"}
    assert (folder / "model.onnx").read_bytes() == stream.read_bytes()
    assert folder.stat().st_mode & 0o055 == 0o055  # for the web server, too
    facts = json.loads((folder / "model.json").read_text())
    assert facts["name"] == "talk"
    assert [facts[key] for key in ("sample_rate", "n_src", "kernel", "stride")] == [8000, 2, 40, 20]
    assert [facts[key] for key in ("licence", "trained_on")] == ["CC0", "toys"]
    assert facts["state"][0] == {"type": "float32", "shape": [1, 1, 20]}
    assert {state["type"] for state in facts["state"]} == {"float32", "float64"}


def test_a_trained_system_is_exported_with_its_name_and_licence(registry, run, tmp_path):
    registry(package())
    exp_dir = tmp_path / "toys_causal"
    save_model(small_network("causal", "net_conf.lookahead=3"), exp_dir / "best_model.pth")
    save_resolved(small_conf("causal", "net_conf.lookahead=3"), exp_dir / "conf.yaml")
    line = ["--exp_dir", exp_dir, "--licence", "MIT", "--write", tmp_path / "site"]
    assert run("web", line)[0] == 0
    facts = json.loads((tmp_path / "site" / "model.json").read_text())
    assert facts["name"] == "toys_causal"
    assert facts["lookahead"] == 3
    assert [facts[key] for key in ("licence", "trained_on")] == ["MIT", "espeak-2mix"]


def test_a_folder_with_something_in_it_is_left_alone(registry, run, stream, tmp_path):
    registry(package())
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mine").touch()
    status, error, _ = run("web", ["--exp_dir", stream, "--write", tmp_path / "site"])
    assert status == 1
    assert f"{tmp_path / 'site'}: is there and not an empty folder" in error
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["mine"]


def test_what_cannot_be_written_whole_is_not_there(registry, run, stream, tmp_path):
    registry(None, right=False)
    before = set(tmp_path.iterdir())
    status, error, _ = run("web", ["--exp_dir", stream, "--write", tmp_path / "site"])
    assert status == 1
    assert "download failed" in error
    assert {path for path in tmp_path.iterdir() if path.name != "data"} == before


def test_systems_that_are_none_or_not_causal_are_named(registry, run, tmp_path):
    registry(package())
    save_model(small_network("convtasnet"), tmp_path / "exp" / "best_model.pth")
    save_resolved(small_conf("convtasnet"), tmp_path / "exp" / "conf.yaml")
    export_offline(small_network("causal"), tmp_path / "whole.onnx", None, {})
    for system, said in (
        (tmp_path / "exp", f"{tmp_path / 'exp'}: not causal: masker."),
        (tmp_path / "whole.onnx", "whole.onnx: not a streaming file; local/export.py"),
        (tmp_path / "none.onnx", "none.onnx: no such file"),
        ("voices_lvie", "voices_lvie: neither a folder nor a model of the shelf"),
    ):
        status, error, lines = run("web", ["--exp_dir", system, "--write", tmp_path / "site"])
        assert status == 1
        assert said in error
        assert not lines
    assert not (tmp_path / "site").exists()


# --- the server


def test_files_have_the_types_that_browsers_insist_on(tmp_path):
    types = {
        "index.html": "text/html; charset=utf-8",
        "page.js": "text/javascript; charset=utf-8",
        "ort.wasm.bundle.min.mjs": "text/javascript; charset=utf-8",
        "ort-wasm-simd-threaded.wasm": "application/wasm",
        "model.json": "application/json",
        "style.css": "text/css; charset=utf-8",
    }
    for name in types:
        (tmp_path / name).write_text(name)
    with web.make_server(tmp_path, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, kind in types.items():
            answer = requests.get(web.address(server) + name, timeout=10)
            assert (answer.headers["Content-Type"], answer.text) == (kind, name)
            assert answer.headers["Cache-Control"] == "no-cache"
        assert requests.get(web.address(server), timeout=10).text == "index.html"
        assert requests.get(web.address(server) + "none", timeout=10).status_code == 404
        server.shutdown()


def test_a_port_or_host_that_cannot_be_had_is_named(run, stream):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for options, said in (
            (["--port", port], f"--port {port}: cannot be served at: Address already in use"),
            (["--port", 70000], "--port 70000: from 0"),
            (["--host", "192.0.2.1", "--port", 0], "--host 192.0.2.1 --port 0: cannot be served"),
        ):
            status, error, _ = run("web", ["--exp_dir", stream, *options])
            assert status == 1
            assert said in error
