"""Every system of conf/ with a network small enough for a test."""

import torch

from separation.config import load_config
from separation.models.registry import build_model

SMALL = {
    "convtasnet": ["N=16", "B=8", "H=12", "X=2", "R=1"],
    "dprnn": ["N=8", "B=6", "H=5", "R=1", "K=10"],
    "sudormrf": ["C_E=12", "C=8", "B=2", "Q=3"],
    "spectral": ["L=32", "B=8", "H=12", "X=2", "R=1"],
}


def small_conf(tag, *overrides, corpus="espeak-2mix"):
    """The configuration of a system, with few channels and layers."""
    model = load_config(corpus, tag, None, [])["model"]
    small = [f"net_conf.{item}" for item in SMALL[model]]
    return load_config(corpus, tag, None, [*small, *overrides])


def small_network(tag, *overrides, corpus="espeak-2mix"):
    """The network of a system, with the same weights whenever it is asked for."""
    torch.manual_seed(0)
    return build_model(small_conf(tag, *overrides, corpus=corpus)).eval()
