"""The recipe's own files: where they are, and which corpora and systems there are.

Models that come with the project stand on the shelf, ``pretrained/<name>/``
(:mod:`separation.models.shelf`). What programs make of one lies in ``exp/pretrained_<name>/``.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELF = ROOT / "pretrained"


def corpora() -> list[str]:
    """Names of the folders of ``egs/``."""
    return sorted(path.parent.name for path in (ROOT / "egs").glob("*/conf.yaml"))


def tags() -> list[str]:
    """Names of the systems of ``conf/``."""
    return sorted(path.stem for path in (ROOT / "conf").glob("*.yaml") if path.stem != "base")


def output_dir(exp_dir: Path) -> Path:
    """Where programs put what they make of a system: its folder, or one of ``exp/`` for a model.

    Args:
        exp_dir: an experiment, or a model's folder on the shelf.
    """
    shelved = exp_dir.resolve().parent == SHELF.resolve()
    return ROOT / "exp" / f"{SHELF.name}_{exp_dir.name}" if shelved else exp_dir


def system_of(folder: Path) -> Path:
    """Folder of the system that programs made a folder of: what :func:`output_dir` was given.

    Args:
        folder: in ``exp/``; the shelf is beside that.
    """
    name = folder.name.removeprefix(f"{SHELF.name}_")
    model = folder.absolute().parent.with_name(SHELF.name) / name
    return model if name != folder.name and model.is_dir() else folder


def shelf_tag(name: str) -> str:
    """Tag of a model on the shelf, as ``--exp_dir`` takes it; an experiment may have its name."""
    return f"{SHELF.name}/{name}"
