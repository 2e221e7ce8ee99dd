"""The table of systems with several seeds."""

import pandas as pd
import pytest

from separation.evaluation.results import COLUMNS


@pytest.fixture
def seeds_table(monkeypatch):
    from separation.config import ROOT

    monkeypatch.syspath_prepend(str(ROOT / "egs" / "espeak-2mix" / "local"))
    import seeds_table

    return seeds_table


def test_seeds_are_averaged_and_the_best_stands_first(seeds_table):
    rows = [
        {"tag": tag, "split": split, "subset": subset, "si_sdri": score, "epochs": epochs}
        for tag, split, subset, score, epochs in (
            ("relu-seed0", "tt", "all", 4.0, 10),
            ("relu-seed1", "tt", "all", 5.0, 12),
            ("relu-seed0", "tt", "FM", 99.0, 10),
            ("relu-seed0", "tr", "all", 6.0, 10),
            ("relu-seed1", "tr", "all", 7.0, 12),
            ("cln_frame-seed0", "tt", "all", 4.75, 8),
        )
    ]
    results = pd.DataFrame(rows).reindex(columns=COLUMNS)
    results[["parameters", "macs_per_second"]] = [280_000, 110_000_000]
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in seeds_table.seeds_table(results).splitlines()
    ]
    assert table[0] == seeds_table.COLUMNS
    assert table[2] == ["cln_frame", "4.75", "4.75", "nan", "0.28 M", "0.11", "8"]
    assert table[3] == ["relu", "4.50", "4.00, 5.00", "6.50", "0.28 M", "0.11", "11"]
