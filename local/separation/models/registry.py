"""The models that a YAML can name, and their files.

Entry points: :func:`build_model` from a configuration, :func:`save_model`, :func:`load_model`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from asteroid import models as asteroid_models
from asteroid.models import BaseModel

from separation.config import Conf
from separation.errors import RecipeError
from separation.files import atomic_path, first_there
from separation.models.architecture import architecture, import_all
from separation.models.fast import speed_up
from separation.models.weights import Undrawn, check_state, read_weights, summary
from separation.models.whole import make_whole

PACKAGE = {"model_name": str, "model_args": dict, "state_dict": dict}  # of a model file
MODEL_FILES = ("best_model.pth", "model.pth")  # of an experiment, of the shelf
RULE_FILE = "stop_rule.yaml"  # beside the model of one_and_rest: when no speaker is left
MAX_SAMPLE_RATE = 1_000_000  # Hz
RETRAIN = "train first (stage 3) or give another --exp_dir"


def build_model(conf: Conf) -> BaseModel:
    """Build the network that a configuration names, with fresh weights.

    The network takes mixtures ``(batch, time)`` and returns estimates ``(batch, source, time)``.
    """
    model = architecture(conf).build(conf["corpus"]["sample_rate"])
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
    """Load the model of an experiment or of the shelf, ready to separate, on the CPU.

    Raises:
        RecipeError: no such file, or one that no network can be made from.
    """
    path = first_there(exp_dir, MODEL_FILES) or exp_dir / MODEL_FILES[0]
    package = read_weights(path, PACKAGE, RETRAIN)
    # codec_: of files of earlier versions
    arguments = {k.replace("codec_", "deep_"): v for k, v in package["model_args"].items()}
    state = package["state_dict"]
    rate: Any = arguments.get("sample_rate")
    if type(rate) not in (int, float) or not 1 <= rate <= MAX_SAMPLE_RATE:
        raise RecipeError(f"{path}: its sample rate is {rate!r}, not a number of Hz; {RETRAIN}")
    try:
        import_all()  # networks of this project's own register with Asteroid
        network = asteroid_models.get(package["model_name"])
        if not (isinstance(network, type) and issubclass(network, BaseModel)):
            raise ValueError(f"'{package['model_name']}' is not a network")
        with torch.device("meta"), Undrawn(), warnings.catch_warnings(action="ignore"):
            wanted = network(**arguments).state_dict()  # without memory: the sizes may be absurd
        check_state(state, wanted, path, RETRAIN)
        model = network(**arguments)
        model.load_state_dict(state)
        model = speed_up(make_whole(model)).eval()
        with torch.inference_mode():
            model(torch.zeros(1, 1000))  # some arguments are found to be wrong only here
    except (RecipeError, MemoryError):
        raise
    except Exception as error:  # wrong arguments can make a network's constructor raise anything
        raise RecipeError(
            f"{path}: no network can be made of its 'model_name' and 'model_args'"
            f" ({summary(error)}); {RETRAIN}"
        ) from error
    return model
