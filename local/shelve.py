"""Put a trained system on the shelf, `pretrained/NAME`: weights in float16, configuration, log.

Its SI-SDRi on the mixtures of `pretrained/sample` is written beside it; the tests compare it.
`local/evaluate.py --exp_dir NAME` then writes its scores to `pretrained/NAME/results.csv`. Its
card, `pretrained/NAME/README.md`, is written by hand; `separate.py --list_models` shows its title.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from pathlib import Path

import numpy as np
import pandas as pd

from separation.arguments import make_parser
from separation.corpus.audio import audio_info, read_audio
from separation.evaluation.metrics import evaluate_mixture
from separation.files import atomic_path
from separation.inference.separator import Separator
from separation.models.shelf import SHELF, put_on_shelf


def main() -> None:
    """Parse the command line, copy the system, and score its copy."""
    parser = make_parser(__doc__, "exp_dir", exp_dir={"help": "the folder of the experiment"})
    parser.add_argument("--name", required=True, help="of the model on the shelf")
    arguments = parser.parse_args()
    folder = put_on_shelf(arguments.exp_dir, arguments.name)
    with atomic_path(folder / "sample.csv") as temporary:
        score_sample(folder).to_csv(temporary, index=False)
    print(f"{folder}: {(folder / 'model.pth').stat().st_size / 1e6:.1f} MB")


def score_sample(exp_dir: Path) -> pd.DataFrame:
    """SI-SDRi of a system, dB, on each mixture of ``pretrained/sample``."""
    separator = Separator.from_experiment(exp_dir)
    rows = []
    for folder in sorted(path.parent for path in SHELF.glob("sample/*/mix.flac")):
        mixture, *sources = (read_audio(folder / f"{name}.flac") for name in ("mix", "s1", "s2"))
        rate = audio_info(folder / "mix.flac").sample_rate
        estimates = separator.separate(mixture, rate)
        scores = evaluate_mixture(mixture, np.stack(sources), estimates, rate, ["si_sdr"])
        rows.append({"mixture": folder.name, "si_sdri": round(scores.values["si_sdri"], 3)})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    run_command(main)
