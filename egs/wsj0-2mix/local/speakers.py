"""The speakers of WSJ0 and their genders, from the tables that come with the discs."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from separation.files import require_file


def speaker_of(listed: str) -> str:
    """The speaker of a recording: the first three letters of its name."""
    return PurePosixPath(listed).stem[:3].lower()


def read_genders(tables: list[Path]) -> dict[str, str]:
    """Read ``spkrinfo.txt`` tables: lines of ``id gender ...``; those of ``;`` are comments.

    The table of the training speakers is not on the discs; LDC has it on its web page.

    Returns:
        F or M of each speaker.
    """
    genders = {}
    for table in tables:
        require_file(table)
        for line in table.read_text(encoding="latin-1").splitlines():
            words = line.split()
            if len(words) > 1 and len(words[0]) == 3 and words[1].upper() in ("F", "M"):
                genders[words[0].lower()] = words[1].upper()
    return genders
