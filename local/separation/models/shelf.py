"""Models that come with the project: ``pretrained/<name>/``, the shelf.

Entry points: :func:`find_system` for the folder that a name means, :func:`put_on_shelf` to add one.
A folder of the shelf has ``model.pth`` (weights in float16), ``conf.yaml``, ``README.md`` (the
card) and ``results.csv``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from separation.config import load_resolved, save_resolved
from separation.errors import RecipeError, nearest
from separation.files import check_name, first_there
from separation.models.registry import MODEL_FILES, RULE_FILE, load_model, save_model
from separation.options import location_keys
from separation.tables import TRAINING_LOGS
from separation.tree import SHELF

LARGEST_FILE = 8_000_000  # bytes of a model that is committed


def names() -> list[str]:
    """Names of the models on the shelf."""
    return sorted(path.parent.name for path in SHELF.glob("*/model.pth"))


def find_system(system: Path, option: str = "--exp_dir") -> Path:
    """Folder of a trained system.

    Args:
        system: an experiment folder, or the name of a model on the shelf, alone or after
            ``pretrained/``.
        option: where that was given, for the message.

    Raises:
        RecipeError: a name that is neither.
    """
    if first_there(system, (*MODEL_FILES, "conf.yaml")):
        return system
    name = system.name
    if system in (Path(name), Path(SHELF.name, name)):
        if name in names():
            return SHELF / name
        if not system.is_dir():
            raise RecipeError(
                f"{option} {system}: neither a folder nor a model of the shelf"
                f"{nearest(name, names())}; on the shelf: {' '.join(names()) or 'nothing'}"
            )
    return system


def describe_shelf() -> str:
    """A line for each model on the shelf: its name, and the title of its card."""
    lines = []
    for name in names():
        card = SHELF / name / "README.md"
        title = card.read_text(encoding="utf-8").splitlines()[0] if card.is_file() else ""
        lines.append(f"{name:<14} {title.lstrip('# ').removeprefix(f'{name}: ')}".rstrip())
    return "\n".join(lines) or "nothing is on the shelf"


def put_on_shelf(exp_dir: Path, name: str, shelf: Path = SHELF) -> Path:
    """Copy a trained system to the shelf: weights in float16, configuration and training log.

    Args:
        exp_dir: the experiment.
        name: of the folder.
        shelf: where that is made.

    Returns:
        the folder.

    Raises:
        RecipeError: no model there, or one that is too large to be committed.
    """
    model = load_model(exp_dir)
    folder = shelf / check_name(name, "name")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.pth"
    save_model(model.half(), path)
    if path.stat().st_size > LARGEST_FILE:
        size = path.stat().st_size / 1e6
        path.unlink()
        raise RecipeError(f"{exp_dir}: {size:.1f} MB in float16; the shelf takes 8 MB")
    conf = load_resolved(exp_dir)
    for key in location_keys(conf["corpus"]["name"]) | {"corpus.levels_file"}:
        conf["corpus"][key.removeprefix("corpus.")] = ""  # of the machine that it was trained on
    conf["training"]["init"] = ""
    save_resolved(conf, folder / "conf.yaml")
    log = first_there(exp_dir, TRAINING_LOGS)
    if log:
        shutil.copyfile(log, folder / TRAINING_LOGS[0])
    if (exp_dir / RULE_FILE).is_file():
        shutil.copyfile(exp_dir / RULE_FILE, folder / RULE_FILE)
    return folder
