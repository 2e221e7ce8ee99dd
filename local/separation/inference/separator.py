"""Separating recordings of any rate and length with a trained system."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import soxr
import torch
from asteroid.models import BaseModel

from separation.errors import RecipeError
from separation.models.bfloat16 import in_bfloat16, is_faster
from separation.models.fast import keep_freed_memory
from separation.models.registry import load_model

SHORT = 1000  # samples, of silence that shows how many sources there are


class Separator:
    """Separates recordings; the sources keep their levels against each other.

    The whole recording goes through the network in one go, because matching the speakers of pieces
    is a source of swapped speakers. Memory grows with the length: a minute at 8 kHz takes 0.24 GB
    with conf/small.yaml, 0.43 GB with conf/convtasnet.yaml and 0.80 GB with conf/paper.yaml.

    Args:
        model: takes ``(batch, time)`` float32 at ``model.sample_rate`` and returns
            ``(batch, source, time)``.
        device: where the network runs.
        bf16: run it in bfloat16, which is faster where the device has units for that.

    Attributes:
        sample_rate: of the network, in Hz.
        n_src: sources that it gives.
        counts: whether it gives fewer where there are fewer.
    """

    counts = False

    def __init__(
        self, model: BaseModel, device: str | torch.device = "cpu", bf16: bool = False
    ) -> None:
        self.device = torch.device(device)
        self.bf16 = bf16
        self.model = model.eval().to(self.device)
        self.sample_rate = int(model.sample_rate)
        self.n_src = self._forward(np.zeros(SHORT)).shape[0]

    @classmethod
    def from_experiment(
        cls, exp_dir: Path, device: str | torch.device = "cpu", precision: str = "fp32"
    ) -> Separator:
        """Load the model of an experiment folder, or an ONNX file.

        ``precision`` is ``fp32``, ``bf16`` or ``auto``, what is faster on the device.
        From here on the process keeps the memory that is freed, for the next recording.

        Raises:
            RecipeError: there is no model.
        """
        keep_freed_memory()
        device = torch.device(device)
        bf16 = is_faster(device) if precision == "auto" else precision == "bf16"
        if exp_dir.suffix != ".onnx":
            return cls(load_model(exp_dir), device, bf16)
        from separation.inference.onnx import OnnxNetwork, load_onnx  # a second to import

        network = load_onnx(exp_dir)
        if not isinstance(network, OnnxNetwork):
            raise RecipeError(f"{exp_dir}: a streaming file; local/live.py takes it")
        return cls(network)

    def separate(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Separate one recording.

        Args:
            samples: shape ``(time,)`` or ``(1, time)``.
            sample_rate: in Hz; another rate than the network's is resampled there and back.

        Returns:
            float32 of shape ``(source, time)``, as long as the input and at its rate. One gain for
            all sources makes their sum the best match of the mixture in the least-squares sense.

        Raises:
            RecipeError: more than one channel, or no samples.
        """
        samples = checked_mono(samples)
        estimates = self._at_own_rate(samples, sample_rate, self._estimates)
        return (least_squares_gain(estimates, samples) * estimates).astype(np.float32)

    def _at_own_rate(
        self,
        samples: np.ndarray,
        sample_rate: int,
        work: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """What ``work`` makes of ``(time,)`` at the network's rate, at that of the samples."""
        signals = work(_resample(samples[None], sample_rate, self.sample_rate)[0])
        return _to_length(_resample(signals, self.sample_rate, sample_rate), samples.size)

    def _estimates(self, samples: np.ndarray) -> np.ndarray:
        """Separate ``(time,)`` at the network's rate into ``(source, time)``."""
        return self._forward(samples)

    def _forward(self, samples: np.ndarray) -> np.ndarray:
        """Run the network: ``(time,)`` at its own rate to ``(source, time)``."""
        try:
            with torch.inference_mode(), in_bfloat16(self.device) if self.bf16 else nullcontext():
                wave = torch.as_tensor(samples, dtype=torch.float32, device=self.device)
                return self.model(wave[None])[0].float().cpu().numpy()
        except RuntimeError as error:
            # CPU memory that runs out is a plain RuntimeError, and so is known by its text only.
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                seconds = samples.size / self.sample_rate
                raise RecipeError(
                    f"not enough memory on {self.device} for {seconds:.0f} s of audio; cut it up"
                ) from error
            raise


def checked_mono(samples: np.ndarray) -> np.ndarray:
    """The samples as ``(time,)``.

    Args:
        samples: shape ``(time,)`` or ``(1, time)``.

    Raises:
        RecipeError: more than one channel, or no samples.
    """
    if samples.ndim == 2 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim != 1:
        raise RecipeError(f"{samples.shape[0]} channels; a separator takes one: mix them down")
    if samples.size == 0:
        raise RecipeError("no samples to separate")
    return samples


def pick_device(name: str | None) -> torch.device:
    """Turn a device name into a device; None is the first GPU where there is one, else the CPU.

    Raises:
        RecipeError: no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError(f"{device.type} computes nothing here")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RecipeError(f"--device {name}: not here; try cpu, or cuda with a GPU") from error
    return device


def least_squares_gain(estimates: np.ndarray, mixture: np.ndarray) -> float:
    """The gain g that makes ``|mixture - g sum(estimates)|`` smallest; 0 when the sum is silent.

    Args:
        estimates: shape ``(source, time)``.
        mixture: shape ``(time,)``.
    """
    total = estimates.sum(axis=0, dtype=np.float64)
    power = float(np.dot(total, total))
    return float(np.dot(total, mixture.astype(np.float64)) / power) if power != 0.0 else 0.0


def _resample(signals: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Resample ``(signal, time)`` along time."""
    if rate == new_rate:
        return signals
    # soxr wants (time, channel).
    return np.asarray(soxr.resample(signals.T, rate, new_rate, quality="VHQ")).T


def _to_length(signals: np.ndarray, length: int) -> np.ndarray:
    """Cut or zero-pad the end of the last axis."""
    missing = max(length - signals.shape[-1], 0)
    padding = [(0, 0)] * (signals.ndim - 1) + [(0, missing)]
    return np.pad(signals, padding)[..., :length]
