"""Fetch archives: with a progress bar, resumable, checked, unpacked whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path

import requests
from tqdm import tqdm

from separation.errors import RecipeError

BLOCK = 1 << 20


def download_archives(base_url: str, archives: dict[str, str], data_dir: Path) -> Path:
    """Download and unpack every archive below ``data_dir``.

    Args:
        base_url: address of the folder that holds them.
        archives: MD5 sum of each file name.
        data_dir: takes ``archives/`` and ``LibriSpeech/``.

    Returns:
        the folder ``LibriSpeech``.
    """
    target = data_dir / "LibriSpeech"
    for name, md5 in archives.items():
        part = name.removesuffix(".tar.gz")
        if (target / part).is_dir():
            continue
        archive = data_dir / "archives" / name
        fetched = not archive.is_file()
        if fetched:
            fetch(f"{base_url}/{name}", archive, md5)
        elif (found := md5_of(archive)) != md5:
            raise RecipeError(
                f"{archive}: its MD5 sum is {found}, but that of {base_url}/{name} is {md5};"
                " remove it, and it is downloaded"
            )
        print(f"unpacking {name}")
        unpack(archive, target, part)
        if fetched:  # one that lay there before is somebody's own
            archive.unlink()
    return target


def fetch(url: str, path: Path, md5: str) -> None:
    """Download ``url`` to ``path``; what an earlier try left in ``path.part`` is gone on with.

    Raises:
        RecipeError: no connection, or a checksum that is not ``md5``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    have = partial.stat().st_size if partial.is_file() else 0
    try:
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
            if answer.status_code == 416:  # the file was whole already
                answer.close()
            else:
                answer.raise_for_status()
                resumed = answer.status_code == 206
                have = have if resumed else 0
                total = have + int(answer.headers.get("Content-Length", 0))
                bar = tqdm(total=total or None, initial=have, unit="B", unit_scale=True)
                bar.set_description(path.name)
                with open(partial, "ab" if resumed else "wb") as file, bar:
                    for block in answer.iter_content(BLOCK):
                        file.write(block)
                        bar.update(len(block))
    except requests.RequestException as error:
        raise RecipeError(
            f"{url}: download failed ({type(error).__name__}); run again to go on, or fetch it"
            " yourself, unpack it and give --corpus_dir"
        ) from error
    if (found := md5_of(partial)) != md5:
        partial.unlink()
        raise RecipeError(f"{url}: wrong checksum (MD5 {found}, not {md5}); run again")
    partial.rename(path)


def md5_of(path: Path) -> str:
    """MD5 sum of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def unpack(archive: Path, target: Path, part: str) -> None:
    """Unpack ``LibriSpeech/<part>`` and ``SPEAKERS.TXT``; the part gets its name when whole."""
    temporary = target.with_name(".unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            # Pythons before 3.11.4 know no filters; the archive is the one of the checksum there.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(temporary)
    except (tarfile.TarError, EOFError) as error:
        raise RecipeError(f"{archive}: cannot be unpacked; remove it and run again") from error
    inner = temporary / "LibriSpeech"
    target.mkdir(parents=True, exist_ok=True)
    for file in inner.glob("*.TXT"):
        file.replace(target / file.name)
    (inner / part).rename(target / part)
    shutil.rmtree(temporary)
