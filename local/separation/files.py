"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from separation.errors import RecipeError

PARTIAL = ".partial-"  # begins the name of a file that is being written


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
    except RuntimeError as error:  # of libsndfile and of Torch
        what = str(error).splitlines()[0]
        raise RecipeError(f"{path}: cannot be written (disk full?): {what}") from error


def visible(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder that fit a pattern, sorted; hidden ones, such as half-written ones, not."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    handle, temporary = _claim(path)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _claim(path: Path) -> tuple[int, Path]:
    """Make a temporary file beside ``path``, locked as long as the returned handle is open."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=PARTIAL, suffix=path.suffix)
        if _lock(handle) and Path(name).exists():  # else another process has swept it
            return handle, Path(name)
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove temporary files that nobody has locked: of processes that were killed."""
    for left in folder.glob(f"{PARTIAL}*"):
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDWR | os.O_NOFOLLOW)
            if _lock(handle):
                left.unlink()
            os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
