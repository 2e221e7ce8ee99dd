"""The mixing lists of WSJ0-2mix and WSJ0-3mix: from a folder, from the zip, or downloaded."""

from __future__ import annotations

import zipfile
from pathlib import Path

import requests
from tqdm import tqdm

from separation.corpus.lists import SPLITS
from separation.errors import RecipeError
from separation.files import atomic_path

BLOCK = 1 << 16


def gather(source: str, urls: list[str], n_src: int, archive: Path) -> dict[str, bytes]:
    """Get the list of every split, byte for byte.

    Args:
        source: a folder with ``mix_<n_src>_spk_<split>.txt`` in it or below it, a zip file of such
            a folder, or nothing.
        urls: addresses of the official zip, tried in turn when ``source`` is nothing.
        n_src: speakers of a mixture.
        archive: where a download is kept.

    Raises:
        RecipeError: no such folder or file, a list that is not in it, no connection.
    """
    if source:
        place = Path(source).expanduser()
    else:
        place = archive
        if not archive.is_file():
            download(urls, archive)
    names = {split: f"mix_{n_src}_spk_{split}.txt" for split in SPLITS}
    if place.is_dir():
        return {split: _in_folder(place, name) for split, name in names.items()}
    if not place.is_file():
        raise RecipeError(f"--lists {place}: no such folder or zip file")
    try:
        with zipfile.ZipFile(place) as file:
            return {split: _in_zip(file, place, name) for split, name in names.items()}
    except zipfile.BadZipFile as error:
        raise RecipeError(
            f"{place}: not a zip file; give --lists a folder with {names['tr']} and so on, or a zip"
        ) from error


def download(urls: list[str], path: Path) -> None:
    """Download the first address that answers with a zip file."""
    for url in urls:
        try:
            with (
                requests.get(url, stream=True, timeout=30) as answer,
                atomic_path(path) as temporary,
            ):
                answer.raise_for_status()
                total = int(answer.headers.get("Content-Length", 0))
                with (
                    open(temporary, "wb") as file,
                    tqdm(total=total or None, unit="B", unit_scale=True, desc=path.name) as bar,
                ):
                    for block in answer.iter_content(BLOCK):
                        file.write(block)
                        bar.update(len(block))
                if not zipfile.is_zipfile(temporary):
                    raise requests.RequestException("no zip file")
            return
        except requests.RequestException as error:
            reason = str(error) if str(error) == "no zip file" else type(error).__name__
            print(f"{url}: download failed ({reason})")
    raise RecipeError(
        "the mixing lists cannot be downloaded; get create-speaker-mixtures.zip from"
        " https://www.merl.com/research/highlights/deep-clustering and give --lists FILE.zip,"
        " or give --lists a folder that has them"
    )


def _in_folder(folder: Path, name: str) -> bytes:
    found = sorted(folder.rglob(name), key=lambda path: (len(path.parts), path))
    if not found:
        raise RecipeError(f"--lists {folder}: no {name} in it")
    return found[0].read_bytes()


def _in_zip(file: zipfile.ZipFile, path: Path, name: str) -> bytes:
    # A mac's zip has a shadow of every file below __MACOSX/, named ._<name>.
    found = sorted(n for n in file.namelist() if Path(n).name == name)
    if not found:
        raise RecipeError(f"{path}: no {name} in it")
    return file.read(found[0])
