"""One speaker alone: how far below the first output the second one is.

Separates sources of tt, one at a time, and compares the energies of the two loudest outputs.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import numpy as np
from tqdm import tqdm

from separation.arguments import make_parser
from separation.config import load_resolved
from separation.corpus.audio import read_audio
from separation.corpus.layout import Corpus
from separation.corpus.manifest import read_manifest
from separation.inference.separator import Separator, pick_device
from separation.models.shelf import find_system

WANTED_DB = 20.0
N_SOURCES = 100


def main() -> None:
    """Parse the command line, separate the sources, print the share and quantiles."""
    arguments = make_parser(__doc__, "exp_dir", "data_dir", "device").parse_args()
    exp_dir = find_system(arguments.exp_dir)
    corpus = Corpus.of(load_resolved(exp_dir), arguments.data_dir)
    separator = Separator.from_experiment(exp_dir, pick_device(arguments.device))
    manifest = read_manifest(corpus.manifest("tt"), corpus.n_src, corpus.numbers[0])
    places = np.linspace(0, len(manifest) - 1, min(N_SOURCES, len(manifest))).round().astype(int)
    distances = np.array(
        [
            distance(separator, read_audio(path, separator.sample_rate))
            for path in tqdm(manifest["source_1_path"].iloc[places], "one speaker", unit="source")
        ]
    )
    low, median, high = np.quantile(distances, [0.05, 0.5, 0.95])
    print(
        f"second output {WANTED_DB:g} dB or more below the first:"
        f" {(distances >= WANTED_DB).sum()} of {len(distances)};"
        f" median {median:.1f} dB, 5 % {low:.1f}, 95 % {high:.1f}"
    )


def distance(separator: Separator, source: np.ndarray) -> float:
    """Energy of the loudest output for ``(time,)`` over that of the next one, dB; at most 100."""
    energies = np.sort(np.square(separator.separate(source, separator.sample_rate)).sum(1))
    return float(10 * np.log10(energies[-1] / max(energies[-2], 1e-10 * energies[-1])))


if __name__ == "__main__":
    run_command(main)
