"""The recipe's own files: where they are, and which corpora and systems there are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def corpora() -> list[str]:
    """Names of the folders of ``egs/``."""
    return sorted(path.parent.name for path in (ROOT / "egs").glob("*/conf.yaml"))


def tags() -> list[str]:
    """Names of the systems of ``conf/``."""
    return sorted(path.stem for path in (ROOT / "conf").glob("*.yaml") if path.stem != "base")
