"""Streams: what a second of sound costs, in calls of a few milliseconds.

Entry point: :func:`compare_streaming`. Each contender has the machine and its cache for itself, as
a stream has, so the machine has to be quiet.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from asteroid.models import BaseModel

from separation.config import Conf
from separation.errors import RecipeError
from separation.inference.onnx import export_streaming, load_onnx
from separation.inference.streaming import Streamer
from separation.models.architecture import architecture
from separation.models.fast import keep_freed_memory
from separation.models.registry import build_model
from separation.models.streaming import make_streaming
from separation.report.tables import markdown

WARM_UP = 10  # calls that are not counted
COLUMNS = ["stream", "real-time factor", "worst call to median"]


def compare_streaming(systems: dict[str, Conf], call_ms: float, seconds: float) -> str:
    """Time calls of the Streamer, compiled, in PyTorch and as ONNX, and of the naive way.

    The naive way separates as many samples as the receptive field has, and the new ones, at every
    call, and keeps the estimates of the new ones.

    Args:
        systems: causal configurations by tag.
        call_ms: milliseconds of sound in a call.
        seconds: of sound.

    Returns:
        a table of real-time factors.
    """
    keep_freed_memory()
    rows = []
    for tag, conf in systems.items():
        model = build_model(conf).eval()
        size = round(call_ms * model.sample_rate / 1000)
        n_calls = WARM_UP + max(2, round(seconds * 1000 / call_ms))
        blocks = torch.randn(n_calls, size, generator=torch.Generator().manual_seed(0)).numpy()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "stream.onnx"
            export_streaming(model, path, {})
            ways: dict[str, Callable[[np.ndarray], object]] = {
                "this project": Streamer(model).feed,
                "PyTorch": Streamer(make_streaming(model)).feed,
                "ONNX Runtime": Streamer(load_onnx(path)).feed,
                "naive": naive(model, architecture(conf).receptive_field),
            }
            times = {name: time_calls(feed, blocks) for name, feed in ways.items()}
        for name, taken in times.items():
            rows.append(
                [
                    f"{tag}, {name}",
                    f"{np.median(taken) * 1000 / call_ms:.2f}",
                    f"{taken.max() / np.median(taken):.1f}",
                ]
            )
    threads = f"{torch.get_num_threads()} threads" if torch.get_num_threads() > 1 else "1 thread"
    return f"{markdown(COLUMNS, rows)}\nCalls of {call_ms:g} ms, {threads}."


def naive(model: BaseModel, receptive_field: int | None) -> Callable[[np.ndarray], object]:
    """Separate all that the new samples depend on, at every call."""
    if receptive_field is None:
        raise RecipeError("the naive way needs a network of finite receptive field")
    held = np.zeros(receptive_field, np.float32)

    def feed(block: np.ndarray) -> torch.Tensor:
        nonlocal held
        held = np.concatenate([held, block])[-receptive_field - len(block) :]
        with torch.inference_mode():
            return model(torch.from_numpy(held[None]))[..., -len(block) :]

    return feed


def time_calls(feed: Callable[[np.ndarray], object], blocks: np.ndarray) -> np.ndarray:
    """Seconds of each call but the first ones."""
    times = []
    for block in blocks:
        start = time.perf_counter()
        feed(block)
        times.append(time.perf_counter() - start)
    return np.array(times[WARM_UP:])
