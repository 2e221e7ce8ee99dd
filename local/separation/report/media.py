"""Sounds and pictures of a page: inside it while they are few, else in a folder beside it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from pathlib import Path
from urllib.parse import quote

from separation.files import atomic_path

MOST_INLINE = 5_000_000  # bytes of all of them together
KINDS = {".flac": "audio/flac", ".png": "image/png"}
NAME = re.compile(r"[0-9a-f]{20}\.[a-z]+")


class Media:
    """Files that a page plays or shows, each once however often it is added.

    All are added before the first :meth:`source` is asked for; :meth:`write` comes before the page
    is written and :meth:`clean` after it, so that a page never lacks a file.
    """

    def __init__(self, page: Path) -> None:
        """For the page at a path; the folder is named after it, ``<name>_media``."""
        self.folder = page.with_name(f"{page.stem}_media")
        self._files: dict[str, bytes] = {}

    def add(self, data: bytes, suffix: str) -> str:
        """Keep a file; returns the key that :meth:`source` takes."""
        name = hashlib.sha256(data).hexdigest()[:20] + suffix
        self._files[name] = data
        return name

    @property
    def inline(self) -> bool:
        """Whether all stand inside the page."""
        return sum(map(len, self._files.values())) <= MOST_INLINE

    def source(self, name: str) -> str:
        """What an attribute ``src`` says: a data URI, or a path relative to the page."""
        if not self.inline:
            return quote(f"{self.folder.name}/{name}")
        text = base64.b64encode(self._files[name]).decode("ascii")
        return f"data:{KINDS[Path(name).suffix]};base64,{text}"

    def write(self) -> None:
        """Write the files that do not stand inside the page."""
        if self.inline:
            return
        for name, data in self._files.items():
            with atomic_path(self.folder / name) as temporary:
                temporary.write_bytes(data)

    def clean(self) -> None:
        """Remove the files of an earlier page, and the folder if it is empty then."""
        if not self.folder.is_dir():
            return
        wanted = set() if self.inline else set(self._files)
        for path in self.folder.iterdir():
            if NAME.fullmatch(path.name) and path.name not in wanted:
                path.unlink()
        with contextlib.suppress(OSError):  # not empty: in use, or files of someone else
            self.folder.rmdir()
