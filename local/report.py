"""Stage 5: tables, plots and the listening page.

Writes `RESULTS_DIR/RESULTS.md` and `RESULTS_DIR/index.html` from all result files there, and plots
of every experiment to `EXP_ROOT/<experiment>/plots/`. Prints the tables.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import argparse
from pathlib import Path

from separation.config import ROOT, load_resolved
from separation.evaluation.results import corpus_and_tag
from separation.files import atomic_path
from separation.report.page import SystemPage, find_examples, write_page
from separation.report.plots import improvement_plot, read_table, training_curve
from separation.report.tables import load_results, terminal_text, write_markdown


def main() -> None:
    """Parse the command line and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results_dir", type=Path, default=ROOT / "results")
    parser.add_argument("--exp_root", type=Path, default=ROOT / "exp", help="may be missing")
    arguments = parser.parse_args()
    results = load_results(arguments.results_dir)
    exp_dirs = sorted(path.parent for path in arguments.exp_root.glob("*/conf.yaml"))
    systems = [report_system(exp_dir) for exp_dir in exp_dirs]
    write_markdown(results, arguments.results_dir / "RESULTS.md")
    write_page(results, systems, arguments.results_dir / "index.html")
    print(terminal_text(results))
    print(f"the tables are in {arguments.results_dir / 'RESULTS.md'}")
    print(f"plots and players are in {arguments.results_dir / 'index.html'}")


def report_system(exp_dir: Path) -> SystemPage:
    """Plot what an experiment has: its training, if it left a log, and its scores on tt."""
    corpus, tag = corpus_and_tag(exp_dir.resolve().name, load_resolved(exp_dir)["corpus"]["name"])
    plots, examples = {}, []
    if (epochs := read_table(exp_dir / "metrics.csv")) is not None:
        plots["training"] = training_curve(epochs, f"{corpus}, {tag}")
    if (scores := read_table(exp_dir / "eval_tt" / "metrics.csv")) is not None:
        if "si_sdri" in scores and scores["si_sdri"].notna().any():
            plots["si_sdri_tt"] = improvement_plot(scores, f"{corpus}, {tag}, tt")
        examples = find_examples(exp_dir / "eval_tt", scores)
    for name, png in plots.items():
        with atomic_path(exp_dir / "plots" / f"{name}.png") as temporary:
            temporary.write_bytes(png)
    return SystemPage(corpus, tag, plots, examples)


if __name__ == "__main__":
    run_command(main)
