"""Networks in bfloat16, on a CPU without units for it, too.

Entry points: :func:`in_bfloat16`, :func:`bfloat16_products` where autocast is on already, and
:func:`pays`, whether to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

aten = torch.ops.aten
PRODUCTS = {
    aten.mm.default,
    aten.addmm.default,
    aten.bmm.default,
    aten.baddbmm.default,
    aten.convolution.default,
    aten.convolution_backward.default,
}


def has_units(device: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 faster than those of float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def pays(device: torch.device, run: Callable[[], object]) -> bool:
    """Whether something is computed faster in bfloat16.

    It is on GPUs with units for it. A CPU with units may lose elsewhere what they save, so there it
    is tried: ``run`` is called six times.
    """
    if device.type != "cpu" or not has_units(device):
        return has_units(device)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(3):
        for rounded, taken in seconds.items():
            start = time.perf_counter()
            with in_bfloat16(device) if rounded else nullcontext():
                run()
            taken.append(time.perf_counter() - start)
    return min(seconds[True]) < min(seconds[False])


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
    emulate = device.type == "cpu" and not has_units(device)
    return _RoundedProducts() if emulate else nullcontext()


class _RoundedProducts(TorchDispatchMode):
    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if function in PRODUCTS and args[0].dtype == torch.bfloat16:
            exact = function(*tree_map_only(torch.Tensor, torch.Tensor.float, args), **kwargs)
            return tree_map_only(torch.Tensor, torch.Tensor.bfloat16, exact)
        if torch.is_inference_mode_enabled():
            with self:  # A convolution comes as it was called here, with the product within it.
                parts = function.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        return function(*args, **kwargs)
