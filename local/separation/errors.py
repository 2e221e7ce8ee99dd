"""Errors: what a user can mend, one line on the terminal, and metrics that have no value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

LONGEST_WORD = 400  # letters; of a path or another word in a message, its ends are kept
LONGEST_LINE = 2000


class RecipeError(Exception):
    """Something a user can mend. The message is one line: file, row or key, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class MetricError(Exception):
    """A metric that has no value for these signals; the message says why."""


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
