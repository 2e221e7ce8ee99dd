"""What a network costs: parameters and operations."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> int:
    """Count the numbers of all weights, as the papers do."""
    return sum(p.numel() for p in model.parameters())


def count_macs(model: nn.Module, sample_rate: int) -> int:
    """Count the multiply-accumulates of convolutions and matmuls for a second of audio."""
    # Without data nothing is computed, and every layer is the plain operator that is counted.
    model = deepcopy(model).to("meta")
    recurrent = _Recurrent(model)
    # inference_mode hides the operators from the counter; no_grad does not.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, sample_rate, device="meta"))
    return counter.get_total_flops() // 2 + recurrent.macs


class _Recurrent:
    """Counts the recurrent layers of a network on the device meta, which would take every step."""

    def __init__(self, model: nn.Module) -> None:
        self.macs = 0
        for module in model.modules():
            if isinstance(module, nn.RNNBase):
                module.forward = partial(self._forward, module)

    def _forward(self, layer: nn.RNNBase, x: torch.Tensor, *_: Any) -> tuple[torch.Tensor, None]:
        """Take ``(batch, step, channel)`` or ``(step, batch, channel)``; no state comes out."""
        matrices = [p for name, p in layer.named_parameters() if name.startswith("weight")]
        self.macs += x.shape[0] * x.shape[1] * sum(p.numel() for p in matrices)
        return x.new_empty(*x.shape[:2], layer.hidden_size * (1 + layer.bidirectional)), None


def in_ms(samples: int | None, sample_rate: int) -> float | None:
    """Turn samples into milliseconds; None stays None."""
    return None if samples is None else 1000.0 * samples / sample_rate
