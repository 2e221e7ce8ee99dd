"""Conv-TasNet (Luo and Mesgarani 2019) from the paper's letters, by Asteroid."""

from __future__ import annotations

from typing import Any

import torch
from asteroid.models import ConvTasNet
from torch import nn

from separation.errors import RecipeError, nearest

# Asteroid's cLN normalises each frame by itself; the paper's cumulative cLN is Asteroid's cgLN.
NORMS = {"gln": "gLN", "cln": "cgLN", "bn": "bN"}
ACTIVATIONS = ("sigmoid", "relu", "softmax")


class WholeConvTasNet(ConvTasNet):
    """Asteroid's ConvTasNet that separates every sample of a mixture of any length.

    Asteroid's encoder leaves out the samples after the last whole frame, where its output is zero,
    and fails on less than one frame. Here the end is padded with zeros to a whole frame, and the
    padding is cut off the estimates. Lengths that fill their frames give Asteroid's output exactly.
    Files are Asteroid's.
    """

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        """Separate ``(batch, time)`` into ``(batch, source, time)``."""
        length = wav.shape[-1]
        kernel, stride = self.encoder.filterbank.kernel_size, self.encoder.filterbank.stride
        missing = -(length - kernel) % stride if length > kernel else kernel - length
        return super().forward(nn.functional.pad(wav, (0, missing)))[..., :length]

    def serialize(self) -> dict[str, Any]:
        """The package of a plain ConvTasNet, which Asteroid loads without this class."""
        return super().serialize() | {"model_name": ConvTasNet.__name__}


def build_convtasnet(net_conf: dict[str, Any], sample_rate: int) -> ConvTasNet:
    """Map ``net_conf`` to Asteroid's ConvTasNet.

    Args:
        net_conf: the network block of the YAML.
        sample_rate: Hz, kept in the saved model.

    Raises:
        RecipeError: a value that no network can be built from, with its key.
    """
    check_net_conf(net_conf)
    return WholeConvTasNet(
        n_src=net_conf["num_spks"],
        n_filters=net_conf["N"],
        kernel_size=net_conf["L"],
        stride=net_conf["L"] // 2,
        bn_chan=net_conf["B"],
        hid_chan=net_conf["H"],
        skip_chan=net_conf["Sc"],
        conv_kernel_size=net_conf["P"],
        n_blocks=net_conf["X"],
        n_repeats=net_conf["R"],
        norm_type=NORMS[net_conf["norm"]],
        mask_act=net_conf["activate"],
        causal=net_conf["causal"],
        sample_rate=sample_rate,
    )


def check_net_conf(net_conf: dict[str, Any]) -> None:
    """Raise a :class:`RecipeError` that names the key of a wrong value."""
    for key, known in (("norm", list(NORMS)), ("activate", list(ACTIVATIONS))):
        if net_conf[key] not in known:
            hint = nearest(net_conf[key], known)
            raise RecipeError(
                f"net_conf.{key} is '{net_conf[key]}'{hint}; known: {', '.join(known)}"
            )
    for key in ("N", "L", "B", "H", "P", "X", "R", "num_spks"):
        if net_conf[key] < 1:
            raise RecipeError(f"net_conf.{key} is {net_conf[key]}; it must be 1 or more")
    if net_conf["Sc"] < 0:
        raise RecipeError(f"net_conf.Sc is {net_conf['Sc']}; it must be 0 (no skip) or more")
    if net_conf["L"] % 2:
        raise RecipeError(f"net_conf.L is {net_conf['L']}; it must be even, the stride is L/2")
    if not net_conf["causal"] and net_conf["P"] % 2 == 0:
        raise RecipeError(f"net_conf.P is {net_conf['P']}; it must be odd unless causal")
    if net_conf["causal"] and net_conf["norm"] != "cln":
        raise RecipeError(
            f"net_conf.causal is true, but net_conf.norm '{net_conf['norm']}' looks at the whole"
            " utterance; set net_conf.norm: cln"
        )
