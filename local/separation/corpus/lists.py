"""Mixing lists in WSJ0-2mix's format, and ``sources.csv``, the recordings in use.

A list has one mixture a line, ``path1 gain1_dB [path2 gain2_dB [path3 gain3_dB]]``; ``sources.csv``
has speaker, gender and split of each recording. Entry points: :func:`write_lists` for stage 0,
:func:`read_sources`, :func:`read_split` and :func:`read_list` for later ones.
"""

from __future__ import annotations

import csv
import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from separation.corpus.ownership import Made
from separation.corpus.problems import Problems
from separation.errors import RecipeError
from separation.files import atomic_path, check_name, read_text
from separation.tables import SOURCES, read_table

ABSURD_GAIN_DB = 100.0  # of a list: beyond it 16 bits hold nothing of one of the sources


@dataclass(frozen=True)
class Utterance:
    """A recording: path below the sources folder, speaker, gender (F, M or empty), split.

    ``group`` names where it comes from in a corpus made of several; results have a row for each.
    """

    path: str
    speaker: str
    gender: str
    split: str
    group: str = ""


@dataclass(frozen=True)
class ListLine:
    """One mixture: the paths of its sources, the gain of each in dB, and its list and line."""

    paths: tuple[str, ...]
    gains: tuple[float, ...]
    where: str = field(default="", compare=False)

    @cached_property
    def mixture_id(self) -> str:
        """``<utt1>_<gain1>_<utt2>_<gain2>``, gains with up to four decimals."""
        return "_".join(
            f"{_stem(path)}_{_digits(gain)}"
            for path, gain in zip(self.paths, self.gains, strict=True)
        )

    def __str__(self) -> str:
        return " ".join(
            f"{path} {_digits(gain)}" for path, gain in zip(self.paths, self.gains, strict=True)
        )


