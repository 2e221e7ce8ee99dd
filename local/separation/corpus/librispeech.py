"""The readers of LibriSpeech, from the table that comes with its archives."""

from __future__ import annotations

from pathlib import Path

from separation.errors import RecipeError

TABLE = "SPEAKERS.TXT"  # beside the parts: train-clean-5, dev-clean-2, ...


def read_readers(path: Path) -> dict[str, str]:
    """Read ``SPEAKERS.TXT``: lines of ``id | sex | part | minutes | name``.

    Returns:
        F or M of each reader.

    Raises:
        RecipeError: the file is missing.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: no such file; it comes with LibriSpeech's archives")
    rows = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines()]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 2 and row[0][0] != ";"}
