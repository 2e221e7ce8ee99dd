"""Scoring on the workers of a Dask cluster on this machine."""

import os
import sys

import pytest
from joblib import delayed

from separation.config import load_corpus_config
from separation.errors import RecipeError
from separation.evaluation.evaluator import evaluate_split, read_split
from separation.evaluation.oracles import Oracle
from separation.evaluation.workers import connect, workers
from tiny_corpus import make_corpus

SETTINGS = {"metrics": ["si_sdr", "mse"], "metrics_backend": "own", "n_examples": 0}


@pytest.mark.parametrize("address", ["node1", "node1:8786", "http://node1:8786", "tcp://node1"])
def test_not_an_address(address):
    with pytest.raises(RecipeError, match="not an address; give one such as tcp://node1:8786"):
        connect(address)


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RecipeError, match="--scheduler tcp://n:1: package distributed is missing"):
        connect("tcp://n:1")


def test_no_scheduler_there(monkeypatch):
    pytest.importorskip("distributed", reason="distributed is not installed")
    monkeypatch.setattr("separation.evaluation.workers.CONNECT_SECONDS", 0.5)
    with pytest.raises(RecipeError, match="tcp://127.0.0.1:9: no Dask scheduler answers there"):
        connect("tcp://127.0.0.1:9")


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    options = {"threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(n_workers=2, **options) as cluster:
        yield cluster


def test_two_workers_give_the_scores_of_this_process(cluster, tmp_path):
    make_corpus(tmp_path, {"tr": 1, "cv": 1, "tt": 6})
    table = read_split(tmp_path / "wav8k" / "min" / "tt.csv", 2, 0)
    system = Oracle("oracle_ibm", load_corpus_config("espeak-2mix", []))
    address = cluster.scheduler_address
    for name, scheduler in (("here", ""), ("there", address)):
        with workers(1, scheduler) as run:
            evaluate_split(system, table, tmp_path / name, SETTINGS, run, tmp_path / f".{name}")
    one, two = ((tmp_path / name / "scores.csv").read_bytes() for name in ("here", "there"))
    assert one == two
    assert (tmp_path / ".here").read_bytes() == (tmp_path / ".there").read_bytes()
    with workers(1, address) as run:
        processes = set(run(delayed(os.getpid)() for _ in range(20)))
    assert 1 <= len(processes) <= 2 and os.getpid() not in processes


def test_a_scheduler_without_workers_says_how_to_start_them():
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    options = {"n_workers": 0, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        with pytest.raises(RecipeError, match=f"has no workers; start them by: .* {address}"):
            connect(address)
