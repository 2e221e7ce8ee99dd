"""Which files below ``data/`` the recipe made: those alone it replaces and removes.

Entry points: :func:`check_apart` before anything is written, and :class:`Made` for every folder
that a stage writes; :mod:`separation.corpus.starting` is how stages use them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from separation.errors import RecipeError
from separation.files import atomic_path, read_text

RECORD = ".made"  # in the folder whose files it names, one path a line
PARTIAL = re.compile(r"\.partial-[a-z0-9_]+(\.[^.]*)?")  # left by a process that was killed


def check_apart(given: Path, written: Path) -> None:
    """Refuse a folder or file of the user that is, holds or lies in a folder that a stage writes.

    Links are followed, in both paths.

    Args:
        given: what the user named, such as the recordings.
        written: the stage's own folder, there already or not.

    Raises:
        RecipeError: they overlap.
    """
    ours, theirs = written.resolve(), given.resolve()
    if _same(ours, theirs):
        how = "is where"
    elif any(_same(ours, folder) for folder in theirs.parents):
        how = "lies in"
    elif any(_same(theirs, folder) for folder in ours.parents):
        how = "holds"
    else:
        return
    what = "this stage writes" if how == "is where" else f"{written}, which this stage writes"
    raise RecipeError(
        f"{given} {how} {what}, and nothing of yours may be replaced there: move one of them, or"
        " name another folder"
    )


def _same(one: Path, other: Path) -> bool:
    """Whether two resolved paths are one folder, under whatever names."""
    return one == other or (one.exists() and other.exists() and one.samefile(other))


class Made:
    """The files that the recipe made in a folder, by their paths below it.

    Their names are kept in the folder, in ``.made``. They are written there before the files are
    made, so that a killed stage leaves nothing that the next one does not know. What has no entry
    belongs to somebody else: it is neither replaced nor removed. Links below the folder are never
    followed.

    Args:
        folder: the folder; it need not exist yet.
        earlier: what versions of the recipe that kept no record left there. It counts where there
            is no record.

    Attributes:
        names: paths below the folder, with ``/``.
    """

    def __init__(self, folder: Path, earlier: Iterable[str] = ()) -> None:
        self.folder, self.record = folder, folder / RECORD
        self.names = {name for name in earlier if os.path.lexists(folder / name)}
        self._read()

    @staticmethod
    def known(folder: Path) -> bool:
        """Whether there is a record of a folder."""
        return os.path.lexists(folder / RECORD)

    def claim(self, names: Iterable[str]) -> None:
        """Enter files that are about to be made.

        Raises:
            RecipeError: one of them is there and is not the recipe's, or a link or file is where a
            folder has to be.
        """
        self._read()
        new = set(names) - self.names
        for parent in {_parent(name) for name in new}:
            problem = self._way_to(parent)
            if problem:
                raise in_the_way(problem)
        for name in sorted(new):
            if os.path.lexists(self.folder / name):
                raise in_the_way(self.folder / name)
        self._write(self.names | new)
        self._sweep(self.names)

    def unlink(self, names: Iterable[str]) -> None:
        """Remove files that the recipe made and folders that this empties; keep the entries."""
        mine = self.names.intersection(names)
        self._sweep(mine)
        blocked = {parent for parent in map(_parent, mine) if self._way_to(parent)}
        for path in (self.folder / name for name in mine if _parent(name) not in blocked):
            if os.path.lexists(path) and not _is_folder(path):  # one that the user put in its place
                path.unlink()
        for folder in sorted({up for name in mine for up in _parents(name)}, reverse=True):
            path = self.folder / folder
            if not self._way_to(folder) and path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that the recipe made, as :meth:`unlink`, and their entries.

        With the last entry the record goes, and the folder, if it is empty then.
        """
        self._read()
        gone = self.names.intersection(names)
        self.unlink(gone)
        if self.names - gone:
            self._write(self.names - gone)
        elif gone:
            self.names = set()
            self.record.unlink()
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def below(self, place: str) -> set[str]:
        """Entries below a folder, such as ``sources``."""
        return {name for name in self.names if name.startswith(f"{place}/")}

    def note_others(self, place: str) -> None:
        """Say which files below a folder are not the recipe's and were left."""
        others = [
            path
            for top, _, files in os.walk(self.folder / place)
            for path in (Path(top, name) for name in files if not name.startswith("."))
            if path.relative_to(self.folder).as_posix() not in self.names
        ]
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            print(
                f"note: {min(others)}{more}: not made by this recipe, so left and not used;"
                " move it away if it is not wanted",
                file=sys.stderr,
            )

    def _read(self) -> None:
        if self.known(self.folder):
            self.names = set(read_text(self.record).split("\n")) - {""}

    def _write(self, names: set[str]) -> None:
        self.names = names
        with atomic_path(self.record) as temporary:
            temporary.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")

    def _way_to(self, parent: str) -> Path | None:
        """The first link or file on the way to a folder, or None; that of ``..`` is no way."""
        path = self.folder
        for part in PurePosixPath(parent).parts:
            path /= part
            if part in ("..", "/") or path.is_symlink() or (path.exists() and not path.is_dir()):
                return path
        return None

    def _sweep(self, names: set[str]) -> None:
        """Remove what writers of these files left when they were killed."""
        for parent in {".", *map(_parent, names)}:
            folder = self.folder / parent
            if self._way_to(parent) or not folder.is_dir():
                continue
            for entry in list(os.scandir(folder)):
                name = f"{parent}/{entry.name}".removeprefix("./")
                if PARTIAL.fullmatch(entry.name) and name not in self.names:
                    Path(entry.path).unlink(missing_ok=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _parent(name: str) -> str:
    return PurePosixPath(name).parent.as_posix()


def _parents(name: str) -> list[str]:
    return [folder.as_posix() for folder in PurePosixPath(name).parents][:-1]


def in_the_way(path: Path) -> RecipeError:
    """The error for a file of the user where one of the recipe has to be."""
    return RecipeError(
        f"{path}: in the way, and not made by this recipe: move it elsewhere, or remove it if you"
        " do not need it"
    )
