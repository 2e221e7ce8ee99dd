"""The readers of LibriSpeech, from the table that comes with its archives."""

from __future__ import annotations

from pathlib import Path

from separation.files import read_text

TABLE = "SPEAKERS.TXT"  # beside the parts: train-clean-5, dev-clean-2, ...


def read_readers(path: Path) -> dict[str, str]:
    """Read ``SPEAKERS.TXT``: lines of ``id | sex | part | minutes | name``.

    Returns:
        F or M of each reader.

    Raises:
        RecipeError: the file is missing, or no text.
    """
    text = read_text(path, "it comes with LibriSpeech's archives")
    rows = [line.split("|") for line in text.splitlines() if not line.startswith(";")]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 2}
