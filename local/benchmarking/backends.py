"""Other ways to compute a network than Torch's layers, for comparison.

Entry point: :func:`other_backends`. Their packages are not among the project's requirements: on the
CPUs they were tried on, this project's own layers were as fast or faster.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from separation.errors import RecipeError
from separation.models.fast import speed_up
from separation.models.fast.norms import SteadyCumLN

# What each needs to be installed.
BACKENDS: dict[str, tuple[str, ...]] = {
    "openvino": ("openvino",),
    "onnxruntime": ("onnx", "onnxruntime"),
    "compile": (),
}


def check_backends(names: list[str]) -> None:
    """Raise :class:`RecipeError` if what one of ``names`` needs is not installed."""
    for name in names:
        missing = [package for package in BACKENDS[name] if find_spec(package) is None]
        if missing:
            packages = " ".join(missing)
            raise RecipeError(f"--backends {name}: not installed; pip install {packages}")


def other_backends(
    names: list[str], model: nn.Module, mixtures: torch.Tensor
) -> dict[str, Callable[[], object]]:
    """Functions that separate the mixtures, by the name of the backend.

    Left out are those that would run on another device than the mixtures are on, and networks whose
    cumulative norms they would compute with sums in float32, which drift.

    Args:
        names: of :data:`BACKENDS`.
        model: of Torch's and Asteroid's own layers; they are exchanged for faster ones.
        mixtures: ``(batch, time)``; its length is the only one they work for.
    """
    runs: dict[str, Callable[[], object]] = {}
    model = speed_up(model).eval()
    drifts = any(isinstance(module, SteadyCumLN) for module in model.modules())
    exact = mixtures.device.type == "cpu" and not drifts
    if "openvino" in names and exact:
        runs["OpenVINO"] = on_openvino(model, mixtures)
    if "onnxruntime" in names and exact:
        runs["ONNX Runtime"] = on_onnx_runtime(model, mixtures)
    if "compile" in names:
        runs["torch.compile"] = on_inductor(model.to(mixtures.device), mixtures)
    return runs


def on_openvino(model: nn.Module, mixtures: torch.Tensor) -> Callable[[], object]:
    """Have OpenVINO compute a network, in float32 and on as many threads as Torch."""
    # Imported, OpenVINO reports its use over the network, unless it does not find this package.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Torch thinks of being traced
        graph = openvino.convert_model(model, example_input=mixtures)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    return lambda: compiled(mixtures.numpy())[0]


def on_onnx_runtime(model: nn.Module, mixtures: torch.Tensor) -> Callable[[], object]:
    """Have ONNX Runtime compute a network, on as many threads as Torch."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(model, (mixtures,), path, input_names=["wav"], dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"wav": mixtures.numpy()})[0]


def on_inductor(model: nn.Module, mixtures: torch.Tensor) -> Callable[[], object]:
    """Have ``torch.compile`` compute a network; the first call takes minutes."""
    compiled = torch.compile(model)

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return compiled(mixtures)

    return run
