"""Errors that a user can mend: one line on the terminal instead of a traceback."""

from __future__ import annotations

import difflib
import io
import re
import sys
from collections.abc import Callable, Iterable

LONGEST_WORD = 400  # letters; of a path or another word in a message, its ends are kept
LONGEST_LINE = 2000


class RecipeError(Exception):
    """Something a user can mend. The message is one line: file, row or key, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """Make a message fit for a terminal: one line, no control characters, nothing endless."""
    text = re.sub(r"\s*[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+\s*", " ", text).strip()
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda letter: f"\\x{ord(letter[0]):02x}", text)
    text = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: _shortened(word[0], LONGEST_WORD), text)
    return _shortened(text, LONGEST_LINE)


def _shortened(text: str, most: int) -> str:
    half = most // 2 - 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant by a mistyped one, as `` (did you mean 'x'?)`` or nothing."""
    close = difflib.get_close_matches(name[:LONGEST_WORD], list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def run_command(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; an error that a user can mend ends it with one line and status 1.

    These are :class:`RecipeError`, every error of the operating system (a full disk, a missing
    permission) and too little memory. Ctrl-C exits with 130. Anything else is a bug and keeps its
    traceback.
    """
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
