"""Errors that a user can mend: one line on the terminal instead of a traceback."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable


class RecipeError(Exception):
    """Something a user can mend. The message is one line: file, row or key, and what to do."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant by a mistyped one, as `` (did you mean 'x'?)`` or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def run_command(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; a :class:`RecipeError` ends it with one line and exit status 1.

    A full disk or a missing permission is told in one line as well; Ctrl-C exits with 130.
    """
    try:
        main()
    except RecipeError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno is None:
            raise
        sys.exit(f"error: {error.filename or 'writing'}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(130)
