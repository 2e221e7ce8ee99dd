"""What a network costs and how far it sees: parameters, operations, receptive field, latency."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from separation.models.net_conf import pads_left


def count_parameters(model: nn.Module) -> int:
    """Count the numbers of all weights, as the papers do."""
    return sum(p.numel() for p in model.parameters())


def count_macs(model: nn.Module, sample_rate: int) -> int:
    """Count the multiply-accumulates of convolutions and matrix products for a second of audio."""
    # Without data nothing is computed, and every layer is the plain operator that is counted.
    model = deepcopy(model).to("meta")
    # inference_mode hides the operators from the counter; no_grad does not.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, sample_rate, device="meta"))
    return counter.get_total_flops() // 2


def frames_seen(net_conf: dict[str, Any]) -> int:
    """Frames that a frame of the output hangs on, through convolutions."""
    separator = net_conf["R"] * (net_conf["P"] - 1) * (2 ** net_conf["X"] - 1)
    layers = net_conf["codec_layers"]
    dilations = 2**layers - 1 if net_conf["codec_dilated"] else layers
    codec = 2 * (net_conf["codec_kernel"] - 1) * dilations
    return 1 + separator + codec


def receptive_field(net_conf: dict[str, Any]) -> int:
    """Samples of the mixture that a frame of the output hangs on, through convolutions.

    Norms that are global or cumulative see more: all of the utterance, or all that was before.
    """
    return (frames_seen(net_conf) - 1) * (net_conf["L"] // 2) + net_conf["L"]


def latency(net_conf: dict[str, Any]) -> int | None:
    """Algorithmic latency: samples of the mixture, from an output sample on, that it hangs on.

    The filters that overlap an output sample need ``L`` samples, the sample itself the first of
    them; convolutions that look ahead need half of the frames they see on top.

    Returns:
        samples, or None where a global norm needs the whole utterance.
    """
    if net_conf["norm"] == "gln":
        return None
    ahead = 0 if pads_left(net_conf) else (frames_seen(net_conf) - 1) // 2
    return ahead * (net_conf["L"] // 2) + net_conf["L"]


def in_ms(samples: int | None, sample_rate: int) -> float | None:
    """Turn samples into milliseconds; None stays None."""
    return None if samples is None else 1000.0 * samples / sample_rate
