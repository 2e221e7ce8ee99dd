"""Training steps and inference: this project's networks against the stock ones.

Entry points: :func:`compare_training`, :func:`compare_inference`. All contenders take turns, so
that whatever else the machine does meets all of them; times are medians. Memory that is freed is
kept for all, which helps the stock networks, too.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr
from asteroid.models import ConvTasNet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from separation.benchmark.peers import load_peer
from separation.config import Conf
from separation.inference.backends import on_openvino, what_hinders_openvino
from separation.models.convtasnet import WholeConvTasNet
from separation.models.fast import keep_freed_memory
from separation.models.norms import fuse_norms
from separation.models.registry import MODELS, build_model
from separation.report.tables import markdown

Timed = dict[str, Callable[[], object]]
BACKENDS = ("openvino", "onnxruntime", "compile")


@dataclass(frozen=True)
class Work:
    """What is computed: ``repetitions`` times ``batch_size`` mixtures of ``chunk_size`` samples."""

    batch_size: int
    chunk_size: int
    repetitions: int


def compare_training(systems: dict[str, Conf], work: Work, peers: list[Path]) -> str:
    """Time training steps: forward, permutation-invariant SI-SDR, backward, clipping, Adam.

    Returns:
        a table of mixtures a second and of the memory that a step takes on top of the network,
        and how much of the time the products of matrices alone would take.
    """
    keep_freed_memory()
    rows = []
    peak = peak_flops()
    for tag, conf in systems.items():
        makers = contenders(conf, peers)
        # first, while this process is small: two large networks at once may not fit
        megabytes = {name: memory_of_step(conf, peers, name, work) for name in makers}
        steps: Timed = {name: training_step(make(), conf, work) for name, make in makers.items()}
        seconds = take_turns(steps, work.repetitions)
        floor = step_flops(conf, work) / peak
        for name, taken in seconds.items():
            rows.append(
                [
                    f"{tag}, {name}",
                    f"{work.batch_size / taken:.2f}",
                    f"{seconds['Asteroid'] / taken:.2f}",
                    f"{megabytes[name]:.0f}",
                    f"{megabytes[name] / megabytes['Asteroid']:.2f}"
                    if megabytes["Asteroid"]
                    else "",
                    f"{100 * floor / taken:.0f} %",
                ]
            )
    columns = ["training step", "mixtures/s", "ratio", "memory, MB", "ratio", "of the floor"]
    return f"{markdown(columns, rows)}\n{describe_floor(peak)}"


def compare_inference(
    systems: dict[str, Conf], work: Work, peers: list[Path], backends: list[str]
) -> str:
    """Time the separation of a batch, without resampling or files.

    Args:
        systems: configurations by tag.
        work: what is separated.
        peers: checkouts of other projects that take part.
        backends: of :data:`BACKENDS`, other ways to compute the network.

    Returns:
        a table of seconds of audio separated in a second.
    """
    keep_freed_memory()
    rows = []
    peak = peak_flops()
    for tag, conf in systems.items():
        rate = conf["corpus"]["sample_rate"]
        mixtures = torch.randn(work.batch_size, work.chunk_size)
        runs: Timed = {
            name: forward(make().eval(), mixtures) for name, make in contenders(conf, peers).items()
        } | other_backends(backends, conf, mixtures)
        seconds = take_turns(runs, work.repetitions)
        audio = work.batch_size * work.chunk_size / rate
        floor = forward_flops(stock(conf), work) / peak
        for name, taken in seconds.items():
            rows.append(
                [
                    f"{tag}, {name}",
                    f"{audio / taken:.1f}",
                    f"{seconds['Asteroid'] / taken:.2f}",
                    f"{100 * floor / taken:.0f} %",
                ]
            )
    columns = ["inference", "x real time", "ratio", "of the floor"]
    return f"{markdown(columns, rows)}\n{describe_floor(peak)}"


def contenders(conf: Conf, peers: list[Path]) -> dict[str, Callable[[], nn.Module]]:
    """Who takes part, by name: the stock network, this project's, and those of checkouts."""
    makers: dict[str, Callable[[], nn.Module]] = {
        "Asteroid": lambda: stock(conf),
        "this project": lambda: build_model(conf),
    }
    for path in peers:
        makers[path.resolve().name] = partial(load_peer, path, conf["net_conf"])
    return makers


