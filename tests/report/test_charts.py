"""Charts of the report: axes, bars, curves, labels."""

import re

import numpy as np
import pandas as pd
import pytest

from separation.report.charts import LEFT, RIGHT, Label, apart, axis, curves, histogram, work


def points(path):
    return [tuple(map(float, place.split())) for place in re.findall(r"[ML]([\d. -]+)", path)]


def test_axes_have_round_numbers_around_the_values():
    scale = axis("dB", [-3.2, 14.1], across=True)
    assert scale.ticks == (-5.0, 0.0, 5.0, 10.0, 15.0)
    assert scale.place(-5.0) == LEFT and scale.place(15.0) == RIGHT and scale.place(5.0) == 200
    assert axis("epoch", [1, 3], across=True).ticks == (1.0, 2.0, 3.0)
    log = axis("GMAC/s", [0.11, 5.67], across=True, log=True)
    assert log.ticks == pytest.approx((0.1, 1, 10))
    assert log.place(1.0) == 200
    assert [text for _, text in log.marks] == ["0.1", "1", "10"]
    for same in ([2.0], []):
        assert axis("dB", same, across=True).ticks[0] < axis("dB", same, across=True).ticks[-1]


def test_bars_of_the_histogram_add_up_to_the_mixtures():
    values = {"FF": np.array([1.0, 1.0, 2.0]), "MM": np.array([1.0])}
    chart = histogram(values, axis("dB", [0, 30], across=True))
    names = [shape.name for shape in chart.shapes]
    assert names == ["FF (3)", "MM (1)", "mean 1.25 dB"]
    unit = float(chart.y.place(0) - chart.y.place(1))
    bar = re.compile(r" ([\d.]+)h[\d.]+V([\d.]+)")
    bars = [bar.findall(shape.path) for shape in chart.shapes[:2]]
    heights = [[(float(low) - float(top)) / unit for top, low in one] for one in bars]
    assert [np.round(h).tolist() for h in heights] == [[2, 1], [1]]
    assert "4 mixtures: mean 1.25 dB, smallest 1.00, largest 2.00" in chart.summary


def test_curves_leave_out_what_is_infinite():
    log = pd.DataFrame({"epoch": [0, 1, 2], "loss": [np.inf, -1, -3], "val_loss": [0, np.nan, -2]})
    chart = curves(log, "loss (dB)")
    training, validation = (points(shape.path) for shape in chart.shapes)
    assert len(training) == len(validation) == 2
    assert training[1] == (float(chart.x.place(3)), float(chart.y.place(-3)))
    assert "smallest on cv is -2.00" in chart.summary
    assert curves(log.assign(loss=np.inf, val_loss=np.nan), "loss") is None
    one = curves(log[2:], "loss")
    assert all(shape.style.startswith("dots") for shape in one.shapes)


def test_work_has_points_with_intervals_and_oracles_as_lines():
    rows = pd.DataFrame(
        {
            "system": ["small", "big", "oracle_irm"],
            "si_sdri": [7.0, 9.0, 12.0],
            "si_sdri_low": [6.0, np.nan, 11.5],
            "si_sdri_high": [8.0, np.nan, 12.5],
            "macs_per_second": [0.1, 10.0, np.nan],
        }
    )
    chart = work(rows, "macs_per_second", "GMAC/s")
    dots = [points(shape.path)[0] for shape in chart.shapes if "dots" in shape.style]
    assert dots == [(LEFT, float(chart.y.place(7.0))), (RIGHT, float(chart.y.place(9.0)))]
    assert sum(shape.style == "line c0" for shape in chart.shapes) == 1
    assert sum(shape.style == "line mean" for shape in chart.shapes) == 1
    assert {label.text for label in chart.labels} == {"small", "big", "oracle_irm"}
    assert work(rows[2:], "macs_per_second", "GMAC/s") is None


def test_names_of_close_oracles_stand_side_by_side_on_their_lines():
    names = ["oracle_irm", "oracle_psm", "oracle_ibm", "oracle_wfm", "oracle_mixture", "small"]
    rows = pd.DataFrame({"system": names, "si_sdri": [12.2, 14.2, 13.1, 13.4, 0.0, 6.5]})
    rows = rows.assign(si_sdri_low=np.nan, si_sdri_high=np.nan, work=[np.nan] * 5 + [1.0])
    chart = work(rows, "work", "work")
    found = {label.text: label for label in chart.labels}
    for name, score in zip(names[:5], rows["si_sdri"], strict=False):
        assert found[name].y == pytest.approx(chart.y.place(score) - 3, abs=0.1)
    order = [found[f"oracle_{name}"].x for name in ("psm", "wfm", "ibm", "irm")]
    assert np.diff(order).min() >= 65 and order[-1] < RIGHT - 65  # a name is 64 wide
    assert found["oracle_mixture"].x == order[0]  # far below


def test_labels_do_not_cover_each_other():
    moved = apart([Label(0, 20.0, "b"), Label(0, 15.0, "a"), Label(0, 21.0, "c", "end")])
    assert {label.text: label.y for label in moved} == {"a": 15.0, "b": 28.0, "c": 21.0}
