"""What computes a network when recordings are separated: Torch, or OpenVINO on a CPU.

Entry point: :func:`run_on`. OpenVINO was the fastest of what was compared on CPUs
(``local/benchmark.py inference`` compares again), but has to convert a network first.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
import warnings
from collections.abc import Callable

import numpy as np
import torch
from asteroid.models import BaseModel
from torch import nn

from separation.errors import RecipeError
from separation.models.convtasnet import WholeConvTasNet
from separation.models.norms import SteadyCumLN

BACKENDS = ("auto", "torch", "openvino")
# Audio from which on OpenVINO's speed earns back its start on two cores, with conf/convtasnet.yaml.
PAYS_SECONDS = 1200.0


def run_on(backend: str, model: BaseModel, device: torch.device, seconds: float) -> BaseModel:
    """Have a network run where it runs best.

    Args:
        backend: one of :data:`BACKENDS`; ``auto`` takes OpenVINO where it can and where that pays.
        model: a trained network.
        device: where it is to run.
        seconds: of audio that will be separated.

    Returns:
        a network with the same estimates, up to rounding.

    Raises:
        RecipeError: OpenVINO is asked for, and cannot run this network here.
    """
    if backend == "torch" or (backend == "auto" and seconds < PAYS_SECONDS):
        return model
    obstacle = what_hinders_openvino(model, device)
    if obstacle is None:
        try:
            return on_openvino(model)
        except Exception as error:  # of whatever kind: Torch can do it
            obstacle = " ".join(f"it failed: {error}".split())
    if backend == "auto":
        return model
    raise RecipeError(f"--backend openvino: {obstacle}; take --backend torch")


def what_hinders_openvino(model: BaseModel, device: torch.device) -> str | None:
    """Say why a network cannot run on OpenVINO; None if it can."""
    if importlib.util.find_spec("openvino") is None:
        return "the package openvino is not installed"
    if device.type != "cpu":
        return f"it runs on the CPU, not on {device}"
    if not isinstance(model, WholeConvTasNet):
        return f"it is not known to run a {type(model).__name__}"
    if any(isinstance(module, SteadyCumLN) for module in model.modules()):
        return "its cumulative norms (net_conf.norm: cln) would drift, being sums in float32"
    return None


def on_openvino(model: WholeConvTasNet) -> WholeConvTasNet:
    """Have OpenVINO compute a copy of a network, in float32 and on as many threads as Torch."""
    model = copy.deepcopy(model).eval()
    run = converted(_OfWholeFrames(model), torch.zeros(1, 100 * model.encoder.stride))
    # An instance's own function stands before the one of its class.
    object.__setattr__(model, "separate_frames", lambda wav: torch.from_numpy(run(wav.numpy())))
    return model


def converted(module: nn.Module, example: torch.Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """Turn a module of one argument into a function that OpenVINO computes, for any shape."""
    # Imported, OpenVINO reports its use over the network, unless it does not find this package.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Torch thinks of being traced
        graph = openvino.convert_model(module, example_input=example)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    return lambda samples: compiled(samples)[0]


class _OfWholeFrames(nn.Module):
    """What a network does with mixtures that fill their frames."""

    def __init__(self, model: WholeConvTasNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        return self.model.separate_frames(wav)
