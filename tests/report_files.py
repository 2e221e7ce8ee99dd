"""Result files and experiment folders as stages 3 and 4 leave them, small."""

import numpy as np
import pandas as pd
import soundfile

from separation.evaluation.results import COLUMNS

RATE = 8000


def result_file(path, corpus, tag, scores, **facts):
    """Write a result file; ``scores`` maps (split, subset) to SI-SDRi."""
    rows = []
    for (split, subset), si_sdri in scores.items():
        row = dict.fromkeys(COLUMNS, "")
        row |= {"corpus": corpus, "tag": tag, "split": split, "subset": subset}
        row |= {"n_mixtures": 300, "n_failed": 0, "si_sdri": si_sdri, "stoi": 0.8765, "pesq": 2.345}
        row |= {"parameters": 1700000, "macs_per_second": 1250000000, "real_time_factor": 0.0213}
        rows.append(row | {"command": f"./run.sh --tag {tag}", "date": "2026-01-02"} | facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=COLUMNS).to_csv(path, index=False)


def example(folder, seed):
    """Write one example as stage 4 does."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for name in ("s1", "s2", "s1_estimate", "s2_estimate", "mix"):
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(RATE), RATE)
