"""Networks in bfloat16, on a CPU without units for it, too.

Entry points: :func:`in_bfloat16`, and :func:`bfloat16_products` where autocast is on already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

WITHOUT_UNITS = ("DEFAULT", "AVX2")  # Torch's names of instruction sets
aten = torch.ops.aten
PRODUCTS = {
    aten.mm.default,
    aten.addmm.default,
    aten.bmm.default,
    aten.baddbmm.default,
    aten.convolution.default,
    aten.convolution_backward.default,
}


@contextmanager
def in_bfloat16(device: torch.device) -> Iterator[None]:
    """Have networks run in bfloat16, their statistics in float32."""
    with torch.autocast(device.type, torch.bfloat16), bfloat16_products(device):
        yield


def bfloat16_products(device: torch.device) -> AbstractContextManager:
    """Have products of bfloat16 tensors computed in the quickest way that the device has.

    A matrix unit multiplies bfloat16, adds up in float32 and rounds the sum to bfloat16. On a CPU
    without one Torch is slow at that; in here it takes products in float32 and rounds them, which
    gives the same numbers up to the order of sums, and steps of training four times as fast.
    Compiled networks do not run in here.
    """
    without = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in WITHOUT_UNITS
    return _RoundedProducts() if without else nullcontext()


class _RoundedProducts(TorchDispatchMode):
    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if function not in PRODUCTS or args[0].dtype != torch.bfloat16:
            return function(*args, **kwargs)
        exact = function(*tree_map_only(torch.Tensor, torch.Tensor.float, args), **kwargs)
        return tree_map_only(torch.Tensor, torch.Tensor.bfloat16, exact)
