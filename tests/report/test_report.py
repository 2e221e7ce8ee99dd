"""The report: tables, pictures and the listening page."""

import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import report
from report_files import example, result_file
from separation.errors import RecipeError
from separation.report.plots import example_plot, improvement_plot, training_curve
from separation.report.tables import (
    commands,
    corpus_table,
    load_results,
    terminal_text,
    write_markdown,
)


def test_a_table_a_corpus_best_system_first(results_dir):
    table = corpus_table(load_results(results_dir), "toy")
    assert table.to_dict("records") == [
        {
            **{"system": "big", "SI-SDRi tt": "11.00", "tt FF": "–", "tt FM": "12.00"},
            **{"SI-SDRi tr": "–", "STOI": "0.876", "PESQ": "2.35", "mixtures": "300"},
            **{"parameters": "1.70 M", "GMAC/s": "1.25", "RTF": "0.021", "epochs": "–"},
        },
        {
            **{"system": "small", "SI-SDRi tt": "6.51", "tt FF": "5.00", "tt FM": "7.25"},
            **{"SI-SDRi tr": "9.50", "STOI": "0.876", "PESQ": "2.35"},
            **{"mixtures": "300 (2 failed)", "parameters": "1.70 M", "GMAC/s": "1.25"},
            **{"RTF": "0.021", "epochs": "12"},
        },
    ]
    assert "tt FFM" in corpus_table(load_results(results_dir), "trio-3spk")


def test_intervals_and_oracles_in_the_table(results_dir):
    facts = {"parameters": "", "macs_per_second": "", "real_time_factor": ""}
    ends = {"si_sdri_low": 12.05, "si_sdri_high": 14.25}
    scores = {("tt", "all"): 13.2}
    result_file(results_dir / "o.csv", "toy", "oracle_ibm", scores, **facts, **ends)
    first, second, _ = corpus_table(load_results(results_dir), "toy").to_dict("records")
    assert list(first)[:3] == ["system", "SI-SDRi tt", "95 %"]
    assert (first["system"], first["95 %"]) == ("oracle_ibm", "12.05 to 14.25")
    assert [first[name] for name in ("parameters", "GMAC/s", "RTF", "epochs")] == ["–"] * 4
    assert (second["95 %"], second["parameters"]) == ("–", "1.70 M")


def test_an_oracle_has_plots_and_players_without_a_configuration(
    results_dir, exp_root, monkeypatch
):
    folder = exp_root / "toy_oracle_irm"
    shutil.copytree(exp_root / "toy_small" / "eval_tt", folder / "eval_tt")
    arguments = ["--results_dir", str(results_dir), "--exp_root", str(exp_root)]
    monkeypatch.setattr(sys, "argv", ["report.py", *arguments])
    report.main()
    assert (folder / "plots" / "si_sdri_tt.png").is_file()
    assert "oracle_irm: SI-SDRi 7.0 dB" in (results_dir / "index.html").read_text()


def test_models_of_the_shelf_are_in_the_tables_and_can_be_heard(results_dir, exp_root, monkeypatch):
    """Beside an experiment of the same name, whose row stays another one."""
    scores = {("tt", "all"): 9.0, ("tt", "zh"): 9.75, ("tt", "libri"): 8.5, ("tr", "zh"): 1.0}
    shelf = results_dir.with_name("pretrained")
    ends = {"si_sdri_low": 4, "si_sdri_high": 16}
    result_file(shelf / "small" / "results.csv", "toy", "small", scores, **ends)
    made = exp_root / "pretrained_small"
    made.mkdir()
    (exp_root / "toy_small" / "eval_tt").rename(made / "eval_tt")
    for name in ("conf.yaml", "training_log.csv"):
        shutil.copy(exp_root / "toy_small" / name, shelf / "small" / name)
    arguments = ["--results_dir", str(results_dir), "--exp_root", str(exp_root)]
    monkeypatch.setattr(sys, "argv", ["report.py", *arguments])
    report.main()
    text = (results_dir / "RESULTS.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert [row[0] for row in rows if row[0] in ("big", "pretrained/small", "small")] == [
        *("big", "pretrained/small", "small"),  # of toy, by score
        "pretrained/small",  # and its groups
        "small",  # of trio-3spk
    ]
    assert ["system", "tt libri", "tt zh"] in rows
    assert ["pretrained/small", "8.50 (4.00 to 16.00)", "9.75 (4.00 to 16.00)"] in rows
    assert "**pretrained/small** (tt)" in text
    page = (results_dir / "index.html").read_text()
    assert "pretrained/small: SI-SDRi 7.0 dB" in page
    for name in ("training", "si_sdri_tt", "example"):
        assert (made / "plots" / f"{name}.png").is_file()
    assert {path.name for path in (shelf / "small").iterdir()} == {
        *("results.csv", "conf.yaml", "training_log.csv"),
    }


def test_commands_name_the_splits(results_dir):
    rows = commands(load_results(results_dir), "toy").set_index("tag")
    assert rows.loc["small", "splits"] == "tt, tr"
    assert rows.loc["big", "command"] == "./run.sh --tag big"


