"""Separate recordings with a trained system.

Each `NAME.wav` becomes `NAME_s1.wav`, `NAME_s2.wav`, ... of its length, rate and sample format, one
a speaker: two with most systems, as many as there are with one of `--tag one_and_rest`. The system
is a model of the shelf, `voices` by default, or an experiment of your own.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from separation.arguments import make_parser
from separation.corpus.audio import AudioInfo
from separation.errors import RecipeError
from separation.inference.long import is_long, separate_long
from separation.inference.recording import (
    check_recording,
    fit_to_full_scale,
    output_paths,
    read_mono,
    write_sources,
)
from separation.inference.recursion import open_separator
from separation.inference.separator import Separator, pick_device
from separation.models.shelf import describe_shelf, find_system

DEFAULT = Path("voices")  # of the shelf


def main() -> None:
    """Parse the command line, check all inputs, then separate one after the other."""
    parser = make_parser(
        __doc__,
        *("exp_dir", "device", "precision"),
        exp_dir={
            "required": False,
            "default": DEFAULT,
            "help": "a trained system, the name of one of the shelf, or an ONNX file"
            f" (default: {DEFAULT})",
        },
    )
    parser.add_argument("--list_models", action=ListModels, help="print the shelf and end")
    parser.add_argument(
        "recordings", nargs="+", type=Path, metavar="RECORDING", help="wav, flac, ogg, mp3, ..."
    )
    parser.add_argument("-o", "--out_dir", type=Path, required=True, help="where the sources go")
    parser.add_argument(
        "--mixdown", action="store_true", help="average the channels of stereo files"
    )
    parser.add_argument(
        "--n_src",
        default="",
        metavar="N",
        help="speakers: a number, or auto: as many as are found, with a system of one_and_rest"
        " (default: auto where it can, else the outputs of the network)",
    )
    arguments = parser.parse_args()

    headers = [check_recording(path, arguments.mixdown) for path in arguments.recordings]
    device = pick_device(arguments.device)
    exp_dir = find_system(arguments.exp_dir)
    separator = open_separator(exp_dir, device, arguments.precision, arguments.n_src)
    outputs = output_paths(arguments.recordings, arguments.out_dir, separator.n_src)
    for recording, info, paths in zip(arguments.recordings, headers, outputs, strict=True):
        written = separate_file(separator, recording, info, paths, exp_dir)
        print(f"{recording} -> {', '.join(map(str, written))}")


class ListModels(argparse.Action):
    """Prints what is on the shelf, and ends the program."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print and end."""
        print(describe_shelf())
        parser.exit()


def separate_file(
    separator: Separator, recording: Path, info: AudioInfo, paths: list[Path], system: Path
) -> list[Path]:
    """Separate one recording into ``paths``, one a source, in segments if it is long.

    Returns:
        the paths that were written, the first ones where there are fewer sources.
    """
    if info.sample_rate > separator.sample_rate:
        warn(
            f"{recording}: {info.sample_rate} Hz, but the system was trained at"
            f" {separator.sample_rate} Hz: nothing above {separator.sample_rate // 2} Hz is kept"
        )
    if is_long(info, separator.counts):
        written, attenuation = separate_long(separator, recording, info, paths, system)
    else:
        written, attenuation = separate_whole(separator, recording, info, paths)
    for path in (path for path in paths[len(written) :] if path.exists()):
        warn(f"{path}: of an earlier run; this one found fewer speakers")
    if attenuation:
        warn(
            f"{recording}: the sources exceed the full scale of {info.subtype};"
            f" all of them are {attenuation:.1f} dB quieter"
        )
    return written


def separate_whole(
    separator: Separator, recording: Path, info: AudioInfo, paths: list[Path]
) -> tuple[list[Path], float]:
    """Separate a recording in one go.

    Returns:
        the paths that were written, and the attenuation in dB that full scale takes.
    """
    samples = read_mono(recording)
    try:
        sources = separator.separate(samples, info.sample_rate)
    except RecipeError as error:
        raise RecipeError(f"{recording}: {error}") from error
    if not np.isfinite(sources).all():
        raise RecipeError(f"{recording}: the network gives NaN or Inf for it; nothing is written")
    sources, attenuation = fit_to_full_scale(sources, info.subtype)
    paths = paths[: len(sources)]
    write_sources(paths, sources, info.sample_rate, info)
    return paths, attenuation


def warn(message: str) -> None:
    """Print a warning beside the results."""
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
