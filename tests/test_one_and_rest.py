"""The scripts of stages 3 and 4 with a system of one_and_rest, and the one that counts on cv."""

import pandas as pd
import pytest

from separation.corpus.layout import Corpus
from separation.corpus.manifest import make_manifests
from separation.corpus.mixing import mix_split
from separation.evaluation.results import read_results
from separation.inference.recursion import read_rule
from separation.models.registry import RULE_FILE
from tiny_corpus import make_sources
from tiny_experiment import TINY

SYSTEM = ["--corpus", "espeak-2mix", "--tag", "one_and_rest"]
CHANGES = ["--", *TINY, "corpus.n_src=[1,2]"]


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "data"
    make_sources(folder, {"tr": 2, "cv": 2, "tt": 3}, (1, 2))
    corpus = Corpus(folder, folder / "wav8k" / "min", 2, several=(1, 2))
    for split in ("tr", "cv", "tt"):
        mix_split(corpus, split, 1)
    make_manifests(corpus, 1)
    return folder


def test_train_count_evaluate(run, tmp_path, data_dir):
    exp_dir, results = tmp_path / "exp", tmp_path / "results.csv"
    places = ["--data_dir", data_dir, "--exp_dir", exp_dir]
    status, error, _ = run("train", [*SYSTEM, *places, *CHANGES])
    assert (status, error) == (0, "")
    chosen = read_rule(exp_dir)
    assert chosen.n_max == 2
    (exp_dir / RULE_FILE).unlink()
    evaluation = ["--exp_dir", exp_dir, "--data_dir", data_dir, "--results", results]
    status, error, _ = run("evaluate", evaluation)
    assert status == 1
    assert "stop_rule.yaml is missing: local/stop_rule.py chooses it on cv" in error
    assert run("stop_rule", places)[:2] == (0, "")
    assert read_rule(exp_dir) == chosen
    kept = (exp_dir / RULE_FILE).stat()
    assert run("stop_rule", [*places, "--compare"])[:2] == (0, "")
    assert (exp_dir / RULE_FILE).stat() == kept
    assert run("evaluate", evaluation)[:2] == (0, "")
    scores = pd.read_csv(exp_dir / "eval_tt" / "speakers.csv")
    assert scores["n_sources"].tolist() == [1, 1, 1, 2, 2, 2]
    assert set(scores["n_estimates"]) <= {1, 2}
    rows = read_results(results).set_index("subset")
    assert rows.index.tolist()[:3] == ["all", "1 speaker", "2 speakers"]
    assert rows.loc["FM", "n_mixtures"] == rows.loc["2 speakers", "n_mixtures"] == 3
    assert rows.loc["2 speakers", "si_sdri"] == pytest.approx(scores["si_sdri"].mean(), abs=1e-3)


def test_nothing_to_choose_for_a_fixed_number(run, world):
    places = ["--data_dir", world.data_dir, "--exp_dir", world.exp_dir]
    status, error, _ = run("stop_rule", places)
    assert status == 1
    assert "not of training.assignment one_and_rest: nothing to choose" in error
