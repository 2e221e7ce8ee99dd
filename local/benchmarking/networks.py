"""Training steps and inference: this project's networks against the stock ones.

Entry points: :func:`compare_training`, :func:`compare_inference`. All contenders take turns, so
that whatever else the machine does meets all of them; times are medians. Memory that is freed is
kept for all, which helps the stock networks, too.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr
from asteroid.models import BaseModel
from torch import nn
from torch.utils._triton import has_triton

from benchmarking.backends import other_backends
from benchmarking.peers import load_peer
from benchmarking.roofline import Peaks, measure_peaks, roofline_of, seconds_of
from separation.config import Conf
from separation.errors import RecipeError
from separation.models.architecture import architecture
from separation.models.bfloat16 import has_units, in_bfloat16
from separation.models.fast import keep_freed_memory
from separation.models.registry import build_model
from separation.models.whole import WHOLE, compile_network
from separation.report.tables import markdown
from separation.training.acceleration import make_optimizer

Timed = dict[str, Callable[[], object]]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Work:
    """What is computed: ``repetitions`` times ``batch_size`` mixtures of ``chunk_size`` samples."""

    batch_size: int
    chunk_size: int
    repetitions: int
    device: torch.device = CPU


@dataclass(frozen=True)
class Contender:
    """A network that takes part, how it is made, in what precision and by whom it is trained."""

    make: Callable[[], nn.Module]
    dtype: torch.dtype = torch.float32
    ours: bool = False


def compare_training(systems: dict[str, Conf], work: Work, peers: list[Path]) -> str:
    """Time training steps: forward, permutation-invariant SI-SDR, backward, clipping, Adam.

    Returns:
        a table of mixtures a second and of the memory that a step takes on top of the network,
        and how much of the time the convolutions alone would take.
    """
    keep_freed_memory()
    rows = []
    peaks = peaks_of(work.device)
    for tag, conf in systems.items():
        others = contenders(conf, peers, work.device, training=True)
        # first, while this process is small: two large networks at once may not fit
        megabytes = {name: memory_of_step(conf, peers, name, work) for name in others}
        steps: Timed = {
            name: training_step(contender, conf, work) for name, contender in others.items()
        }
        seconds = take_turns(steps, work.repetitions, work.device)
        for name, taken in seconds.items():
            roofline = roofline_for(conf, work, peaks[others[name].dtype], training=True)
            rows.append(
                [
                    f"{tag}, {name}",
                    f"{work.batch_size / taken:.2f}",
                    f"{seconds['Asteroid'] / taken:.2f}",
                    f"{megabytes[name]:.0f}",
                    f"{megabytes[name] / megabytes['Asteroid']:.2f}"
                    if megabytes["Asteroid"]
                    else "",
                    f"{100 * roofline / taken:.0f} %",
                ]
            )
    columns = ["training step", "mixtures/s", "ratio", "memory, MB", "ratio", "of the roofline"]
    return f"{markdown(columns, rows)}\n{describe_roofline(peaks, work.device)}"


def compare_inference(
    systems: dict[str, Conf], work: Work, peers: list[Path], backends: list[str]
) -> str:
    """Time the separation of a batch, without resampling or files.

    Args:
        systems: configurations by tag.
        work: what is separated.
        peers: checkouts of other projects that take part.
        backends: of :data:`benchmarking.backends.BACKENDS`, other ways to compute it.

    Returns:
        a table of seconds of audio separated in a second.
    """
    keep_freed_memory()
    rows = []
    peaks = peaks_of(work.device)
    for tag, conf in systems.items():
        rate = conf["corpus"]["sample_rate"]
        mixtures = torch.randn(work.batch_size, work.chunk_size, device=work.device)
        others = contenders(conf, peers, work.device, training=False)
        runs: Timed = {
            name: forward(contender, mixtures) for name, contender in others.items()
        } | other_backends(backends, stock(conf), mixtures)
        seconds = take_turns(runs, work.repetitions, work.device)
        audio = work.batch_size * work.chunk_size / rate
        for name, taken in seconds.items():
            dtype = others[name].dtype if name in others else torch.float32
            roofline = roofline_for(conf, work, peaks[dtype], training=False)
            rows.append(
                [
                    f"{tag}, {name}",
                    f"{audio / taken:.1f}",
                    f"{seconds['Asteroid'] / taken:.2f}",
                    f"{100 * roofline / taken:.0f} %",
                ]
            )
    columns = ["inference", "x real time", "ratio", "of the roofline"]
    return f"{markdown(columns, rows)}\n{describe_roofline(peaks, work.device)}"


def contenders(
    conf: Conf, peers: list[Path], device: torch.device, training: bool
) -> dict[str, Contender]:
    """Who takes part, by name: the stock network, this project's, and those of checkouts."""
    found = {
        "Asteroid": Contender(lambda: stock(conf)),
        "this project": Contender(lambda: build_model(conf), ours=True),
    }
    if has_units(device):
        found["this project, bf16"] = Contender(
            lambda: build_model(conf), torch.bfloat16, ours=True
        )
        if training and device.type == "cuda" and has_triton():
            found["this project, bf16, compiled"] = Contender(
                lambda: compiled(build_model(conf)), torch.bfloat16, ours=True
            )
    if peers and conf["model"] != "convtasnet":
        raise RecipeError(f"--peer: they are Conv-TasNets, and this system is a {conf['model']}")
    for path in peers:
        found[path.resolve().name] = Contender(partial(load_peer, path, conf["net_conf"]))
    return found


