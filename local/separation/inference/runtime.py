"""ONNX Runtime for browsers, from the npm registry. Entry point: :func:`fetch_runtime`."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

import requests

from separation.corpus.fetching import checksum, receive
from separation.errors import RecipeError
from separation.files import atomic_path, exclusive, require_file, writing
from separation.tree import ROOT

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = (  # the registry's own, in hexadecimal
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
CACHE = ROOT / "data"
# A module for the CPU alone, and its WebAssembly; with one thread it needs no special headers.
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


def fetch_runtime(cache: Path | None = None) -> Path:
    """Download ONNX Runtime once, check it, and keep of it what a page needs.

    Args:
        cache: takes the folder ``onnxruntime-web-<version>`` (default: ``data/``). A package that
            the user put into that folder is used instead of the download.

    Returns:
        the folder, with :data:`FILES` in it.

    Raises:
        RecipeError: no connection, or another package than was expected.
    """
    folder = (cache or CACHE) / f"onnxruntime-web-{VERSION}"
    archive = folder / URL.rpartition("/")[2]
    if _whole(folder):
        return folder
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder, "fetching"):
        if _whole(folder):  # another process was faster
            return folder
        if archive.exists():
            require_file(archive)
            _check(archive, str(archive), "remove it and run again")
        else:
            _download(archive)
        _unpack(archive, folder)
        archive.unlink()
    return folder


def _whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def _download(archive: Path) -> None:
    with atomic_path(archive) as temporary:
        try:
            with requests.get(URL, stream=True, timeout=30) as answer:
                answer.raise_for_status()
                receive(answer, temporary, archive.name)
        except requests.RequestException as error:
            raise RecipeError(
                f"{URL}: download failed ({type(error).__name__}); run again with a connection, or"
                f" fetch it yourself and put it into {archive.parent}"
            ) from error
        _check(temporary, URL, "run again")


def _check(archive: Path, name: str, advice: str) -> None:
    found = checksum(archive, "sha512")
    if found != SHA512:
        raise RecipeError(f"{name}: wrong checksum (SHA-512 {found[:16]}...); {advice}")


def _unpack(archive: Path, folder: Path) -> None:
    """Take the files out of the package; each appears whole."""
    try:
        with tarfile.open(archive) as tar:
            for name in FILES:
                content = tar.extractfile(f"package/dist/{name}")
                if content is None:
                    raise KeyError(name)
                with atomic_path(folder / name) as temporary:
                    temporary.write_bytes(content.read())
    except (tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise RecipeError(f"{archive}: no package of ONNX Runtime; remove it, run again") from error
