"""Where a training that was stopped goes on from, and whether it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from separation.config import Conf, load_resolved
from separation.errors import RecipeError
from separation.models.registry import load_plain


def newest_checkpoint(exp_dir: Path) -> Path:
    """The checkpoint that training goes on from.

    Raises:
        RecipeError: there is none.
    """
    found = [
        path
        for name in ("last", "midway")
        if (path := exp_dir / "checkpoints" / f"{name}.ckpt").is_file()
    ]
    if not found:
        raise RecipeError(f"{exp_dir}/checkpoints: nothing to --resume from; train without it")
    return max(found, key=lambda path: path.stat().st_mtime)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a training; nothing in the file is run.

    Raises:
        RecipeError: it is not one.
    """
    advice = "remove it, or train again with --stage 3"
    try:
        checkpoint = load_plain(path, "a checkpoint")
    except RecipeError as error:
        raise RecipeError(f"{error}; {advice}") from error
    wanted = {"state_dict", "loops", "callbacks", "optimizer_states", "epoch", "global_step"}
    if not isinstance(checkpoint, dict) or not wanted <= checkpoint.keys():
        raise RecipeError(f"{path}: not a checkpoint of a training; {advice}")
    return checkpoint


def check_resume(conf: Conf, exp_dir: Path) -> None:
    """Raise a :class:`RecipeError` if a configuration cannot go on with an experiment's training.

    Minutes, epochs, learning rates and data may change, the network may not.
    """
    read_checkpoint(newest_checkpoint(exp_dir))
    before = load_resolved(exp_dir)
    now = {"model": conf["model"], **{f"net_conf.{k}": v for k, v in conf["net_conf"].items()}}
    was = {"model": before["model"], **{f"net_conf.{k}": v for k, v in before["net_conf"].items()}}
    now["corpus.sample_rate"] = conf["corpus"]["sample_rate"]
    was["corpus.sample_rate"] = before["corpus"]["sample_rate"]
    for key, value in was.items():
        if now.get(key, value) != value:
            raise RecipeError(
                f"{exp_dir}: was trained with {key}={value}, not {now[key]}; --resume goes on with"
                " the same network, another --tag (with --conf) is a new one"
            )