def compiled(model: BaseModel) -> BaseModel:
    """The network as a long training on a GPU has it."""
    compile_network(model)
    return model


def stock(conf: Conf) -> nn.Module:
    """The network as Asteroid computes it; a deep one is this project's, of Torch's own layers."""
    model = architecture(conf).build(conf["corpus"]["sample_rate"])
    if type(model) in WHOLE.values():
        model.__class__ = type(model).__bases__[1]
    return model


def training_step(contender: Contender, conf: Conf, work: Work) -> Callable[[], object]:
    """A function that takes one step on mixtures of noise."""
    model = contender.make().to(work.device)
    fast = {**conf["training"], "fast": contender.ours}
    optimizer = make_optimizer({**conf, "training": fast}, model)
    loss_of = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
    n_src = conf["corpus"]["n_src"]
    sources = torch.randn(work.batch_size, n_src, work.chunk_size, device=work.device)

    def step() -> None:
        optimizer.zero_grad()
        with precision_of(contender, work.device):
            estimates = model(sources.sum(1))
        loss_of(estimates.float(), sources).backward()
        nn.utils.clip_grad_norm_(model.parameters(), conf["training"]["clip_grad_norm"])
        optimizer.step()

    return step


def forward(contender: Contender, mixtures: torch.Tensor) -> Callable[[], object]:
    """A function that separates the mixtures."""
    model = contender.make().eval().to(mixtures.device)

    def run() -> torch.Tensor:
        with torch.inference_mode(), precision_of(contender, mixtures.device):
            return model(mixtures)

    return run


def precision_of(contender: Contender, device: torch.device) -> AbstractContextManager:
    """Autocast context of a contender."""
    return in_bfloat16(device) if contender.dtype == torch.bfloat16 else nullcontext()


def take_turns(timed: Timed, repetitions: int, device: torch.device = CPU) -> dict[str, float]:
    """Seconds that each one takes: medians of ``repetitions``, after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for repetition in range(repetitions + 1):
        for name, run in timed.items():
            taken = seconds_of(run, device)
            if repetition:
                seconds[name].append(taken)
    return {name: median(taken) for name, taken in seconds.items()}


def memory_of_step(conf: Conf, peers: list[Path], name: str, work: Work) -> float:
    """Megabytes by which a step lets a fresh process grow, once its network is there."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_grow, (conf, peers, name, work))


def _grow(conf: Conf, peers: list[Path], name: str, work: Work) -> float:
    contender = contenders(conf, peers, work.device, training=True)[name]
    model = contender.make().to(work.device)
    contender = replace(contender, make=lambda: model)
    # What Torch loads on first use, and the optimizer's state.
    tiny = replace(work, batch_size=1, chunk_size=conf["corpus"]["sample_rate"] // 10)
    training_step(contender, conf, tiny)()
    before = peak_memory(work.device)
    training_step(contender, conf, work)()
    return (peak_memory(work.device) - before) / 1024


def peak_memory(device: torch.device) -> int:
    """The most memory that this process has had, on a GPU in tensors, in KiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 1024
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux getrusage starts with what the parent had
        return next(
            int(line.split()[1])
            for line in status.read_text(encoding="utf-8").splitlines()
            if line.startswith("VmHWM")
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peaks_of(device: torch.device) -> dict[torch.dtype, Peaks]:
    """What the device reaches in each precision that takes part."""
    dtypes = [torch.float32, torch.bfloat16] if has_units(device) else [torch.float32]
    return {dtype: measure_peaks(device, dtype) for dtype in dtypes}


def roofline_for(conf: Conf, work: Work, peaks: Peaks, training: bool) -> float:
    """Shortest time of a batch, seconds."""
    return roofline_of(stock(conf), work.batch_size, work.chunk_size, peaks, training)


def describe_roofline(peaks: dict[torch.dtype, Peaks], device: torch.device) -> str:
    """Say what the roofline is."""
    reached = "; ".join(
        f"{peak} ({str(dtype).removeprefix('torch.')})" for dtype, peak in peaks.items()
    )
    where = (
        f"{torch.get_num_threads()} threads"
        if device.type == "cpu"
        else torch.cuda.get_device_name(device)
    )
    return (
        "The roofline is the time of the convolutions alone, each the longer of its operations and"
        f" of reading its input and writing its output once, at what was reached here: {reached};"
        f" {where}."
    )
