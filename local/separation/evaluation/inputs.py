"""Scores of the mixtures themselves, kept for all systems that are evaluated on them.

``input_<metric>`` depends on the mixture, on its references and on what computes it, not on the
system, and is half of the work of an evaluation. The first evaluation keeps these scores beside the
manifest (:func:`keep`), later ones read them (:func:`known`). They are found by :func:`key_of`, a
hash of everything that they depend on, so changed data or code never meets old scores.

The first line of the file is the SHA-256 of the second, which is JSON: for each key its scores by
metric. Scores that could not be computed are not kept, so that their reasons are found again. A
file that is damaged counts as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.metadata import distributions
from pathlib import Path

import numpy as np

from separation.errors import RecipeError
from separation.files import atomic_path

Scores = dict[str, float]  # of one mixture, by metric


@cache
def versions() -> str:
    """Hash of what computes scores: every package that is installed, and the code of this folder.

    All packages, so that none is forgotten that a metric stands on.
    """
    packages = sorted(f"{package.name}=={package.version}" for package in distributions())
    code = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256("\0".join(packages).encode() + b"\0".join(code)).hexdigest()[:16]


def key_of(mixture: np.ndarray, references: np.ndarray, sample_rate: int, backend: str) -> str:
    """Hash of all that the scores of a mixture itself depend on, besides the metric.

    Args:
        mixture: float64 of shape ``(time,)``.
        references: float64 of shape ``(source, time)``.
        sample_rate: in Hz.
        backend: ``evaluation.metrics_backend``.

    Returns:
        :func:`versions` and a hash of the arguments.
    """
    digest = hashlib.sha256(f"{backend} {sample_rate} {references.shape}\0".encode())
    for signal in (mixture, references):
        digest.update(np.ascontiguousarray(signal).data)
    return f"{versions()}-{digest.hexdigest()}"


def known(path: Path | None, key: str) -> Scores:
    """Scores of a mixture that were kept; none without a file, or of another key."""
    try:
        # A regular file: to read a pipe would be to wait for its writer.
        if path is None or not path.is_file():
            return {}
        state = os.stat(path)
        found = _read(path, state.st_ino, state.st_size, state.st_mtime_ns)
    except OSError:
        return {}
    return found.get(key, {})


def keep(path: Path | None, scores: Iterable[tuple[str, Scores]]) -> None:
    """Add scores of mixtures to a file, which appears whole; those of other versions are dropped.

    Of two evaluations that end at once the later one may drop what the other one has added, which
    the next one then computes again. So it does where the file cannot be written.

    Args:
        path: the file; None keeps nothing.
        scores: keys of mixtures, and their scores by metric.
    """
    if path is None:
        return
    before = _current(path)
    after = dict(before)
    for key, values in scores:
        if key.startswith(versions()) and values:  # a worker elsewhere may have other versions
            after[key] = after.get(key, {}) | values
    if after == before:
        return
    body = json.dumps(after)
    with contextlib.suppress(RecipeError), atomic_path(path) as temporary:
        temporary.write_text(f"{_checksum(body)}\n{body}", encoding="ascii")


def _current(path: Path) -> dict[str, Scores]:
    """What the file has of today's versions."""
    try:
        found = _parse(path) if path.is_file() else {}
    except OSError:
        return {}
    return {key: values for key, values in found.items() if key.startswith(versions())}


@lru_cache(maxsize=1)  # of the split under evaluation
def _read(path: Path, *state: int) -> dict[str, Scores]:
    """All of a file that is in this state: inode, size and time of change."""
    return _parse(path)


def _parse(path: Path) -> dict[str, Scores]:
    checksum, _, body = path.read_bytes().decode("ascii", "replace").partition("\n")
    return json.loads(body) if checksum == _checksum(body) else {}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
