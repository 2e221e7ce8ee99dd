"""Plots of an experiment are drawn when their data or the code has changed, and only then."""

import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import report
from separation.report import plots

TABLE = pd.DataFrame({"epoch": [0, 1], "name": ["a", None]})
SAMPLES = np.linspace(0, 1, 5)


def blank(table, samples, title, **metadata):
    """A small plot."""
    return plots.png(Figure(figsize=(0.5, 0.5)), **metadata)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "plots" / "blank.png"
    plots.draw(path, blank, TABLE, SAMPLES, "title")
    return path


def drawn(path, *data):
    """Whether a plot of these data is drawn into a file."""
    os.utime(path, ns=(0, 0))
    plots.draw(path, blank, *data)
    return path.stat().st_mtime_ns != 0


def test_a_plot_of_the_same_stays(path):
    assert not drawn(path, TABLE.copy(), SAMPLES.copy(), "title")


def test_a_plot_of_something_else_is_drawn_anew(path):
    assert drawn(path, TABLE.assign(name=["a", "b"]), SAMPLES, "title")
    assert drawn(path, TABLE, SAMPLES, "title")
    assert drawn(path, TABLE, SAMPLES + 1e-6, "title")
    assert drawn(path, TABLE, SAMPLES, "another")


def test_other_code_draws_anew(path, monkeypatch):
    monkeypatch.setattr(plots, "CODE", b"other")
    assert drawn(path, TABLE, SAMPLES, "title")


def test_a_damaged_plot_is_drawn_anew(path):
    whole = path.read_bytes()
    pixels = whole.index(b"IDAT")
    for content in (b"", whole[:8], whole[: pixels + 9], b"x" * 100):
        path.write_bytes(content)
        assert drawn(path, TABLE, SAMPLES, "title")
        assert path.read_bytes() == whole


def test_a_report_draws_what_has_changed(results_dir, exp_root, monkeypatch):
    arguments = ["--results_dir", str(results_dir), "--exp_root", str(exp_root)]
    monkeypatch.setattr(sys, "argv", ["report.py", *arguments])
    folder = exp_root / "toy_small"

    def drawn_anew():
        for path in (folder / "plots").glob("*"):
            os.utime(path, ns=(0, 0))
        report.main()
        return {path.stem for path in (folder / "plots").iterdir() if path.stat().st_mtime_ns}

    assert drawn_anew() == {"training", "si_sdri_tt", "example"}
    assert drawn_anew() == set()
    for table, before, after, plot in (
        ("eval_tt/scores.csv", "7.04", "7.05", "si_sdri_tt"),
        ("training_log.csv", "-2.0", "-2.5", "training"),
    ):
        path = folder / table
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))
        assert drawn_anew() == {plot}
    shutil.copy(
        *(folder / "eval_tt" / "examples" / "a&b" / f"{name}.wav" for name in ("mix", "s1"))
    )
    assert drawn_anew() == {"example"}
