"""The checkpoint that a stopped training resumes from, and whether it can."""

from __future__ import annotations

import os
from pathlib import Path

from separation.config import Conf, load_resolved
from separation.errors import RecipeError
from separation.files import require_file

REMEDY = (
    "remove it: --resume takes an older checkpoint if there is one, else train without --resume"
)


def newest_checkpoint(exp_dir: Path) -> Path:
    """The checkpoint that training resumes from.

    Raises:
        RecipeError: there is none, or something else has its name.
    """
    paths = [exp_dir / "checkpoints" / f"{name}.ckpt" for name in ("last", "midway")]
    found = [path for path in paths if os.path.lexists(path)]
    if not found:
        raise RecipeError(f"{exp_dir}/checkpoints: nothing to --resume from; train without it")
    for path in found:
        require_file(path, REMEDY)
    return max(found, key=lambda path: path.stat().st_mtime)


def check_resume(conf: Conf, exp_dir: Path) -> None:
    """See that a configuration can resume an experiment's training, before any file is touched.

    Minutes, epochs, learning rates and data may change, the network may not.

    Raises:
        RecipeError: another network, or no checkpoint that is whole.
    """
    checkpoint = newest_checkpoint(exp_dir)
    before = load_resolved(exp_dir)
    now = {"model": conf["model"], **{f"net_conf.{k}": v for k, v in conf["net_conf"].items()}}
    was = {"model": before["model"], **{f"net_conf.{k}": v for k, v in before["net_conf"].items()}}
    now["corpus.sample_rate"] = conf["corpus"]["sample_rate"]
    was["corpus.sample_rate"] = before["corpus"]["sample_rate"]
    for key, value in was.items():
        if now.get(key, value) != value:
            raise RecipeError(
                f"{exp_dir}: was trained with {key}={value}, not {now[key]}; --resume keeps"
                " the network, another --tag (with --conf) is a new one"
            )
    check_checkpoint(checkpoint, conf)


def check_checkpoint(path: Path, conf: Conf) -> None:
    """See that a checkpoint is whole and has weights for a configuration's network.

    Raises:
        RecipeError: a damaged or foreign file, or the checkpoint of another network.
    """
    # Torch and Lightning take seconds; what the settings alone tell is told before.
    from separation.models.registry import build_model
    from separation.training.checkpoints import read_checkpoint

    read_checkpoint(path, build_model(conf))
