"""The mixing lists of WSJ0-2mix and WSJ0-3mix: from a folder, from the zip, or downloaded.

Nobody publishes a checksum of the official zip. So a download is held against what is known of the
lists (:func:`check_official`), and its checksum is kept beside it.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import requests

from separation.corpus.drawing import MAX_GAIN_DB
from separation.corpus.fetching import checksum, receive
from separation.corpus.lists import ListLine
from separation.errors import RecipeError
from separation.files import atomic_path, require_file
from separation.ranges import SPLITS

LARGEST = 1 << 26  # bytes of a list; the official ones have 2.5 million
PATTERN = re.compile(r"wsj0/si_(tr_s|dt_05|et_05)/(\w{3})/\2\w{5}\.wav", re.ASCII)


def gather(source: str, urls: list[str], n_src: int, archive: Path) -> dict[str, bytes]:
    """Get the list of every split, byte for byte.

    Args:
        source: a folder with ``mix_<n_src>_spk_<split>.txt`` in it or below it, a zip file of such
            a folder, or nothing.
        urls: addresses of the official zip, tried in turn when ``source`` is nothing.
        n_src: speakers of a mixture.
        archive: where a download is kept, with its SHA-256 sum in ``<archive>.sha256``.

    Raises:
        RecipeError: no such folder or file, a list that is not in it, no connection, an archive
        that has changed since it was downloaded.
    """
    if source:
        place = Path(source).expanduser()
    else:
        place = archive
        if not archive.exists():
            download(urls, archive)
        check_unchanged(archive)
    names = {split: f"mix_{n_src}_spk_{split}.txt" for split in SPLITS}
    if place.is_dir():
        return {split: _in_folder(place, name) for split, name in names.items()}
    require_file(place, "--lists is a folder or a zip file")
    try:
        with zipfile.ZipFile(place) as file:
            return {split: _in_zip(file, place, name) for split, name in names.items()}
    except zipfile.BadZipFile as error:
        raise RecipeError(
            f"{place}: not a zip file, or damaged ({error}); give --lists a folder with"
            f" {names['tr']} and so on, or a zip"
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
                receive(answer, temporary, path.name)
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


def check_unchanged(archive: Path) -> None:
    """Hold an archive against its checksum of the first time, which is written then.

    Raises:
        RecipeError: it has changed since.
    """
    require_file(archive, "it is in the way of a download")
    record, found = archive.with_name(f"{archive.name}.sha256"), checksum(archive, "sha256")
    print(f"{archive}: SHA-256 {found}")
    if not record.exists():
        with atomic_path(record) as temporary:
            temporary.write_text(f"{found}  {archive.name}\n", encoding="utf-8")
    elif record.read_text("utf-8", "replace").split()[:1] != [found]:
        raise RecipeError(
            f"{archive}: changed since it was first used; its SHA-256 is not the one in {record}:"
            " remove both to download it again, or give --lists to use it as it is"
        )


def check_official(
    lists: dict[str, list[ListLine]], expected: dict[str, Any], archive: Path
) -> None:
    """Hold downloaded lists against what is known of the official ones.

    Args:
        lists: lines of each split.
        expected: ``mixtures`` and ``speakers`` of each split, from the corpus' configuration.
        archive: that they are from.

    Raises:
        RecipeError: another number of mixtures or speakers, a name that WSJ0 does not have, or
        gains of two speakers that are not x and -x within 2.5 dB.
    """
    wrong = []
    for split, lines in lists.items():
        names = [PATTERN.fullmatch(path) for line in lines for path in line.paths]
        speakers = {name[2] for name in names if name}
        strange = [line for line in lines if not all(map(PATTERN.fullmatch, line.paths))]
        loud = [
            line
            for line in lines
            if len(line.gains) == 2
            and (abs(line.gains[0]) > MAX_GAIN_DB or line.gains[0] != -line.gains[1])
        ]
        if len(lines) != expected["mixtures"][split]:
            wrong.append(f"{split} has {len(lines)} mixtures, not {expected['mixtures'][split]}")
        if len(speakers) != expected["speakers"][split]:
            wrong.append(f"{split} has {len(speakers)} speakers, not {expected['speakers'][split]}")
        if strange:
            wrong.append(f"{strange[0].where}: {' '.join(strange[0].paths)} are no names of WSJ0")
        if loud:
            wrong.append(f"{loud[0].where}: its gains are not x and -x, up to {MAX_GAIN_DB} dB")
    if wrong:
        raise RecipeError(
            f"{archive}: these are not the official lists: {'; '.join(wrong)}. Remove it to"
            " download it again, or give --lists to use it as it is"
        )


def _in_folder(folder: Path, name: str) -> bytes:
    found = sorted(folder.rglob(name), key=lambda path: (len(path.parts), path))
    if not found:
        raise RecipeError(f"--lists {folder}: no {name} in it")
    require_file(found[0])
    return found[0].read_bytes()


def _in_zip(file: zipfile.ZipFile, path: Path, name: str) -> bytes:
    # A mac's zip has a shadow of every file below __MACOSX/, named ._<name>.
    found = sorted(n for n in file.namelist() if Path(n).name == name)
    if not found:
        raise RecipeError(f"{path}: no {name} in it")
    try:
        with file.open(found[0]) as member:
            content = member.read(LARGEST + 1)
    except (RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
        # RuntimeError: encrypted; NotImplementedError: a way of packing that Python has not
        raise RecipeError(f"{path}: {found[0]} cannot be unpacked: {error}") from error
    if len(content) > LARGEST:
        raise RecipeError(f"{path}: {found[0]} is larger than any mixing list; give another zip")
    return content
