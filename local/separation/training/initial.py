"""Training that starts from the weights of another model: ``training.init``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from asteroid.models import BaseModel

from separation.config import Conf
from separation.errors import RecipeError
from separation.models.registry import load_model
from separation.models.shelf import find_system
from separation.models.weights import check_state


def load_initial(model: BaseModel, conf: Conf) -> None:
    """Give a network the weights that ``training.init`` names, if it names any.

    Raises:
        RecipeError: no such model, another sample rate, or another network.
    """
    init = conf["training"]["init"]
    if not init:
        return
    folder = find_system(Path(init), "training.init")
    trained = load_model(folder)
    rate, wanted = trained.sample_rate, conf["corpus"]["sample_rate"]
    if rate != wanted:
        raise RecipeError(
            f"training.init {init}: a model for {rate:g} Hz, but corpus.sample_rate is {wanted};"
            f" set corpus.sample_rate={rate:g}, or start from random weights"
        )
    advice = f"training.init needs the net_conf of {folder / 'conf.yaml'}"
    state = _renamed(trained.state_dict(), model.state_dict())
    check_state(state, model.state_dict(), folder, advice)
    model.load_state_dict(state)


def _renamed(state: dict[str, torch.Tensor], like: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Weights under the names of another network's.

    Asteroid has one name more around the depthwise convolutions of causal networks, so that those
    may start from networks that are not causal, and the other way round.
    """
    plain, causal = "shared_block.3.", "shared_block.3.0."
    wanted = plain if any(name.endswith(f"{plain}weight") for name in like) else causal
    return {
        name.replace(causal, plain).replace(plain, wanted): value for name, value in state.items()
    }
