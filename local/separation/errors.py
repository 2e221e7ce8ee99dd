"""Errors that a user can mend: one line on the terminal instead of a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RecipeError(Exception):
    """Something a user can mend. The message is one line: file, row or key, and what to do."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant by a mistyped one, as `` (did you mean 'x'?)`` or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""
