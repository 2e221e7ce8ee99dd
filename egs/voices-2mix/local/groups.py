"""The groups of the corpus: folders of speakers that are given one by one.

A group is a folder in folder-2mix's form, ``<group>/<speaker>/**/*.{wav,flac,ogg,mp3}``, with
``speakers.csv`` where genders are known; or a part of LibriSpeech, ``<part>/<speaker>/<chapter>/``
with SPEAKERS.TXT beside the part. Equal names of speakers in several groups mean one person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from separation.config import Conf
from separation.corpus.librispeech import TABLE, read_readers
from separation.corpus.recordings import Recording, find_recordings, read_genders
from separation.errors import RecipeError, nearest

READER = "libri-"  # begins the names of LibriSpeech's readers, which are numbers there


@dataclass(frozen=True)
class Group:
    """A folder of speakers: its recordings, and the gender (F, M or empty) of each speaker."""

    folder: Path
    recordings: list[Recording]
    genders: dict[str, str]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name


def find_groups(corpus: Conf) -> list[Group]:
    """Find the groups that ``--corpus_dir`` names.

    Args:
        corpus: the block ``corpus`` of the configuration.

    Raises:
        RecipeError: a folder is missing, given twice or has no role; a group with a role is not
            given; a group of ``test_groups`` does not train.
    """
    folders = [Path(part.strip()).resolve() for part in corpus["corpus_dir"].split(",") if part]
    if not folders:
        raise RecipeError("--corpus_dir is missing: the folders of the groups, DIR[,DIR...]")
    known = [*corpus["train_groups"], *corpus["language_groups"]]
    for number, folder in enumerate(folders):
        if not folder.is_dir():
            raise RecipeError(f"--corpus_dir {folder}: no such folder")
        if folder.name not in known:
            raise RecipeError(
                f"--corpus_dir {folder}: no group '{folder.name}'{nearest(folder.name, known)};"
                " name it in corpus.train_groups or corpus.language_groups"
            )
        if folder.name in [other.name for other in folders[:number]]:
            raise RecipeError(f"--corpus_dir: two folders are named {folder.name}")
    missing = sorted(set(known) - {folder.name for folder in folders})
    if missing:
        raise RecipeError(
            f"--corpus_dir: no folder {missing[0]} in it; add it, or take it out of"
            " corpus.train_groups or corpus.language_groups"
        )
    untrained = sorted(set(corpus["test_groups"]) - set(corpus["train_groups"]))
    if untrained:
        raise RecipeError(f"corpus.test_groups: {untrained[0]} is not in corpus.train_groups")
    return [find_group(folder) for folder in folders]


def find_group(folder: Path) -> Group:
    """Find recordings and genders of a group.

    Raises:
        RecipeError: no recordings, or a speaker whose gender the group's table lacks.
    """
    recordings = find_recordings(folder)
    speakers = {recording.speaker for recording in recordings}
    table = folder.parent / TABLE
    if (folder / "speakers.csv").is_file() or not table.is_file():
        return Group(folder, recordings, read_genders(folder, speakers))
    readers = read_readers(table)
    unknown = sorted(speakers - readers.keys())
    if unknown:
        raise RecipeError(f"{table}: no speaker {unknown[0]} in it")
    return Group(
        folder,
        [replace(recording, speaker=READER + recording.speaker) for recording in recordings],
        {READER + speaker: readers[speaker] for speaker in speakers},
    )


def language_of(speaker: str) -> str:
    """The language of a speaker of ``language_groups``: the name up to its first dash."""
    return speaker.partition("-")[0]
