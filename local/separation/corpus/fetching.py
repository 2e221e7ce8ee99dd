"""What downloads of archives have in common: a progress bar and checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path

import requests
from tqdm import tqdm

BLOCK = 1 << 20


def receive(answer: requests.Response, path: Path, name: str, have: int = 0) -> None:
    """Write the content of an answer to a file.

    Args:
        answer: to a request with ``stream=True``.
        path: the file; it is continued where ``have`` is not 0.
        name: shown with the bar.
        have: bytes that are there already.
    """
    length = answer.headers.get("Content-Length", "")
    total = have + int(length) if length.isdecimal() else None
    with (
        open(path, "ab" if have else "wb") as file,
        tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name) as bar,
    ):
        for block in answer.iter_content(BLOCK):
            file.write(block)
            bar.update(len(block))


def checksum(path: Path, kind: str) -> str:
    """Checksum of a file in hexadecimal; ``kind`` is one of :mod:`hashlib`, such as md5."""
    with open(path, "rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()
