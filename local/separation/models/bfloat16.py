"""Networks in bfloat16, on a CPU without units for it, too.

Entry points: :func:`in_bfloat16`, :func:`bfloat16_matmuls` where autocast is on already, and
:func:`is_faster`, whether to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

aten = torch.ops.aten
MATMULS = {
    aten.mm.default,
    aten.addmm.default,
    aten.bmm.default,
    aten.baddbmm.default,
    aten.convolution.default,
    aten.convolution_backward.default,
}


def has_units(device: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 itself."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def is_faster(device: torch.device) -> bool:
    """Whether networks are computed faster in bfloat16 than in float32: a rule, not a timing.

    A timing depends on what else the machine is doing, and two runs of one command would then
    differ in their weights. The rule is what was measured: on GPUs that have bfloat16 it is faster;
    of CPUs, those with AMX multiply it six times as fast as float32, AMD's with AVX-512 twice as
    fast, Intel's with AVX-512 but no AMX half as fast.
    """
    if device.type != "cpu" or torch.cpu._is_amx_tile_supported():
        return has_units(device)
    return has_units(device) and cpu_vendor() == "AuthenticAMD"


def cpu_vendor() -> str:
    """Vendor of the processor as CPUID names it; empty where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":")[1].strip() for line in lines if line.startswith("vendor_id")), "")


@contextmanager
def in_bfloat16(device: torch.device) -> Iterator[None]:
    """Have networks run in bfloat16, their statistics in float32."""
    with torch.autocast(device.type, torch.bfloat16), bfloat16_matmuls(device):
        yield


def bfloat16_matmuls(device: torch.device) -> AbstractContextManager:
    """Multiply bfloat16 tensors in the fastest way that the device has.

    A matrix unit multiplies bfloat16, adds up in float32 and rounds the sum to bfloat16. On a CPU
    without one Torch is slow at that; in here it multiplies in float32 and rounds, which
    gives the same numbers up to the order of sums, and steps of training four times as fast.
    Compiled networks do not run in here.
    """
    emulate = device.type == "cpu" and not has_units(device)
    return _RoundedMatmuls() if emulate else nullcontext()


class _RoundedMatmuls(TorchDispatchMode):
    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if function in MATMULS and args[0].dtype == torch.bfloat16:
            exact = function(*tree_map_only(torch.Tensor, torch.Tensor.float, args), **kwargs)
            return tree_map_only(torch.Tensor, torch.Tensor.bfloat16, exact)
        if torch.is_inference_mode_enabled():
            with self:  # A convolution arrives undecomposed here.
                parts = function.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        return function(*args, **kwargs)
