"""An evaluation that is killed resumes at its first missing row."""

import json
import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch

from separation.config import load_corpus_config
from separation.evaluation.evaluator import evaluate_split, read_split
from separation.evaluation.oracles import Oracle
from separation.evaluation.part import PART, evaluation_key, read_part
from separation.inference.separator import Separator
from separation.process import parallel
from tiny_corpus import make_corpus

ONE = parallel(1, return_as="generator")
SETTINGS = {"metrics": ["si_sdr", "mse"], "metrics_backend": "own", "n_examples": 2}


class Counting(Oracle):
    """An oracle that counts its mixtures, and kills the process at one of them."""

    def __init__(self, kill_at=None):
        super().__init__("oracle_ibm", load_corpus_config("espeak-2mix", []))
        self.calls, self.kill_at = 0, kill_at

    def separate(self, mixture, references):
        if self.calls == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.calls += 1
        return super().separate(mixture, references)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, {"tr": 1, "cv": 1, "tt": 6})
    return read_split(folder / "wav8k" / "min" / "tt.csv", 2, 0)


def killed(table, folder, kill_at=3, inputs=None):
    """Evaluate in a process that is killed at a mixture; returns the lines that it leaves."""
    child = os.fork()
    if child == 0:
        evaluate_split(Counting(kill_at), table, folder, SETTINGS, ONE, inputs)
        os._exit(1)  # not reached
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not (folder / "scores.csv").exists()
    return (folder / PART).read_text().splitlines()


def test_a_killed_run_resumes_and_ends_as_one_run(table, tmp_path, capsys):
    whole, again = Counting(), Counting()
    expected = evaluate_split(whole, table, tmp_path / "whole", SETTINGS, ONE)
    assert whole.calls == 6
    lines = killed(table, tmp_path / "part")
    assert len(lines) == 1 + 3
    evaluate_split(again, table, tmp_path / "part", SETTINGS, ONE)
    assert again.calls == 6 - 3
    assert "part: 3 of 6 mixtures were scored before" in capsys.readouterr().out
    one, two = ((tmp_path / name / "scores.csv").read_bytes() for name in ("whole", "part"))
    assert one == two
    assert np.isfinite(expected["si_sdri"]).all()
    # Audio examples of the killed run are kept, and nothing of the part file is.
    folders = [sorted(p.name for p in (tmp_path / n).iterdir()) for n in ("whole", "part")]
    assert folders[0] == folders[1] == ["examples", "scores.csv"]
    assert len(list((tmp_path / "part" / "examples").iterdir())) == 2


def test_scores_of_mixtures_of_the_killed_run_are_kept_with_the_others(table, tmp_path):
    path = tmp_path / ".tt.inputs"
    killed(table, tmp_path / "part", inputs=path)
    assert not path.exists()
    evaluate_split(Counting(), table, tmp_path / "part", SETTINGS, ONE, path)
    resumed = path.read_bytes()
    path.unlink()
    evaluate_split(Counting(), table, tmp_path / "whole", SETTINGS, ONE, path)
    assert path.read_bytes() == resumed
    assert resumed.count(b"si_sdr") == len(table)


def test_a_line_that_was_cut_short_is_scored_again(table, tmp_path):
    killed(table, tmp_path)
    path = tmp_path / PART
    path.write_bytes(path.read_bytes()[:-20])
    system = Counting()
    evaluate_split(system, table, tmp_path, SETTINGS, ONE)
    assert system.calls == 6 - 2


def other_metrics(table, settings):
    return table, settings | {"metrics": ["si_sdr"]}


def other_data(table, settings):
    return table.assign(data_fingerprint="other"), settings


@pytest.mark.parametrize("change", [other_metrics, other_data])
def test_scores_of_other_settings_or_data_are_not_used(table, tmp_path, change):
    killed(table, tmp_path)
    system = Counting()
    table, settings = change(table, SETTINGS)
    scores = evaluate_split(system, table, tmp_path, settings, ONE)
    assert system.calls == len(scores) == 6


def test_a_damaged_file_is_not_used(table, tmp_path):
    key = json.loads(killed(table, tmp_path)[0])
    assert len(read_part(tmp_path / PART, key)) == 3
    assert read_part(tmp_path / PART, "another") == []
    (tmp_path / PART).write_text(f'{json.dumps(key)}\n{{"score": 1}}\n')
    assert read_part(tmp_path / PART, key) == []
    (tmp_path / PART).write_bytes(b"\xff\n")
    assert read_part(tmp_path / PART, key) == []


class Gain(torch.nn.Module):
    sample_rate = 8000

    def __init__(self, gain):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor([gain, 1.0]))

    def forward(self, mixtures):
        return self.gain[:, None] * mixtures[:, None]


def test_the_key_follows_the_weights_and_not_the_choice_of_splits():
    table = pd.DataFrame({"mixture_ID": ["a"]})
    settings = {**SETTINGS, "splits": ["tt"]}
    systems = [Separator(Gain(0.5)), Separator(Gain(0.5)), Separator(Gain(0.6))]
    systems.append(Separator(Gain(0.5), bf16=True))
    keys = [evaluation_key(system, table, settings) for system in systems]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert keys[0] == evaluation_key(systems[0], table, {**SETTINGS, "splits": ["tr"]})
    masks = [Oracle(f"oracle_{m}", load_corpus_config("espeak-2mix", [])) for m in ("ibm", "irm")]
    assert len({evaluation_key(mask, table, settings) for mask in masks}) == 2
