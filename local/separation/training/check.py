"""Checks of a system's configuration that need the network and the machine.

:mod:`separation.ranges` has checked plain values before; this imports Torch, which takes seconds.
"""

from __future__ import annotations

import os

import torch

from separation.config import Conf
from separation.errors import RecipeError
from separation.evaluation.metrics import check_metrics
from separation.models.architecture import architecture
from separation.models.registry import build_model
from separation.ranges import ONE_AND_REST
from separation.training.acceleration import on_gpu, pick_accelerator
from separation.training.initial import load_initial
from separation.training.losses import make_loss


def check_system(conf: Conf) -> None:
    """Raise a :class:`RecipeError` that names the key of a value with which training would fail.

    Training and evaluation are both looked at, so that hours of the one do not end in the other.
    """
    load_initial(build_model(conf), conf)
    check_metrics(conf["evaluation"]["metrics"], conf["evaluation"]["metrics_backend"])
    training = conf["training"]
    make_loss(conf)
    if training["assignment"] == ONE_AND_REST and architecture(conf).causal:
        raise RecipeError(
            "training.assignment one_and_rest needs whole mixtures, as the rest is separated again"
            " until nothing is left of it: set net_conf.causal=false"
        )
    bounded = training["loss"] == "snr" and training["loss_max_db"]
    if conf["data"]["augment"]["silence_share"] and not bounded:
        raise RecipeError(
            "data.augment.silence_share: of a silent source only the SNR with a bound is defined;"
            " set training.loss=snr training.loss_max_db=30"
        )
    accelerator = pick_accelerator(training)
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise RecipeError(
            f"training.accelerator is {accelerator}, but there is no GPU of CUDA here"
        )
    if accelerator == "mps" and not torch.backends.mps.is_available():
        raise RecipeError("training.accelerator is mps, but there is no GPU of Apple's here")
    there = torch.cuda.device_count() if on_gpu(training) else os.cpu_count() or 1
    if accelerator != "mps" and training["devices"] > there:
        what = "GPUs" if on_gpu(training) else "CPU cores, one for each process"
        raise RecipeError(
            f"training.devices is {training['devices']}, but there are {there} {what}"
        )
