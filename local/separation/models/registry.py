"""The models that a YAML can name, and their files.

Entry points: :func:`build_model` from a configuration, :func:`save_model`, :func:`load_model`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from asteroid.models import BaseModel, ConvTasNet, get

from separation.config import Conf
from separation.errors import RecipeError, nearest
from separation.files import atomic_path, check_file
from separation.models.convtasnet import WholeConvTasNet
from separation.models.fast import speed_up
from separation.models.net_conf import build_convtasnet

MODELS: dict[str, Callable[[dict[str, Any], int], BaseModel]] = {"convtasnet": build_convtasnet}


def build_model(conf: Conf) -> BaseModel:
    """Build the network that a configuration names, with fresh weights.

    The network takes mixtures ``(batch, time)`` and returns estimates ``(batch, source, time)``.
    """
    name = conf["model"]
    if name not in MODELS:
        raise RecipeError(f"model is '{name}'{nearest(name, MODELS)}; known: {', '.join(MODELS)}")
    n_src, num_spks = conf["corpus"]["n_src"], conf["net_conf"]["num_spks"]
    if n_src != num_spks:
        raise RecipeError(f"net_conf.num_spks is {num_spks}, but corpus.n_src is {n_src}")
    model = MODELS[name](conf["net_conf"], conf["corpus"]["sample_rate"])
    return speed_up(model) if conf["training"]["fast"] else model


def save_model(model: BaseModel, path: Path) -> None:
    """Write a file that ``asteroid.models.BaseModel.from_pretrained`` loads."""
    package = model.serialize()
    # torch.load refuses objects that are not plain; versions come as TorchVersion.
    versions = package["infos"]["software_versions"]
    package["infos"]["software_versions"] = {key: str(value) for key, value in versions.items()}
    package["state_dict"] = {k: v.detach().cpu() for k, v in package["state_dict"].items()}
    with atomic_path(path) as temporary:
        torch.save(package, temporary)


def load_model(exp_dir: Path) -> BaseModel:
    """Load the best model of an experiment, ready to separate (evaluation mode, on the CPU).

    Raises:
        RecipeError: it is missing, damaged, or no model of a network known here.
    """
    path = exp_dir / "best_model.pth"
    check_file(path, "train first (stage 3), or give another --exp_dir")
    package = read_package(path)
    try:
        model = BaseModel.from_pretrained(package)
    except (AssertionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RecipeError(
            f"{path}: its weights do not fit {package['model_name']} with its arguments: {reason}"
        ) from error
    if type(model) is ConvTasNet:
        model.__class__ = WholeConvTasNet
    return speed_up(model).eval()


def read_package(path: Path) -> dict[str, Any]:
    """Read what :func:`save_model` wrote; nothing in the file is run.

    Raises:
        RecipeError: it is not that.
    """
    package = load_plain(path, "a model")
    wanted = {"model_name": str, "model_args": dict, "state_dict": dict}
    for key, kind in wanted.items():
        if not isinstance(package, dict) or not isinstance(package.get(key), kind):
            raise RecipeError(f"{path}: not a model: it has no {key}")
    try:
        get(package["model_name"])
    except ValueError as error:
        raise RecipeError(f"{path}: no network '{package['model_name']}' is known here") from error
    rate = package["model_args"].get("sample_rate")
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 1000 <= rate <= 192_000:
        raise RecipeError(f"{path}: its sample rate is {rate}, not 1000 to 192000 Hz")
    if not all(isinstance(value, torch.Tensor) for value in package["state_dict"].values()):
        raise RecipeError(f"{path}: its state_dict holds other things than tensors")
    return package


def load_plain(path: Path, what: str) -> Any:
    """Load a file of ``torch.save`` that holds tensors and plain values only, on the CPU.

    Raises:
        RecipeError: it is not ``what`` it should be, is damaged, or would have code run.
    """
    check_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Torch raises whatever its reader stumbles over
        reason = "it would have code run" if "GLOBAL" in str(error) else "damaged or cut short"
        raise RecipeError(f"{path}: not {what}: {reason}") from error
