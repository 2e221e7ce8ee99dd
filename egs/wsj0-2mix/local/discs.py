"""Where the recordings of WSJ0 are below a folder, however its discs were copied there.

LDC93S6A and LDC93S6B have ``11-13.1/wsj0/si_tr_s/...``, others merge all discs into one ``wsj0/``,
names are in capitals or not, and some keep wav or flac files that were converted once. A recording
is therefore looked for by its name, which no other recording of WSJ0 has.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from separation.errors import RecipeError

# Best first: a disc's own file has a checksum, so it can be checked.
SUFFIXES = (".wv1", ".flac", ".wav")
SECOND_MICROPHONE = "wv2"


@dataclass
class Discs:
    """What is below a folder: files of each utterance, and tables of speakers.

    ``second`` names utterances seen from the second microphone (``.wv2``), which is never used.
    """

    folder: Path
    recordings: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    second: set[str] = field(default_factory=set)
    speaker_tables: list[Path] = field(default_factory=list)


def search(folder: Path) -> Discs:
    """Look through a folder and all below it, symbolic links too."""
    discs = Discs(folder)
    seen = set()
    for place, names, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link back up, or two links to one disc
            names.clear()
            continue
        seen.add(real)
        names.sort()
        for name in sorted(files):
            _note(discs, Path(place, name))
    return discs


def find(discs: Discs, listed: str) -> Path | None:
    """The file of a list's ``wsj0/si_tr_s/40n/40na010x.wav``, or None.

    Of several, one in folders of the same names is preferred, then a disc's own file.

    Raises:
        RecipeError: two converted files of the same name and rank, which may differ.
    """
    wanted = PurePosixPath(listed.lower())
    candidates = discs.recordings.get(wanted.stem, [])
    if not candidates:
        return None

    def rank(path: Path) -> tuple[int, int]:
        folders = [part.lower() for part in path.parts[:-1]]
        same = 0
        for mine, theirs in zip(reversed(wanted.parts[:-1]), reversed(folders), strict=False):
            if mine != theirs:
                break
            same += 1
        return -same, SUFFIXES.index(path.suffix.lower())

    best, *others = sorted(candidates, key=rank)
    if others and rank(others[0]) == rank(best) and best.suffix.lower() != ".wv1":
        raise RecipeError(
            f"{best} and {others[0]}: which of them is {listed}? Take the wrong one away,"
            " or give --corpus_dir the right folder"
        )
    return best


def _note(discs: Discs, path: Path) -> None:
    stem, suffix = path.stem.lower(), path.suffix.lower()
    if path.name.startswith("."):
        return
    if path.name.lower().endswith("spkrinfo.txt"):
        discs.speaker_tables.append(path)
    elif suffix == f".{SECOND_MICROPHONE}" or _of_second_microphone(discs.folder, path):
        discs.second.add(stem.removesuffix(SECOND_MICROPHONE).rstrip("._-"))
    elif suffix in SUFFIXES:
        discs.recordings[stem.removesuffix(".wv1")].append(path)


def _of_second_microphone(folder: Path, path: Path) -> bool:
    """Whether a converted file was a ``.wv2``: ``x.wv2.wav``, ``x_wv2.wav``, a folder ``wv2``."""
    if path.suffix.lower() not in (".wav", ".flac"):
        return False
    folders = [folder.name, *path.relative_to(folder).parts[:-1]]
    return path.stem.lower().endswith(SECOND_MICROPHONE) or any(
        SECOND_MICROPHONE in part.lower() and "wv1" not in part.lower() for part in folders
    )