def test_script_writes_all_from_experiments_and_results(results_dir, exp_root, monkeypatch, capsys):
    arguments = ["--results_dir", str(results_dir), "--exp_root", str(exp_root)]
    monkeypatch.setattr(sys, "argv", ["report.py", *arguments])
    report.main()
    text = (results_dir / "RESULTS.md").read_text()
    assert "\n## toy\n" in text
    assert "\n## trio-3spk\n" in text
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    expected = "small 6.51 5.00 7.25 9.50 0.876 2.35 300_(2_failed) 1.70_M 1.25 0.021 12"
    assert [cell.replace("_", " ") for cell in expected.split()] in rows
    assert "**big** (tt): commit abc1234, 2026-01-02\n\n```sh\n./run.sh --tag big\n```" in text
    assert "11.00" in capsys.readouterr().out
    for name in ("training", "si_sdri_tt"):
        with Image.open(exp_root / "toy_small" / "plots" / f"{name}.png") as picture:
            assert picture.format == "PNG"
    page = (results_dir / "index.html").read_text()
    assert page.count("<audio ") == 2 * 5
    assert "a&amp;b" in page
    assert "small: SI-SDRi 7.0 dB" in page
    assert "small: no SI-SDRi" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_results_without_experiments(results_dir, tmp_path, monkeypatch):
    arguments = ["--results_dir", str(results_dir), "--exp_root", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", ["report.py", *arguments])
    report.main()
    assert "6.51" in (results_dir / "RESULTS.md").read_text()
    page = (results_dir / "index.html").read_text()
    assert "Nothing to listen to" in page
    assert "6.51" in page


def test_no_results(tmp_path):
    with pytest.raises(RecipeError, match="no result file; stage 4"):
        load_results(tmp_path)


def test_terminal_text_names_every_system(results_dir):
    text = terminal_text(load_results(results_dir))
    assert re.search(r"^ *big +11\.00", text, re.MULTILINE)
    assert re.search(r"^ *small +6\.51", text, re.MULTILINE)


def test_plots_of_one_epoch_and_of_unknown_genders():
    table = pd.DataFrame({"epoch": [0], "loss": [1.0], "val_loss": [np.nan], "lr": [1e-3]})
    assert training_curve(table, "t", "loss").startswith(b"\x89PNG")
    table = pd.DataFrame({"si_sdri": [1.0, np.nan, 2.0], "input_si_sdr": [0.0, 0.0, 1.0]})
    assert improvement_plot(table, "t").startswith(b"\x89PNG")


def test_damaged_files_are_named_left_out_and_the_rest_is_reported(
    results_dir, exp_root, monkeypatch, capsys
):
    (results_dir / "bad.csv").write_text("corpus,tag\na,b\n")
    (results_dir / ".partial-x.csv").write_text("half")  # hidden: no result
    damaged = exp_root / "toy_damaged"
    shutil.copytree(exp_root / "toy_small", damaged)
    (damaged / "training_log.csv").write_text("epoch,loss\n0,1\n")
    (damaged / "eval_tt" / "examples" / "c" / "s1.wav").write_bytes(b"RIFF")
    (exp_root / "toy_empty").mkdir()
    (exp_root / "toy_empty" / "conf.yaml").write_text("")
    arguments = ["--results_dir", str(results_dir), "--exp_root", str(exp_root)]
    monkeypatch.setattr(sys, "argv", ["report.py", *arguments])
    with pytest.raises(RecipeError, match="4 problems, see above; the rest is reported"):
        report.main()
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ", 1)[0] for line in told] == [
        f"{results_dir / 'bad.csv'}",
        f"{damaged / 'training_log.csv'}",
        f"{damaged / 'eval_tt' / 'examples' / 'c' / 's1.wav'}",
        f"{exp_root / 'toy_empty' / 'conf.yaml'}",
    ]
    assert "6.51" in (results_dir / "RESULTS.md").read_text()
    page = (results_dir / "index.html").read_text()
    assert page.count("<audio ") == 2 * 5 + 2  # those of toy_small, and one estimate each


def test_names_are_escaped(results_dir, tmp_path):
    name, command = "a|b`<i>", "./run.sh --tag 'x\n```\n# y'"
    result_file(results_dir / "odd.csv", "odd", name, {("tt", "all"): 1}, command=command)
    write_markdown(load_results(results_dir), tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| a\\|b\\`&lt;i&gt; |" in text
    assert "**a\\|b\\`&lt;i&gt;** (tt)" in text
    assert f"````sh\n{command}\n````" in text


def test_the_picture_of_an_example_is_drawn_from_its_files(tmp_path):
    example(tmp_path / "three", 0)
    (tmp_path / "three" / "s3.wav").write_bytes((tmp_path / "three" / "s1.wav").read_bytes())
    before = len(example_plot(*report.signals(tmp_path / "three")))
    path = tmp_path / "three" / "s3_estimate.wav"
    path.write_bytes((tmp_path / "three" / "mix.wav").read_bytes())
    png = example_plot(*report.signals(tmp_path / "three"))
    assert png.startswith(b"\x89PNG")
    width = [
        int.from_bytes(p[16:20]) for p in (example_plot(*report.signals(tmp_path / "three")), png)
    ]
    assert width == [4 * 80 * 4] * 2 and before != len(png)
