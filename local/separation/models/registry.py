"""The models that a YAML can name, and their files.

Entry points: :func:`build_model` from a configuration, :func:`save_model`, :func:`load_model`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from asteroid.models import BaseModel, ConvTasNet

from separation.config import Conf
from separation.errors import RecipeError, nearest
from separation.files import atomic_path
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
    """Load the best model of an experiment, ready to separate (evaluation mode, on the CPU)."""
    path = exp_dir / "best_model.pth"
    if not path.is_file():
        raise RecipeError(f"{path}: not there; train first (stage 3) or give another --exp_dir")
    try:
        model = BaseModel.from_pretrained(str(path))
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise RecipeError(f"{path}: not a model file: {str(error).splitlines()[0]}") from error
    if type(model) is ConvTasNet:
        model.__class__ = WholeConvTasNet
    return speed_up(model).eval()
