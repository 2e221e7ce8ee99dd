"""Separate while people talk: microphone in, files or a loudspeaker out.

The sources go to `NAME_s1.wav`, `NAME_s2.wav` in the folder of -o, which grow while it runs, to an
output device (source 1 left, source 2 right), or to both. In a terminal the keys 1, 2, ... choose
what is heard, 0 the mixture, b both sides again. Ctrl-C ends it.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import argparse
import contextlib
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from asteroid.models import BaseModel

from separation.arguments import CAUSAL_SYSTEM, make_parser
from separation.corpus.audio import audio_info
from separation.errors import RecipeError
from separation.inference.devices import Keys, Loudspeaker, Microphone, list_devices
from separation.inference.live import (
    GrowingFiles,
    LiveSeparator,
    Sink,
    Status,
    read_blocks,
    separate_live,
)
from separation.inference.onnx import OnnxStreamingNetwork, load_streaming
from separation.inference.recursion import refuse_one_and_rest
from separation.inference.segments import SegmentStreamer
from separation.inference.streaming import Streamer
from separation.models.fast import keep_freed_memory
from separation.models.registry import load_model
from separation.models.shelf import find_system

REPORT_SECONDS = 0.5


def main() -> None:
    """Parse the command line and separate until the input ends."""
    arguments = parse_arguments()
    if arguments.list_devices:
        print(list_devices())
        return
    if not (arguments.out_dir or arguments.play):
        raise RecipeError("nowhere to put the sources: give -o FOLDER, --play, or both")
    for name in ("frames_per_call", "threads"):
        if getattr(arguments, name) < 1:
            raise RecipeError(f"--{name} {getattr(arguments, name)}: 1 or more")
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    streamer = open_streamer(arguments)
    if arguments.source is not None and not 0 <= arguments.source <= streamer.n_src:
        raise RecipeError(f"--source {arguments.source}: from 0, the mixture, to {streamer.n_src}")
    status = Status(0.0)
    blocks, rate, latency, name = open_input(arguments, status)
    separator = LiveSeparator(streamer, rate)
    status.latency = separator.latency + arguments.frames_per_call / rate + latency
    files = speaker = None
    if arguments.play:
        name_of_output, chosen = arguments.output_device, arguments.source
        speaker = Loudspeaker(name_of_output, rate, streamer.n_src, chosen)
        status.latency += speaker.latency
    if arguments.out_dir:
        paths = [arguments.out_dir / f"{name}_s{k + 1}.wav" for k in range(streamer.n_src)]
        files = GrowingFiles(paths, rate)
    sinks: list[Sink] = [sink for sink in (files, speaker) if sink]
    with Keys() as keys, contextlib.suppress(KeyboardInterrupt):  # Ctrl-C and kill end it
        separate_live(separator, blocks, sinks, status, Reporter(keys, speaker).report)
    finish(status, streamer, files)


def open_streamer(arguments: argparse.Namespace) -> Streamer | SegmentStreamer:
    """What separates a stream: hop by hop, or with --lookahead_ms in segments.

    Raises:
        RecipeError: a system that needs more than the past without a lookahead, or the other way
            round.
    """
    network, ahead = open_network(arguments.exp_dir), arguments.lookahead_ms
    try:
        streamer = Streamer(network, level=not arguments.no_level)
    except RecipeError as error:
        if ahead is None:
            advice = "--lookahead_ms 1000 lets it wait for what follows"
            raise RecipeError(f"{arguments.exp_dir}: {error}; {advice}") from None
    else:
        if ahead is not None:
            raise RecipeError(
                f"--lookahead_ms is for systems that are not causal; {arguments.exp_dir} is"
            )
        return streamer
    samples = round(ahead / 1000 * network.sample_rate)
    if samples < 2:
        raise RecipeError(f"--lookahead_ms {ahead:g}: 1 or more")
    return SegmentStreamer(network, samples)


def open_network(system: Path) -> BaseModel | OnnxStreamingNetwork:
    """The network of a trained system, or of a streaming ONNX file."""
    if system.suffix == ".onnx":
        return load_streaming(system)
    exp_dir = find_system(system)
    refuse_one_and_rest(exp_dir, "local/live.py")
    return load_model(exp_dir)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        "exp_dir",
        exp_dir=CAUSAL_SYSTEM,
    )
    parser.add_argument("-o", "--out_dir", type=Path, help="folder of the files that grow")
    parser.add_argument("--play", action="store_true", help="play the sources")
    parser.add_argument("--source", type=int, help="with --play: this one alone; 0: the mixture")
    parser.add_argument("--list_devices", action="store_true", help="print the devices and end")
    for kind in ("input", "output"):
        parser.add_argument(
            f"--{kind}_device",
            metavar="NAME",
            help="its number or part of its name (default: the system's)",
        )
    parser.add_argument("--rate", type=int, help="of the devices, Hz (default: the input's own)")
    parser.add_argument("--mixdown", action="store_true", help="average the channels of the input")
    parser.add_argument(
        "--frames_per_call",
        type=int,
        default=480,
        help="samples that are waited for before each step (default: 480)",
    )
    parser.add_argument(
        "--lookahead_ms",
        type=float,
        metavar="MS",
        help="let a system that is not causal wait for so much of what follows",
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads of the network (default: 1)"
    )
    parser.add_argument(
        "--no_level", action="store_true", help="leave the levels that the network gives"
    )
    parser.add_argument(
        "--simulate", type=Path, metavar="FILE", help="read a file in place of a microphone"
    )
    parser.add_argument(
        "--full_speed", action="store_true", help="with --simulate: as fast as it goes"
    )
    return parser.parse_args()


def open_input(
    arguments: argparse.Namespace, status: Status
) -> tuple[Iterable[np.ndarray], int, float, str]:
    """Blocks, their rate, the latency of their device in seconds, and a name for files."""
    size = arguments.frames_per_call
    if arguments.simulate is None:
        microphone = Microphone(
            arguments.input_device, size, arguments.rate, arguments.mixdown, status
        )
        name = datetime.now().strftime("live-%Y-%m-%d-%H-%M-%S")
        return microphone, microphone.rate, microphone.latency, name
    path: Path = arguments.simulate
    info = audio_info(path)
    if info.frames == 0:
        raise RecipeError(f"{path}: no samples in it")
    if info.channels > 1 and not arguments.mixdown:
        print(f"{path}: {info.channels} channels; the first one is taken", file=sys.stderr)
    blocks = read_blocks(path, size, arguments.mixdown, not arguments.full_speed)
    return blocks, info.sample_rate, 0.0, path.stem


class Reporter:
    """Shows the status, in a terminal on one line, and lets keys choose what is heard."""

    def __init__(self, keys: Keys, speaker: Loudspeaker | None) -> None:
        self.keys, self.speaker = keys, speaker
        self.last = -REPORT_SECONDS

    def report(self, status: Status) -> None:
        """Show the status twice a second."""
        key = self.keys.pressed()
        if self.speaker and key:
            self.speaker.choose(key)
        now = time.monotonic()
        if now - self.last >= REPORT_SECONDS and sys.stderr.isatty():
            self.last = now
            print(f"\r{status.line()}", end="", file=sys.stderr, flush=True)


def finish(
    status: Status, streamer: Streamer | SegmentStreamer, files: GrowingFiles | None
) -> None:
    """Say how it went, and where the files are."""
    print(f"\r{status.line().strip()}" if sys.stderr.isatty() else status.line().strip())
    if streamer.bad_samples:
        print(f"warning: {streamer.bad_samples} samples were NaN or infinite", file=sys.stderr)
    if files is not None:
        if files.clipped:
            print(
                f"warning: {files.clipped} samples beyond full scale were clipped", file=sys.stderr
            )
        print(f"sources are in {', '.join(map(str, files.paths))}")


if __name__ == "__main__":
    run_command(main)
