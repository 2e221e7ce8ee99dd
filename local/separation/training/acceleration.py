"""What a training runs on, in what precision, and whether it is compiled: what is faster here.

Entry points: :func:`pick_accelerator`, :func:`pick_precision`, :func:`pick_compile`,
:func:`make_optimizer`.
"""

from __future__ import annotations

import torch
from asteroid.models import BaseModel
from torch.utils._triton import has_triton

from separation.config import Conf
from separation.models.bfloat16 import is_faster
from separation.training.muon import Muon

OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "muon": Muon}
EARNS_MINUTES = 20.0  # of training on a GPU, which a minute or two of compiling is little beside


def pick_accelerator(training: Conf) -> str:
    """What the configuration says, or a GPU that CUDA knows, or the CPU.

    Lightning's own choice may be Apple's GPU, which has no float64 for statistics.
    """
    if training["accelerator"] != "auto":
        return training["accelerator"]
    return "cuda" if torch.cuda.is_available() else "cpu"


def pick_precision(training: Conf) -> str:
    """``fp32`` or ``bf16``: what the configuration says, or what is faster on this device."""
    if training["precision"] != "auto":
        return training["precision"]
    device = torch.device("cuda" if on_gpu(training) else "cpu")
    if device.type == "cpu" and training["accelerator"] not in ("auto", "cpu"):
        return "fp32"
    return "bf16" if is_faster(device) else "fp32"


def pick_compile(training: Conf) -> bool:
    """What the configuration says of ``torch.compile``, or whether its time is earned back.

    That takes a GPU and a training long enough; on CPUs the compiled step was the slower one.
    """
    if training["compile"] != "auto":
        return training["compile"] == "true"
    minutes = training["max_minutes"]
    return on_gpu(training) and has_triton() and (not minutes or minutes >= EARNS_MINUTES)


def make_optimizer(conf: Conf, model: BaseModel) -> torch.optim.Adam:
    """The optimizer by its name; Adam takes all parameters in one call where that is faster."""
    optim = conf["optim"]
    return OPTIMIZERS[optim["name"]](
        model.parameters(),
        lr=optim["lr"],
        weight_decay=optim["weight_decay"],
        fused=conf["training"]["fast"] or None,  # None: what Torch would take
    )


def on_gpu(training: Conf) -> bool:
    """Whether Lightning will train on a GPU."""
    return training["accelerator"] != "cpu" and torch.cuda.is_available()
