"""Files that are either whole or not there, and what a file may be called.

Entry points: :func:`atomic_path` to write a file, :func:`require_file` before one is read,
:func:`check_name` before a name that was read becomes part of a path.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from separation.errors import RecipeError

LONGEST_NAME = 255  # bytes, of a file or folder on common file systems
PARTIAL = ".partial-"  # begins the name of a file that is being written
# Those of tempfile.mkstemp; writers of their own kind, such as wav16, use others.
PARTIAL_NAME = re.compile(re.escape(PARTIAL) + r"[a-z0-9_]{8}(\.[^.]*)?")
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_file(path: str | Path, advice: str = "") -> None:
    """See that a path leads to a regular file; reading a pipe would wait for its writer.

    Args:
        path: of the file.
        advice: what to do if there is none, such as ``stage 2 makes it``.

    Raises:
        RecipeError: says what is there instead.
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
        problem = f"{KINDS.get(kind, 'something else')}, not a file"
        if kind == stat.S_IFREG:
            return
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: NUL in the path
        problem = "a link to nothing" if Path(path).is_symlink() else "no such file"
    except OSError as error:  # a loop of links, a name that is too long, no permission
        problem = str(error.strerror).lower()
    raise RecipeError(f"{path}: {problem}{advice and f'; {advice}'}")


def read_text(path: str | Path, advice: str = "") -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Args:
        path: of the file.
        advice: what to do if there is none.

    Raises:
        RecipeError: not there, not a file, in another encoding, or not text.
    """
    require_file(path, advice)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not a text file in UTF-8; convert it") from error
    if "\0" in text:
        raise RecipeError(f"{path}: not a text file in UTF-8 (it has NUL bytes); convert it")
    return text


def first_there(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of several files that is in a folder, or None."""
    return next((folder / name for name in names if os.path.lexists(folder / name)), None)


def visible(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder that fit a pattern, sorted; hidden ones, such as half-written ones, not."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def name_problem(name: str) -> str:
    """Say why a text that was read must not become part of a path; empty if it may.

    A name is one file or folder inside the folder where it is written, and nothing else.
    """
    if not name:
        return "is empty"
    if name in (".", "..") or "/" in name or "\\" in name:
        return "leads to another folder"
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name):
        return "has control characters"
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return "is not in UTF-8"
    return f"is longer than {LONGEST_NAME} bytes" if len(name.encode()) > LONGEST_NAME else ""


def check_name(name: str, where: str) -> str:
    """See that a text may name a file or a folder inside the folder where it is written.

    Args:
        name: as it was read.
        where: file and row or line that it was read from, for the message.

    Returns:
        the name as it is.

    Raises:
        RecipeError: it may not.
    """
    if problem := name_problem(name):
        shown = name if len(name) <= 80 else f"{name[:40]}...{name[-37:]}"
        raise RecipeError(f"{where}: {shown!r} {problem}, so it cannot name a file; rename it")
    return name


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; it becomes ``path`` when the block ends well.

    The temporary name keeps the suffix, so that writers that look at it still work. When the block
    raises (a full disk, Ctrl-C), the temporary file is removed and ``path`` stays as it was. A
    temporary file that a killed process left in the folder is removed by the next one that writes
    there.

    Raises:
        RecipeError: it cannot be written; names the file and says why.
    """
    path = Path(path)
    with writing(path):
        yield from _replacing(path)


@contextlib.contextmanager
def exclusive(folder: Path, doing: str) -> Iterator[None]:
    """Keep other processes from doing the same in a folder while the block runs.

    Where one is at it, perhaps left by a run that was killed, this waits for it, and says so.
    """
    with open(folder / f".{doing}.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: another process is {doing} there; waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong in a block that writes ``path`` into a line that names it.

    Raises:
        RecipeError: the block could not write.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not of the file system: those of requests are OSErrors too
            raise
        # What these say of the folder would be read as said of the file.
        in_the_way = isinstance(error, (FileExistsError, NotADirectoryError))
        why = "a file is where its folder should be" if in_the_way else error.strerror
        raise RecipeError(f"{path}: cannot be written: {why}") from error
    except UnicodeEncodeError as error:  # of a file name that is not UTF-8
        raise RecipeError(f"{path}: cannot be written: {error.object!r} is not UTF-8") from error
    except RuntimeError as error:  # of libsndfile and of Torch
        what = str(error).splitlines()[0]
        raise RecipeError(f"{path}: cannot be written (disk full?): {what}") from error


def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    handle, name = _locked_file(path)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _locked_file(path: Path) -> tuple[int, str]:
    """Make a temporary file beside ``path`` and hold a lock on it, as long as it is open."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=PARTIAL, suffix=path.suffix)
        with contextlib.suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(handle, fcntl.LOCK_SH)
        if os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)  # swept before it was locked


@cache  # once a process and folder: some folders have 100,000 files
def sweep(folder: Path) -> None:
    """Remove the temporary files of :func:`atomic_path` that no process holds any more."""
    for entry in os.scandir(folder):
        if not PARTIAL_NAME.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
            continue
        with contextlib.suppress(OSError), open(entry.path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(entry.path)
