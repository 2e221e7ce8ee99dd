"""The life of a script's process: how it begins, fails, and ends with the run.sh that started it.

Scripts import :func:`run_command` from here before anything else. From then on Ctrl-C ends the
process at once and without a traceback, also while packages are still being imported, and a process
that run.sh started ends with it, however run.sh ended. The workers of :func:`parallel` end with the
process that they work for.
"""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from separation.errors import RecipeError, one_line

PARENT = "RECIPE_PARENT"  # environment: the process that a stage was started by and ends with
POLL_SECONDS = 0.5


def end_with(parent: int) -> None:
    """Have this process killed as soon as its parent is gone; at once if it is gone already.

    A kill is safe at any moment: files appear whole, and training resumes from a checkpoint.

    Args:
        parent: process id of the parent, as the parent itself gave it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="end with parent").start()


def parallel(nj: int, **options: Any) -> Any:
    """``joblib.Parallel`` with ``nj`` processes, 0 being one a core, that end with this process."""
    from joblib import Parallel  # not at the top: scripts import this module before packages

    return Parallel(n_jobs=nj or -1, initializer=end_with, initargs=(os.getpid(),), **options)


def command_line() -> str:
    """The command that the user gave; bytes of file names that are not UTF-8 have escapes."""
    command = os.environ.get("RECIPE_COMMAND") or shlex.join(["python", *sys.argv])
    return command.encode(errors="backslashreplace").decode()


def begin_script() -> None:
    """Let Ctrl-C end the process quietly, and watch the parent that the environment names.

    Training processes that this one starts find it named there in turn.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if parent := os.environ.get(PARENT):
        end_with(int(parent))
    os.environ[PARENT] = str(os.getpid())


def run_command(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; an error that a user can mend ends it with one line and status 1.

    These are :class:`RecipeError`, every error of the operating system (a full disk, a missing
    permission) and too little memory. Ctrl-C and SIGTERM exit with 130. Anything else is a bug and
    keeps its traceback.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # both unwind from here on, and clear up
        signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        # A file name that is not UTF-8 is printed with escapes.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
    except RecipeError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else "reading or writing failed: "
        sys.exit(f"error: {one_line(where + str(error.strerror))}")
    except MemoryError as error:
        sys.exit(f"error: {one_line(f'not enough memory: {error}'.removesuffix(': '))}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # Python would print at one while it ends
            signal.signal(number, signal.SIG_DFL)


# Tests and notebooks import the library, too, and keep their own ways.
if Path(getattr(sys.modules["__main__"], "__file__", None) or "").parent.name == "local":
    begin_script()
