"""./run.sh itself, all stages, on a tiny corpus in a folder with a space in its name."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from recipe_copy import TINY, run


@pytest.fixture
def recipe(whole_run):
    return whole_run[0]


@pytest.fixture
def first(whole_run):
    return whole_run[1]


def test_all_stages_run(recipe, first):
    assert first.returncode == 0, first.stdout + first.stderr
    results = pd.read_csv(recipe / "results" / "espeak-2mix_small.csv")
    whole = results[results["subset"] == "all"].set_index("split")
    assert whole.loc["tt", "n_mixtures"] == 2
    assert whole.loc["tr", "n_mixtures"] == 6
    per_mixture = pd.read_csv(recipe / "exp" / "espeak-2mix_small" / "eval_tt" / "scores.csv")
    assert whole.loc["tt", "si_sdri"] == pytest.approx(per_mixture["si_sdri"].mean(), abs=1e-4)
    assert "espeak-2mix" in first.stdout
    assert (recipe / "results" / "RESULTS.md").is_file()
    assert (recipe / "results" / "index.html").is_file()
    assert whole.loc["tt", "command"].startswith("./run.sh --nj 2 -- ")


def test_a_second_call_does_nothing_over(recipe, first):
    def stamps():
        folders = (recipe / "data", recipe / "exp")
        files = [p for f in folders for p in f.rglob("*") if p.is_file() and "plots" not in p.parts]
        return {path: path.stat().st_mtime_ns for path in files}

    before = stamps()
    again = run(recipe, "--nj", "1", "--", *TINY)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("done before") == 5
    assert stamps() == before


def test_the_model_separates_a_file(recipe, first, tmp_path):
    mixture = next((recipe / "data" / "espeak-2mix" / "wav8k" / "min" / "tt" / "mix").iterdir())
    result = subprocess.run(
        [
            sys.executable,
            recipe / "local" / "separate.py",
            *("--exp_dir", recipe / "exp" / "espeak-2mix_small", mixture, "-o", tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    outputs = sorted(tmp_path.iterdir())
    assert [p.name for p in outputs] == [f"{mixture.stem}_s1.wav", f"{mixture.stem}_s2.wav"]
    for path in outputs:
        assert soundfile.info(path).frames == soundfile.info(mixture).frames
        assert soundfile.info(path).subtype == "PCM_16"


def test_a_mistyped_key_is_one_line_and_changes_nothing(recipe, first):
    before = sorted(Path(recipe).rglob("*"))
    result = run(recipe, "--stage", "3", "--", "optim.lrr=1")
    assert result.returncode == 1
    assert result.stderr.strip().splitlines() == [
        "error: command line: unknown key 'optim.lrr' (did you mean 'lr'?)"
    ]
    assert sorted(Path(recipe).rglob("*")) == before


def test_evaluating_what_was_not_trained_says_so(recipe, first):
    result = run(recipe, "--tag", "paper", "--stage", "4", "--", *TINY)
    assert result.returncode == 1
    assert "best_model.pth is missing: stage 3 makes it" in result.stderr
