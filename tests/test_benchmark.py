"""The benchmark runs, and both ways that it compares give the same files."""

import re
import sys

import pytest

import benchmark
from separation.errors import RecipeError


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *words])
    benchmark.main()


def test_mixing_is_compared_with_a_plain_loop(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(benchmark, "SECONDS", (0.5, 0.7))
    run(monkeypatch, "mixing", "--mixtures", "6", "--nj", "1", "--dir", str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines[:6]}) == 1  # a table whose columns stand in line
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:6]]
    assert table[0] == ["mixing", "processes", "mixtures/s", "ratio"]
    for plain, ours in (table[2:4], table[4:6]):
        assert float(ours[3]) == pytest.approx(float(ours[2]) / float(plain[2]), abs=0.2, rel=0.1)
    assert re.fullmatch(
        r"6 mixtures of \d recordings; largest difference of a sample: [01] of 32768", lines[6]
    )
    assert not list(tmp_path.iterdir())


def test_no_mixtures_are_an_error(monkeypatch):
    with pytest.raises(RecipeError, match="1 or more"):
        run(monkeypatch, "mixing", "--mixtures", "0")