def _digits(gain: float) -> str:
    """As MATLAB's num2str writes it, which named the official files; -0 is 0 there."""
    places = 5 if abs(gain) < 10 else 5 + math.floor(math.log10(abs(gain)))
    return f"{gain + 0.0:.{places}g}"


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def write_lists(data_dir: Path, utterances: list[Utterance], lists: dict[str, list[str]]) -> None:
    """Write ``sources.csv`` and ``lists/mix_<N>_spk_<split>.txt`` below ``data_dir``.

    Mixtures of each number of sources have a list of their own.

    Raises:
        RecipeError: a recording whose path a list cannot hold, or a file of the user in the way.
    """
    made = Made(data_dir)
    spaced = [u.path for u in utterances if u.path.split() != [u.path]]
    if spaced and any(lists.values()):
        raise RecipeError(
            f"{data_dir / 'sources' / spaced[0]}: a space in its path, and lists are split at"
            " spaces; rename the file or folder"
        )
    for split, lines in lists.items():
        if not lines:  # what an earlier run listed is not to be mixed
            made.remove(fnmatch.filter(made.names, f"lists/mix_*_spk_{split}.txt"))
        for n_src in sorted({len(line.split()) // 2 for line in lines}):
            path = list_path(data_dir, n_src, split)
            mine = [line for line in lines if len(line.split()) // 2 == n_src]
            for row, line in enumerate(mine, 1):
                parse_line(line, f"{path}:{row}")
            made.claim([path.relative_to(data_dir).as_posix()])
            with atomic_path(path) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in mine), encoding="utf-8")
    made.claim(["sources.csv"])
    with (
        atomic_path(data_dir / "sources.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        columns = ["path", "speaker", "gender", "split"]
        if any(u.group for u in utterances):
            columns.append("group")
        writer.writerow(columns)
        writer.writerows([getattr(u, column) for column in columns] for u in utterances)


def list_path(data_dir: Path, n_src: int, split: str) -> Path:
    """Where the mixing list of a split is."""
    return data_dir / "lists" / f"mix_{n_src}_spk_{split}.txt"


def read_sources(data_dir: Path) -> list[Utterance]:
    """Read ``sources.csv``, the recordings in use.

    Raises:
        RecipeError: no such file, or a cell that is not as :data:`SOURCES` demands.
    """
    table = read_table(data_dir / "sources.csv", SOURCES, "stage 0 makes it")
    columns = [column for column in SOURCES if column in table]
    return [Utterance(**row) for row in table[columns].to_dict("records")]


def read_split(
    data_dir: Path, numbers: Sequence[int], split: str, problems: Problems | None = None
) -> list[ListLine]:
    """Read the lists of a split and hold them against ``sources.csv``.

    Args:
        data_dir: the corpus.
        numbers: of sources of a mixture; each has a list.
        split: its name.
        problems: takes lines that are wrong; None raises the first.

    Returns:
        the lines that are good: their recordings have rows, of different speakers.
    """
    problems = problems or Problems()
    lines = [
        line
        for n_src in numbers
        for line in read_list(list_path(data_dir, n_src, split), n_src, problems)
    ]
    speakers = {utterance.path: utterance.speaker for utterance in read_sources(data_dir)}
    good = []
    for line in lines:
        names = [speakers.get(path) for path in line.paths]
        if None in names:
            path = line.paths[names.index(None)]
            problems.add(f"{line.where}: {path} has no row in {data_dir / 'sources.csv'}")
        elif check_speakers(line, [name or "" for name in names], problems):
            good.append(line)
    return good


def check_speakers(line: ListLine, speakers: list[str], problems: Problems) -> bool:
    """Whether the speakers of a mixture differ, as far as known; if not, that is a problem."""
    twice = next((name for name in speakers if name and speakers.count(name) > 1), None)
    if twice:
        problems.add(
            f"{line.where}: speaker {twice} is mixed with itself in {' and '.join(line.paths)}"
        )
    return not twice


def read_list(path: Path, n_src: int, problems: Problems | None = None) -> list[ListLine]:
    """Read and check a mixing list.

    Args:
        path: the list.
        n_src: sources of a mixture.
        problems: takes lines that are wrong; None raises the first.

    Returns:
        the lines that are good.

    Raises:
        RecipeError: missing, not text, or no mixture in it.
    """
    problems = problems or Problems()
    texts = read_text(path, "stage 0 makes it").splitlines()
    lines: list[ListLine] = []
    seen: dict[str, int] = {}
    for number, text in enumerate(texts, 1):
        try:
            line = parse_line(text, f"{path}:{number}")
            if len(line.paths) != n_src:
                raise RecipeError(f"{line.where}: {len(line.paths)} sources, but n_src is {n_src}")
            if seen.setdefault(line.mixture_id, number) != number:
                raise RecipeError(
                    f"{line.where}: mixture {line.mixture_id} is in line"
                    f" {seen[line.mixture_id]} already"
                )
        except RecipeError as error:
            problems.add(str(error))
        else:
            lines.append(line)
    if not texts:
        raise RecipeError(f"{path}: no mixture in it")
    return lines


def parse_line(text: str, where: str) -> ListLine:
    """Parse one line of a list.

    Args:
        text: of the line.
        where: file and line, for errors.

    Raises:
        RecipeError: it is not ``path gain path gain ...``.
    """
    words = text.split()
    if len(words) < 2 or len(words) % 2:
        raise RecipeError(f"{where}: {len(words)} columns; needed are 'path gain path gain ...'")
    try:
        gains = tuple(map(float, words[1::2]))
    except ValueError as error:
        raise RecipeError(f"{where}: a gain is not a number: {' '.join(words[1::2])}") from error
    if not all(map(math.isfinite, gains)):
        raise RecipeError(f"{where}: a gain is not finite: {' '.join(words[1::2])}")
    if max(map(abs, gains)) > ABSURD_GAIN_DB:
        raise RecipeError(f"{where}: a gain is beyond 100 dB: {' '.join(words[1::2])}")
    paths = tuple(words[0::2])
    if len(set(paths)) != len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise RecipeError(f"{where}: {twice} is mixed with itself")
    for path in paths:
        if path.startswith("/") or ".." in path.split("/"):
            raise RecipeError(
                f"{where}: {path} leads out of the sources; lists name recordings by their paths"
                " below them, such as wsj0/si_tr_s/011/011a0101.wav"
            )
        for part in path.split("/"):
            check_name(part, where)
    line = ListLine(paths, gains, where)
    check_name(f"{line.mixture_id}.wav", where)
    return line
