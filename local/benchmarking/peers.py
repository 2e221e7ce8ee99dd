"""Networks of other public repositories, from a checkout, to be timed beside this project's."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from separation.errors import RecipeError

# Where a checkout of JusperLee/Conv-TasNet or of kaituoxu/Conv-TasNet has its network.
PLACES = ("Conv_TasNet.py", "Conv_TasNet_Pytorch/Conv_TasNet.py", "src/conv_tasnet.py")


def load_peer(checkout: Path, net_conf: dict[str, Any]) -> nn.Module:
    """The ConvTasNet of a checkout, of the size that ``net_conf`` says.

    Neither has skip connections; what else they have is left as it is.

    Raises:
        RecipeError: no network of a known repository there, or one that cannot be imported.
    """
    place = next((checkout / place for place in PLACES if (checkout / place).is_file()), None)
    if place is None:
        raise RecipeError(f"--peer {checkout}: has none of {', '.join(PLACES)}")
    loader = SourceFileLoader("peer", str(place))
    module = ModuleType(loader.name)
    sys.path.insert(0, str(place.parent))  # for modules beside it
    try:
        loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise RecipeError(f"--peer {place}: cannot be imported: {error}") from error
    finally:
        sys.path.remove(str(place.parent))
    sizes = [net_conf[key] for key in ("N", "L", "B", "H", "P", "X", "R")]
    if place.parent.name == "src":
        norm = "gLN" if net_conf["norm"] == "gln" else "cLN"
        return Peer(module.ConvTasNet(*sizes, net_conf["num_spks"], norm, net_conf["causal"]))
    return Peer(
        module.ConvTasNet(
            *sizes,
            norm="gln" if net_conf["norm"] == "gln" else "cln",
            num_spks=net_conf["num_spks"],
            activate=net_conf["activate"],
            causal=net_conf["causal"],
        )
    )


class Peer(nn.Module):
    """A network that gives ``(batch, source, time)``, whatever the one within gives."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        """Separate ``(batch, time)``; where sources come short of it, the rest is zero."""
        estimates = self.network(wav)
        if isinstance(estimates, list):
            estimates = torch.stack([estimate.view(len(wav), -1) for estimate in estimates], 1)
        return nn.functional.pad(estimates, (0, wav.shape[-1] - estimates.shape[-1]))
