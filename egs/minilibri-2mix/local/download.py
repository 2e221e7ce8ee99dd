"""Fetch archives: with a progress bar, resumable, checked, unpacked whole or not at all."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path

import requests

from separation.corpus.fetching import checksum, receive
from separation.corpus.ownership import Made, in_the_way
from separation.errors import RecipeError
from separation.files import check_name, require_file


def download_archives(base_url: str, archives: dict[str, str], data_dir: Path) -> Path:
    """Download and unpack every archive below ``data_dir``.

    An archive that lies in ``archives/`` already is used if its checksum is right. It is removed
    after that if it was downloaded here; one that the user put there is left.

    Args:
        base_url: address of the folder that holds them.
        archives: MD5 sum of each file name.
        data_dir: takes ``archives/`` and ``LibriSpeech/``.

    Returns:
        the folder ``LibriSpeech``.

    Raises:
        RecipeError: no connection, or an archive of the user that is another.
    """
    target = data_dir / "LibriSpeech"
    for name, md5 in archives.items():
        part = name.removesuffix(".tar.gz")
        if (target / part).is_dir():
            continue
        archive = data_dir / "archives" / name
        made = Made(archive.parent)
        if archive.exists() and not is_right(archive, md5, made):
            made.remove([name])  # it was downloaded here, and changed since
        if not archive.exists():
            fetch(f"{base_url}/{name}", archive, md5)
        print(f"unpacking {name}")
        unpack(archive, target, part)
        made.remove([name, f"{name}.part"])
    return target


def is_right(archive: Path, md5: str, made: Made) -> bool:
    """Whether an archive that was there has the right checksum.

    Raises:
        RecipeError: it has not, and is not one that was downloaded here.
    """
    require_file(archive)
    found = checksum(archive, "md5")
    if found != md5 and archive.name not in made.names:
        raise RecipeError(
            f"{archive}: wrong checksum (MD5 {found}, not {md5}); it was not downloaded here, so"
            " move it away"
        )
    return found == md5


def fetch(url: str, path: Path, md5: str) -> None:
    """Download ``url`` to ``path``; a part that an earlier try left in ``path.part`` is continued.

    Raises:
        RecipeError: no connection, or a checksum that is not ``md5``.
    """
    partial = path.with_name(f"{path.name}.part")
    made = Made(path.parent)
    made.claim([path.name] if partial.is_file() else [path.name, partial.name])
    have = partial.stat().st_size if partial.is_file() else 0
    try:
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
            if answer.status_code != 416:  # then the file was whole already
                answer.raise_for_status()
                receive(answer, partial, path.name, have if answer.status_code == 206 else 0)
    except requests.RequestException as error:
        raise RecipeError(
            f"{url}: download failed ({type(error).__name__}); run again to continue, or fetch it"
            " yourself, unpack it and give --corpus_dir"
        ) from error
    found = checksum(partial, "md5")
    if found != md5:
        made.remove([path.name, partial.name])
        advice = f"remove {partial} and run again" if partial.exists() else "run again"
        raise RecipeError(f"{url}: wrong checksum (MD5 {found}, not {md5}); {advice}")
    partial.rename(path)


def unpack(archive: Path, target: Path, part: str) -> None:
    """Unpack ``LibriSpeech/<part>`` and ``SPEAKERS.TXT``; the part gets its name when whole.

    Raises:
        RecipeError: no whole archive, or files in it that would lead elsewhere.
    """
    temporary = Made(target.with_name(f".unpacking-{part}"))
    temporary.remove(temporary.names)  # of a run that was killed
    try:
        with tarfile.open(archive) as tar:
            members = [member for member in tar if check_member(member, archive)]
            temporary.claim(member.name for member in members)
            # Pythons before 3.11.4 know no filters; the members are checked above.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(temporary.folder, members)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecipeError(f"{archive}: cannot be unpacked; remove it and run again") from error
    inner = temporary.folder / "LibriSpeech"
    if not (inner / part).is_dir():
        raise RecipeError(f"{archive}: no LibriSpeech/{part} in it")
    target.mkdir(parents=True, exist_ok=True)
    for file in inner.glob("*.TXT"):  # the same tables are in every archive
        if not (target / file.name).exists():
            file.replace(target / file.name)
    if (target / part).exists():
        raise in_the_way(target / part)
    (inner / part).rename(target / part)
    temporary.remove(temporary.names)


def check_member(member: tarfile.TarInfo, archive: Path) -> bool:
    """Whether a member is a file; folders are made for their files.

    Raises:
        RecipeError: a link, a device or a name that leads elsewhere.
    """
    for name in member.name.split("/"):
        check_name(name, str(archive))
    if not (member.isfile() or member.isdir()):
        raise RecipeError(f"{archive}: {member.name} is no file; remove the archive and run again")
    return member.isfile()
