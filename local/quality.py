"""Estimates of the quality of separated recordings that have no references. They are no quality.

Real recordings have no references to score against. For each recording of MIXTURES and its outputs
in ESTIMATES this writes a row to OUT:

dnsmos         opinion score that a network guesses (1 to 5), mean over the outputs;
               input_dnsmos is that of the recording
residual_db    energy of recording minus sum of outputs, over that of the recording
activity_1 ..  share of time in which an output is active
correlation    largest correlation of the waveforms of two outputs; high: a speaker is in both

All may be good while a speaker is in the wrong output; only references or ears tell.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from separation.arguments import make_parser
from separation.config import BASE, read_yaml
from separation.corpus.audio import audio_info, read_audio
from separation.errors import MetricError, RecipeError
from separation.evaluation.blind import activities, correlation, residual_db
from separation.evaluation.external import PATTERN, find_estimates, read_estimates
from separation.evaluation.perceptual import dnsmos_scores
from separation.files import atomic_path, visible
from separation.process import parallel
from separation.ranges import check_values


def main() -> None:
    """Parse the command line, look at every recording, print the means."""
    parser = make_parser(__doc__)
    parser.add_argument("--mixtures", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--estimates", type=Path, required=True, help="folder of the outputs")
    parser.add_argument(
        "--pattern",
        default=PATTERN,
        help="path of an output in that folder, outputs counting from 1 (default: %(default)s);"
        " recordings have its suffix",
    )
    parser.add_argument(
        "--n_src", type=int, default=2, help="outputs of a recording (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, help="CSV file (default: ESTIMATES/quality.csv)")
    parser.add_argument(
        "--nj",
        type=int,
        default=read_yaml(BASE)["nj"],
        help="processes; 0: one a core (default: %(default)s)",
    )
    arguments = parser.parse_args()
    check_values({"nj": arguments.nj, "corpus": {"n_src": arguments.n_src}})
    suffix = Path(arguments.pattern).suffix
    recordings = {path.stem: path for path in visible(arguments.mixtures, f"*{suffix}")}
    if not recordings:
        raise RecipeError(f"{arguments.mixtures}: no recording *{suffix} in it")
    paths = find_estimates(
        arguments.estimates, arguments.pattern, list(recordings), arguments.n_src
    )
    jobs = (delayed(look_at)(path, paths[name]) for name, path in recordings.items())
    rows = parallel(arguments.nj, return_as="generator")(jobs)
    table = pd.DataFrame(tqdm(rows, total=len(recordings), desc="quality", unit="recording"))
    table = table[[*(c for c in table if c != "failure"), "failure"]]
    out = arguments.out or arguments.estimates / "quality.csv"
    with atomic_path(out) as temporary:
        table.to_csv(temporary, index=False)
    means = table.drop(columns="length").mean(numeric_only=True).items()
    print(f"means: {', '.join(f'{name} {value:.2f}' for name, value in means)}")
    failed = int((table["failure"] != "").sum())
    print(f"{len(table)} recordings, {failed} with a failure; estimates of quality are in {out}")


def look_at(recording: Path, outputs: list[Path]) -> dict[str, float | str]:
    """The row of one recording; what is wrong with its outputs is its failure."""
    rate = audio_info(recording).sample_rate
    mixture = read_audio(recording, rate).astype(np.float64)
    row: dict[str, float | str] = {"mixture_ID": recording.stem, "length": len(mixture)}
    signals, failures = read_estimates(outputs, rate, len(mixture))
    if not failures:
        estimates = np.stack(signals).astype(np.float64)
        try:
            row["input_dnsmos"] = round(dnsmos_scores(mixture, rate)[2], 4)
            opinions = [dnsmos_scores(estimate, rate)[2] for estimate in estimates]
            row["dnsmos"] = round(float(np.mean(opinions)), 4)
        except MetricError as error:
            failures.append(f"dnsmos: {error}")
        row["residual_db"] = round(residual_db(mixture, estimates), 2)
        for number, share in enumerate(activities(mixture, estimates, rate), start=1):
            row[f"activity_{number}"] = round(float(share), 3)
        row["correlation"] = round(correlation(estimates), 4)
    return row | {"failure": "; ".join(failures)}


if __name__ == "__main__":
    run_command(main)
