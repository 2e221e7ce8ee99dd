"""Files that are either whole or not there."""

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

LONGEST_NAME = 250  # bytes; file systems take 255, and a file's name has a suffix
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


def check_file(path: Path, remedy: str = "") -> None:
    """See that there is a file that can be read from its beginning to its end.

    Raises:
        RecipeError: says what is there in its place; ``remedy`` is what to do if nothing is.
    """
    hint = f"; {remedy}" if remedy else ""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "a link to nowhere" if path.is_symlink() else "no such file"
        raise RecipeError(f"{path}: {what}{hint}") from error
    except (OSError, ValueError) as error:  # a loop of links, a name too long, a NUL in it
        raise RecipeError(f"{path}: {getattr(error, 'strerror', None) or error}{hint}") from error
    if stat.S_ISDIR(mode):
        raise RecipeError(f"{path}: a folder, but a file is needed{hint}")
    if not stat.S_ISREG(mode):
        raise RecipeError(f"{path}: a pipe or device, but a file is needed{hint}")


def read_text(path: Path, remedy: str = "") -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        RecipeError: missing (``remedy`` says what to do), not a file, not text in UTF-8.
    """
    check_file(path, remedy)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not a text file in UTF-8") from error
    if "\0" in text:
        raise RecipeError(f"{path}: not a text file: it has NUL characters")
    return text


def check_name(text: str, where: str) -> str:
    """See that a name from a file may name a file or a folder; returns it.

    Args:
        text: the name.
        where: file, line and column, for the message.

    Raises:
        RecipeError: it is empty, leads elsewhere, or no file system takes it.
    """
    wrong = ""
    if text in ("", ".", "..") or "/" in text or "\\" in text:
        wrong = "leads to another folder" if text else "is empty"
    elif not text.isprintable():
        wrong = "has control characters"
    elif len(text.encode(errors="surrogatepass")) > LONGEST_NAME:
        wrong = f"is longer than {LONGEST_NAME} bytes"
    if wrong:
        raise RecipeError(f"{where}: {text[:80]!r} {wrong}, so it cannot name a file")
    return text


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
        if _lock(handle) is not False and Path(name).exists():  # not swept meanwhile
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


def _lock(handle: int) -> bool | None:
    """Lock a file; false where another process has it, None where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
