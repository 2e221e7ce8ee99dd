"""Measure this project against stock Asteroid, or the plain way, in one run on one machine.

training    a training step against Asteroid's network, loss and optimizer
inference   separation against Asteroid's network
loading     loaders of training chunks against one that reads as Asteroid's LibriMix does
mixing      stage 1 against a loop of soundfile and scipy.resample_poly
evaluation  scoring of mixtures against a loop over asteroid.metrics.get_metrics
streaming   a stream in short calls against separating its receptive field at every call

The tables are in Markdown. Ratios hold where absolute figures drift; keep the machine quiet.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import argparse
import os
from dataclasses import replace
from pathlib import Path

import torch

from benchmarking.backends import BACKENDS, check_backends
from benchmarking.evaluation import compare_evaluation
from benchmarking.loading import compare_loading
from benchmarking.mixing import compare_mixing
from benchmarking.networks import Work, compare_inference, compare_training
from benchmarking.streaming import compare_streaming
from separation.arguments import make_parser
from separation.config import Conf, load_config
from separation.errors import RecipeError
from separation.inference.separator import pick_device

SHORTEST_CHUNK = 100  # samples; longer than the filters of any system


def main() -> None:
    """Parse the command line, run one benchmark, print its table."""
    parser = make_parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, batch_size in (("training", 4), ("inference", 1), ("loading", 8)):
        command = commands.add_parser(name)
        command.add_argument("--batch_size", type=int, default=batch_size)
        command.add_argument("--chunk_size", type=int, default=32000, help="samples")
        command.add_argument("--repetitions", type=int, default=7)
        if name != "loading":
            command.add_argument("--tag", nargs="+", default=["convtasnet", "paper"])
            command.add_argument(
                "--peer",
                type=Path,
                nargs="+",
                default=[],
                help="checkouts of JusperLee/Conv-TasNet or kaituoxu/Conv-TasNet to time, too",
            )
            command.add_argument(
                "--device", help="cpu, cuda, cuda:1, ... (default: a GPU where there is one)"
            )
            command.add_argument("overrides", nargs="*", help="key=value of the YAML, after --")
    commands.choices["inference"].add_argument(
        "--backends",
        nargs="*",
        choices=BACKENDS,
        default=[],
        help="other ways to compute the network, to be timed, too; openvino and onnxruntime ask for"
        " their packages to be installed, compile for some minutes of patience",
    )
    streaming = commands.add_parser("streaming")
    streaming.add_argument("--tag", nargs="+", default=["causal"], help="causal systems")
    streaming.add_argument("--call_ms", type=float, default=10, help="sound in a call, ms")
    streaming.add_argument("--seconds", type=float, default=10, help="of sound")
    streaming.add_argument("overrides", nargs="*", help="key=value of the YAML, after --")
    mixing = commands.add_parser("mixing")
    mixing.add_argument("--mixtures", type=int, default=1000, help="length of the list")
    evaluation = commands.add_parser("evaluation")
    evaluation.add_argument("--mixtures", type=int, default=40, help="to score")
    for command in (commands.choices["loading"], mixing, evaluation):
        command.add_argument("--nj", type=int, default=os.cpu_count(), help="processes")
        command.add_argument("--dir", type=Path, help="where to work (default: the system's)")
    print(run(parser.parse_args()))


def run(arguments: argparse.Namespace) -> str:
    """Run the benchmark that the command line names; returns its table."""
    for name in ("batch_size", "chunk_size", "repetitions", "mixtures", "nj"):
        if getattr(arguments, name, 1) < 1:
            raise RecipeError(f"--{name} {getattr(arguments, name)}: 1 or more")
    if getattr(arguments, "chunk_size", SHORTEST_CHUNK) < SHORTEST_CHUNK:
        raise RecipeError(f"--chunk_size {arguments.chunk_size}: {SHORTEST_CHUNK} samples or more")
    if arguments.command == "mixing":
        return compare_mixing(arguments.mixtures, arguments.nj, arguments.dir)
    if arguments.command == "evaluation":
        return compare_evaluation(arguments.mixtures, arguments.nj, arguments.dir)
    if arguments.command == "streaming":
        for name in ("call_ms", "seconds"):
            if not getattr(arguments, name) > 0:
                raise RecipeError(f"--{name} {getattr(arguments, name)}: more than 0")
        return compare_streaming(load_systems(arguments), arguments.call_ms, arguments.seconds)
    check_backends(getattr(arguments, "backends", []))
    work = Work(arguments.batch_size, arguments.chunk_size, arguments.repetitions)
    if arguments.command == "loading":
        return compare_loading(work, arguments.nj, arguments.dir)
    work = replace(work, device=pick_device(arguments.device))
    if work.device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, as Asteroid's convolutions are run
    systems = load_systems(arguments)
    if arguments.command == "training":
        return compare_training(systems, work, arguments.peer)
    return compare_inference(systems, work, arguments.peer, arguments.backends)


def load_systems(arguments: argparse.Namespace) -> dict[str, Conf]:
    """Configurations of the systems that the command line names."""
    return {
        tag: load_config("espeak-2mix", tag, None, arguments.overrides) for tag in arguments.tag
    }


if __name__ == "__main__":
    run_command(main)
