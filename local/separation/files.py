"""Files that are either whole or not there, and what a file may be called.

Entry points: :func:`atomic_path` to write a file, :func:`require_file` before one is read,
:func:`check_name` before a name that was read becomes part of a path.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from separation.errors import RecipeError

LONGEST_NAME = 255  # bytes, of a file or folder on common file systems
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


def check_name(text: str, where: str) -> str:
    """See that a text may name a file or a folder inside the folder where it is written.

    Args:
        text: the name, as it was read.
        where: file and row or line that it was read from, for the message.

    Returns:
        the name as it is.

    Raises:
        RecipeError: empty, ``.`` or ``..``, longer than 255 bytes, not UTF-8, or with a separator
        or a control character.
    """
    problem = ""
    if not text:
        problem = "is empty"
    elif text in (".", "..") or "/" in text or "\\" in text:
        problem = "leads to another folder"
    elif any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text):
        problem = "has control characters"
    elif any("\ud800" <= letter <= "\udfff" for letter in text):
        problem = "is not in UTF-8"
    elif len(text.encode()) > LONGEST_NAME:
        problem = f"is longer than {LONGEST_NAME} bytes"
    if problem:
        shown = text if len(text) <= 80 else f"{text[:40]}...{text[-37:]}"
        raise RecipeError(f"{where}: {shown!r} {problem}, so it cannot name a file; rename it")
    return text


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; it becomes ``path`` when the block ends well.

    The temporary name keeps the suffix, so that writers that look at it still work. When the block
    raises (a full disk, Ctrl-C), the temporary file is removed and ``path`` stays as it was.

    Raises:
        RecipeError: it cannot be written; names the file and says why.
    """
    path = Path(path)
    with writing(path):
        yield from _replacing(path)


@contextlib.contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
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
    """Turn what goes wrong in a block that writes ``path`` into a line that names it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not of the file system: those of requests are OSErrors too
            raise
        raise RecipeError(f"{path}: cannot be written: {error.strerror}") from error
    except UnicodeEncodeError as error:  # of a file name that is not UTF-8
        raise RecipeError(f"{path}: cannot be written: {error.object!r} is not UTF-8") from error
    except RuntimeError as error:  # of libsndfile and of Torch
        what = str(error).splitlines()[0]
        raise RecipeError(f"{path}: cannot be written (disk full?): {what}") from error


def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
