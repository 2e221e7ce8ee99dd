"""Output of LibriMix's own scripts: where its tables are, and what is in them.

``Libri2Mix/wav8k/min/metadata/mixture_train-100_mix_clean.csv`` names the files of every mixture by
the absolute path that they had when they were made, in some copies by a relative one. A folder that
was moved since then is read all the same.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from separation.corpus.problems import Problems
from separation.errors import RecipeError
from separation.files import check_name, read_text

MIXTURES = {
    "sep_clean": "mix_clean",
    "sep_noisy": "mix_both",
}  # LibriMix's name of a task's mixture
# Mixtures of each part, as LibriMix's paper counts them.
SIZES = {
    2: {"train-360": 50800, "train-100": 13900, "dev": 3000, "test": 3000},
    3: {"train-360": 33900, "train-100": 9300, "dev": 3000, "test": 3000},
}


def find_folder(corpus_dir: Path, n_src: int, sample_rate: int, mode: str) -> Path:
    """The folder of one version, such as ``Libri2Mix/wav8k/min``.

    ``corpus_dir`` may be the folder above ``Libri2Mix``, that itself, or the version's own.

    Raises:
        RecipeError: it is not there; the versions that are, are named.
    """
    version = Path(f"wav{sample_rate // 1000}k", mode)
    for folder in (corpus_dir / f"Libri{n_src}Mix" / version, corpus_dir / version, corpus_dir):
        if (folder / "metadata").is_dir() and folder.parts[-2:] == version.parts:
            return folder
    there = sorted(
        folder.parent.relative_to(corpus_dir).as_posix()
        for pattern in ("*/wav*/*/metadata", "wav*/*/metadata")
        for folder in corpus_dir.glob(pattern)
    )
    raise RecipeError(
        f"--corpus_dir {corpus_dir}: no Libri{n_src}Mix/{version}/metadata below it; there is"
        f" {', '.join(there) or 'no version of LibriMix'} (--n_src, --sample_rate, --mode)"
    )


def read_mixtures(
    folder: Path, part: str, task: str, n_src: int, problems: Problems
) -> pd.DataFrame:
    """Read the table of one part, such as ``train-100``.

    Returns:
        ``mixture_ID, mixture_path, source_1_path, ..., length``, for ``sep_noisy`` ``noise_path``,
        then ``speaker_1_ID, ...``; every path is absolute and is there.

    Raises:
        RecipeError: no such table or column; no such file, unless ``problems`` takes it.
    """
    csv = folder / "metadata" / f"mixture_{part}_{MIXTURES[task]}.csv"
    if not os.path.lexists(csv):
        there = ", ".join(p.name for p in sorted(csv.parent.glob("mixture_*.csv")))
        raise RecipeError(
            f"{csv}: not there, but {there or 'nothing'}; corpus.parts and corpus.task"
        )
    try:
        read_text(csv)  # which says what is wrong, if it is no text
        table = pd.read_csv(csv, dtype=str, index_col=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RecipeError(f"{csv}: not a CSV file: {error}") from error
    paths = ["mixture_path", *(f"source_{i + 1}_path" for i in range(n_src))]
    if task == "sep_noisy" and "noise_path" in table:
        paths.append("noise_path")
    columns = ["mixture_ID", *paths, "length"]
    for column in columns:
        if column not in table:
            raise RecipeError(f"{csv}: column '{column}' is missing")
    if f"source_{n_src + 1}_path" in table:
        raise RecipeError(f"{csv}: mixtures of more than {n_src} speakers; give --n_src")
    empty = table[columns].isna().any(axis=1)
    if empty.any():
        raise RecipeError(f"{csv}:{int(empty.argmax()) + 2}: a column is empty")
    for column in paths:
        table[column] = [
            str(_existing(name, csv, folder, f"{csv}:{row}: {column}", problems))
            for row, name in enumerate(table[column], 2)
        ]
    for row, name in enumerate(table["mixture_ID"], 2):
        check_name(name, f"{csv}:{row}: mixture_ID")
    speakers = [speakers_of(name, n_src) for name in table["mixture_ID"]]
    for row, names in enumerate(speakers, 2):
        known = [name for name in names if name]
        if len(set(known)) != len(known):
            problems.add(f"{csv}:{row}: a speaker is mixed with itself: {', '.join(names)}")
    for i in range(n_src):
        table[f"speaker_{i + 1}_ID"] = [names[i] for names in speakers]
    return table[[*columns, *(f"speaker_{i + 1}_ID" for i in range(n_src))]]


def speakers_of(mixture_id: str, n_src: int) -> list[str]:
    """Speakers of ``1034-121119-0049_3436-172162-0000``: 1034 and 3436; empty for other names."""
    utterances = mixture_id.split("_")
    if len(utterances) != n_src:
        return [""] * n_src
    return [name.split("-")[0] if name.count("-") == 2 else "" for name in utterances]


def read_genders(given: str, corpus_dir: Path) -> dict[str, str]:
    """F or M of each speaker, from LibriSpeech's ``SPEAKERS.TXT``, if it is found.

    It lies in ``LibriSpeech/``, which LibriMix's scripts put beside ``Libri2Mix/``.
    """
    if given:
        path = Path(given).expanduser()
    else:
        above = [corpus_dir, *list(corpus_dir.parents)[:3]]
        places = [folder / name for folder in above for name in ("", "LibriSpeech")]
        found = [p / "SPEAKERS.TXT" for p in places if os.path.lexists(p / "SPEAKERS.TXT")]
        if not found:
            return {}
        path = found[0]
    rows = [line.split("|") for line in read_text(path).splitlines() if not line.startswith(";")]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 2}


def _existing(name: str, csv: Path, folder: Path, where: str, problems: Problems) -> Path:
    """The file that a table means, also when LibriMix was moved since it was written."""
    moved = folder.joinpath(*Path(name).parts[-3:])  # train-100/mix_clean/<id>.wav
    for path in (csv.parent / name, moved, folder / name):
        if path.is_file():
            return Path(os.path.abspath(path))
    problems.add(f"{where} {name} does not exist, nor does {moved}")
    return moved
