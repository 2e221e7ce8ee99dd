"""Write a trained system as an ONNX file, compared with the network before it has its name.

`--kind offline` takes recordings of any length, `fixed` of `--length` seconds, `streaming` hops and
the state before them. `separate.py` and `live.py` take the file for `--exp_dir`.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import argparse
import tempfile
from pathlib import Path

import numpy as np

from separation.arguments import make_parser
from separation.config import load_resolved
from separation.corpus.audio import audio_info, read_audio
from separation.corpus.layout import Corpus
from separation.corpus.manifest import read_manifest
from separation.errors import RecipeError
from separation.evaluation.metrics import evaluate_mixture
from separation.inference.live import LiveSeparator
from separation.inference.onnx import (
    OnnxNetwork,
    OnnxStreamingNetwork,
    export_offline,
    export_streaming,
    load_onnx,
    quantize,
)
from separation.inference.recursion import refuse_one_and_rest
from separation.inference.separator import Separator
from separation.inference.streaming import Streamer
from separation.models.registry import load_model
from separation.models.shelf import SHELF, find_system

KINDS = ("offline", "fixed", "streaming")
N_MIXTURES = 20  # that int8 is scored on


def main() -> None:
    """Write the file, say how far it is from the network."""
    arguments = parse_arguments()
    path: Path = arguments.out
    exp_dir = find_system(arguments.exp_dir)
    refuse_one_and_rest(exp_dir, "an ONNX file")
    model, conf = load_model(exp_dir), load_resolved(exp_dir)
    facts = {"licence": arguments.licence, "trained_on": conf["corpus"]["name"]}
    length = None if arguments.length is None else round(arguments.length * model.sample_rate)
    if length is not None and length < 1:
        raise RecipeError(f"--length {arguments.length}: more than 0 seconds")
    mixtures = scoring_mixtures(conf, arguments.data_dir) if arguments.int8 else []
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.name if arguments.int8 else path
        try:
            if arguments.kind == "streaming":
                error = export_streaming(model, plain, facts)
            else:
                error = export_offline(model, plain, length, facts)
        except RecipeError as wrong:  # it does not know whose network it is
            raise RecipeError(f"{arguments.exp_dir}: {wrong}") from wrong
        print(f"{path}: differs from the network by {error:.1e} of the largest estimate")
        if arguments.int8:
            quantize(plain, path)
            before, after = (score(load_onnx(file), mixtures) for file in (plain, path))
            print(
                f"int8: SI-SDR {after:.2f} dB, {before - after:z.2f} dB less than in float32"
                f" ({len(mixtures)} mixtures)"
            )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def parse_arguments() -> argparse.Namespace:
    """Read the command line.

    Raises:
        RecipeError: a name that does not end in .onnx, or a length without its kind.
    """
    parser = make_parser(
        __doc__,
        *("exp_dir", "data_dir"),
        data_dir={
            "required": False,
            "help": "a corpus whose test set --int8 is scored on (default: pretrained/sample)",
        },
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="the file, NAME.onnx")
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default="offline",
        help="what the file takes, see above (default: offline)",
    )
    parser.add_argument("--length", type=float, help="of the recordings of --kind fixed, seconds")
    parser.add_argument(
        "--int8", action="store_true", help="8-bit weights; the SI-SDR that this costs is printed"
    )
    parser.add_argument("--licence", default="", help="of the weights, written into the file")
    arguments = parser.parse_args()
    if arguments.out.suffix != ".onnx":
        raise RecipeError(f"-o {arguments.out}: the file's name must end in .onnx")
    if (arguments.kind == "fixed") != (arguments.length is not None):
        raise RecipeError("--length SECONDS belongs to --kind fixed, and --kind fixed needs it")
    return arguments


Mixture = tuple[np.ndarray, np.ndarray, int]  # mixture, sources, Hz


def scoring_mixtures(conf: dict, data_dir: Path | None) -> list[Mixture]:
    """Mixtures of tt, spread over it; those of ``pretrained/sample`` without ``data_dir``."""
    if data_dir is None:
        if conf["corpus"]["n_src"] != 2:
            raise RecipeError("--int8 needs --data_dir, to be scored: the sample has 2 speakers")
        folders = [path.parent for path in sorted(SHELF.glob("sample/*/mix.flac"))]
        files = [[folder / f"{name}.flac" for name in ("mix", "s1", "s2")] for folder in folders]
    else:
        corpus = Corpus.of(conf, data_dir)
        table = read_manifest(corpus.manifest("tt"), corpus.n_src)
        rows = np.linspace(0, len(table) - 1, min(N_MIXTURES, len(table))).round().astype(int)
        columns = ["mixture_path", *(f"source_{k + 1}_path" for k in range(corpus.n_src))]
        files = [[Path(cell) for cell in row] for row in table.iloc[rows][columns].to_numpy()]
    return [
        (
            read_audio(mix),
            np.stack([read_audio(path) for path in sources]),
            audio_info(mix).sample_rate,
        )
        for mix, *sources in files
    ]


def score(network: OnnxNetwork | OnnxStreamingNetwork, mixtures: list[Mixture]) -> float:
    """Mean SI-SDR of the estimates, dB."""
    scores = []
    for mixture, sources, rate in mixtures:
        if isinstance(network, OnnxStreamingNetwork):
            separator = LiveSeparator(Streamer(network), rate)
            estimates = np.concatenate([separator.feed(mixture), separator.flush()], -1)
        else:
            estimates = Separator(network).separate(mixture, rate)
        scores.append(evaluate_mixture(mixture, sources, estimates, rate, ["si_sdr"]))
    return float(np.mean([one.values["si_sdr"] for one in scores]))


if __name__ == "__main__":
    run_command(main)
