"""A results folder and an experiments folder to report."""

import numpy as np
import pandas as pd
import pytest

from report_files import example, result_file
from separation.config import load_config, save_resolved


@pytest.fixture
def results_dir(tmp_path):
    folder = tmp_path / "results"
    scores = {("tt", "all"): 6.512, ("tt", "FF"): 5, ("tt", "FM"): 7.25, ("tr", "all"): 9.5}
    result_file(folder / "toy_small.csv", "toy", "small", scores, epochs=12, n_failed=2)
    scores = {("tt", "all"): 11.0, ("tt", "FM"): 12.0}
    result_file(folder / "toy_big.csv", "toy", "big", scores, commit="abc1234")
    result_file(
        folder / "trio_small.csv", "trio-3spk", "small", {("tt", "FFM"): 3, ("tt", "all"): 4}
    )
    return folder


@pytest.fixture
def exp_root(tmp_path):
    folder = tmp_path / "exp" / "toy_small"
    for number, name in enumerate(("a&b", "c")):
        example(folder / "eval_tt" / "examples" / name, number)
    conf = load_config("espeak-2mix", "small", None, [])
    conf["corpus"]["name"] = "toy"
    save_resolved(conf, folder / "conf.yaml")
    pd.DataFrame(
        {
            "mixture_ID": ["a&b", "c", "d"],
            "gender_1": ["F", "M", ""],
            "gender_2": ["F", "F", "M"],
            "input_si_sdr": [0.0, 1.0, -1.0],
            "si_sdri": [7.04, np.nan, 3.0],
        }
    ).to_csv(folder / "eval_tt" / "scores.csv", index=False)
    pd.DataFrame(
        {"epoch": [0, 1], "loss": [1.0, -2.0], "val_loss": [0.0, -1.0], "lr": 1e-3}
    ).to_csv(folder / "training_log.csv", index=False)
    return tmp_path / "exp"