def other_backends(names: list[str], conf: Conf, mixtures: torch.Tensor) -> Timed:
    """The network by other means than this project's layers: those of ``names`` that can run it."""
    runs: Timed = {}
    model = build_model(conf).eval()
    fused = fuse_norms(stock(conf)).eval()
    convertible = what_hinders_openvino(model, mixtures.device) is None
    if "openvino" in names and convertible:
        runs["OpenVINO"] = forward(on_openvino(model), mixtures)
    if "onnxruntime" in names and convertible:
        runs["ONNX Runtime"] = on_onnx_runtime(fused, mixtures)
    if "compile" in names:
        fused.compile()
        runs["torch.compile"] = forward(fused, mixtures)
    return runs


def on_onnx_runtime(model: nn.Module, mixtures: torch.Tensor) -> Callable[[], object]:
    """A function that separates the mixtures with ONNX Runtime."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(model, (mixtures,), path, input_names=["wav"], dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"wav": mixtures.numpy()})


def stock(conf: Conf) -> nn.Module:
    """The network as Asteroid computes it; a deep one is this project's, of Torch's own layers."""
    model = MODELS[conf["model"]](conf["net_conf"], conf["corpus"]["sample_rate"])
    if type(model) is WholeConvTasNet:
        model.__class__ = ConvTasNet
    return model


def training_step(model: nn.Module, conf: Conf, work: Work) -> Callable[[], object]:
    """A function that takes one step on mixtures of noise."""
    optimizer = torch.optim.Adam(model.parameters(), lr=conf["optim"]["lr"])
    loss_of = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
    sources = torch.randn(work.batch_size, conf["net_conf"]["num_spks"], work.chunk_size)

    def step() -> None:
        optimizer.zero_grad()
        loss_of(model(sources.sum(1)), sources).backward()
        nn.utils.clip_grad_norm_(model.parameters(), conf["training"]["clip_grad_norm"])
        optimizer.step()

    return step


def forward(model: nn.Module, mixtures: torch.Tensor) -> Callable[[], object]:
    """A function that separates the mixtures."""

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return model(mixtures)

    return run


def take_turns(timed: Timed, repetitions: int) -> dict[str, float]:
    """Seconds that each one takes: medians of ``repetitions``, after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for repetition in range(repetitions + 1):
        for name, run in timed.items():
            start = time.perf_counter()
            run()
            if repetition:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in seconds.items()}


def memory_of_step(conf: Conf, peers: list[Path], name: str, work: Work) -> float:
    """Megabytes by which a step lets a fresh process grow, once its network is there."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_grow, (conf, peers, name, work))


def _grow(conf: Conf, peers: list[Path], name: str, work: Work) -> float:
    tiny = Work(1, conf["net_conf"]["L"] * 4, 1)
    model = contenders(conf, peers)[name]()
    training_step(model, conf, tiny)()  # the optimizer's state, and what Torch loads on first use
    before = peak_memory()
    training_step(model, conf, work)()
    return (peak_memory() - before) / 1024


def peak_memory() -> int:
    """The most memory that this process has had, in KiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux getrusage starts with what the parent had
        return next(
            int(line.split()[1])
            for line in status.read_text(encoding="utf-8").splitlines()
            if line.startswith("VmHWM")
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_flops(size: int = 1024, repetitions: int = 40) -> float:
    """Operations a second of the best of several products of large float32 matrices."""
    a = torch.randn(size, size)
    best = float("inf")
    for _ in range(repetitions):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def step_flops(conf: Conf, work: Work) -> int:
    """Operations of the convolutions of a training step, forward and backward."""
    model = stock(conf).to("meta")
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(work.batch_size, work.chunk_size, device="meta")).sum().backward()
    return counter.get_total_flops()


def forward_flops(model: nn.Module, work: Work) -> int:
    """Operations of the convolutions of a batch."""
    model = model.to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(work.batch_size, work.chunk_size, device="meta"))
    return counter.get_total_flops()


def describe_floor(peak: float) -> str:
    """Say what the floor is."""
    return (
        f"The floor is the time of the convolutions alone at {peak / 1e9:.0f} GFLOP/s, which a"
        f" product of large float32 matrices reached here; {torch.get_num_threads()} threads."
    )
