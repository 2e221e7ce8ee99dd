"""How stages 0, 1 and 2 start in folders that may hold an earlier corpus, or files of the user.

Versions of the recipe before these kept no record of what they made (:class:`.ownership.Made`).
What they left is known from their tables, so that it can be made again.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from separation.corpus.lists import read_sources
from separation.corpus.ownership import Made, in_the_way
from separation.errors import RecipeError
from separation.files import read_text
from separation.ranges import SPLITS

SOURCES = "sources.csv"
FINGERPRINT_FILE = "fingerprint.txt"


def begin_sources(data_dir: Path, recordings: Path | None = None) -> Made:
    """Begin a stage 0: remove ``sources.csv``, without which a corpus is not whole.

    Args:
        data_dir: the corpus.
        recordings: those of the user, where there are any; links to them are an earlier version's.

    Returns:
        what the recipe made there.

    Raises:
        RecipeError: that file is there and is not the recipe's.
    """
    made = Made(data_dir, () if Made.known(data_dir) else _earlier(data_dir, recordings))
    made.claim([SOURCES])
    made.unlink([SOURCES])
    return made


def link_sources(made: Made, recordings: Path) -> None:
    """Make ``sources`` a link to recordings that are used where they are.

    Raises:
        RecipeError: something is there that is not the recipe's.
    """
    link = made.folder / "sources"
    made.claim(["sources"])
    made.unlink(["sources"])
    if link.exists():  # a folder where the link was
        raise in_the_way(link)
    link.symlink_to(recordings, target_is_directory=True)


def begin_split(data_dir: Path, folder: Path, wanted: set[str]) -> tuple[Made, set[str]]:
    """Begin to mix a split: remove the mixtures of an earlier list.

    Args:
        data_dir: the corpus.
        folder: of the split.
        wanted: paths below it that are to be made, such as ``mix/a_1_b_-1.wav``.

    Returns:
        what the recipe made there, and the paths that were removed.

    Raises:
        RecipeError: a wanted file is there and is not the recipe's.
    """
    earlier: set[str] = set()
    if not Made.known(folder):
        # Stage 0 of such a version: its stage 1 may have been killed before there was a manifest.
        earlier = set() if Made.known(data_dir) else set(wanted)
        if (folder.parent / FINGERPRINT_FILE).is_file():
            earlier |= _mixtures(folder)
    made = Made(folder, earlier)
    stale = made.names - wanted
    made.claim(wanted)
    made.unlink(stale)
    return made, stale


def begin_manifests(wav_dir: Path) -> None:
    """Begin a stage 2, which writes ``{tr,cv,tt}.csv`` and ``fingerprint.txt``.

    Raises:
        RecipeError: one of them is there and is not the recipe's.
    """
    names = [*(f"{split}.csv" for split in SPLITS), FINGERPRINT_FILE]
    Made(wav_dir, names if (wav_dir / FINGERPRINT_FILE).is_file() else ()).claim(names)


def _earlier(data_dir: Path, recordings: Path | None) -> set[str]:
    """What stage 0 left: its tables, what these name, and links."""
    names = _links(data_dir, recordings.resolve()) if recordings else set()
    paths = []
    if os.path.lexists(data_dir / SOURCES):
        try:
            read_text(data_dir / SOURCES)
            paths = [utterance.path for utterance in read_sources(data_dir)]
        except RecipeError:
            return names  # another file of that name, which is in the way
    elif not (data_dir / "mixtures" / "tr.csv").is_file():
        return names
    names |= {SOURCES, "voices.csv", "lists/SHA256SUMS"}
    names |= {f"mixtures/{split}.csv" for split in SPLITS}
    for split in SPLITS:
        names |= {f"lists/{path.name}" for path in data_dir.glob(f"lists/mix_*_spk_{split}.txt")}
    if (data_dir / "sources").is_symlink():
        return names | {"sources"}
    return names | {f"sources/{path}" for path in paths if ".." not in path.split("/")}


def _links(data_dir: Path, recordings: Path) -> set[str]:
    """Links to the recordings: ``sources`` itself, or those below it."""
    places = [data_dir / "sources"]
    for top, folders, files in os.walk(data_dir / "sources"):
        places += [Path(top, name) for name in [*folders, *files]]
    return {
        path.relative_to(data_dir).as_posix()
        for path in places
        if path.is_symlink() and path.resolve().is_relative_to(recordings)
    }


def _mixtures(folder: Path) -> set[str]:
    """What the manifest beside the folder of a split names in it."""
    manifest, start = folder.with_name(f"{folder.name}.csv"), f"{folder.name}/"
    if not manifest.is_file():
        return set()
    rows = csv.DictReader(io.StringIO(read_text(manifest)))
    paths = [str(row[column]) for row in rows for column in row if str(column).endswith("_path")]
    return {path.removeprefix(start) for path in paths if path.startswith(start)}
