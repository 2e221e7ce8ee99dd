"""Stage 5: tables, plots and the page of all results, to look at and to listen to.

Writes `RESULTS_DIR/RESULTS.md` and `RESULTS_DIR/index.html` from all result files there and those
of the models on the shelf beside it (`RESULTS_DIR/../pretrained/<name>/results.csv`), and plots of
every experiment to `EXP_ROOT/<experiment>/plots/`. Sounds and pictures of more than 5 MB lie beside
the page in `RESULTS_DIR/index_media/`. Prints the tables.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from separation.arguments import make_parser
from separation.config import ROOT, load_resolved
from separation.corpus.audio import audio_info, read_audio
from separation.corpus.problems import Problems
from separation.errors import RecipeError
from separation.evaluation.results import corpus_and_tag
from separation.files import check_name, exclusive, first_there, visible
from separation.ranges import LOSS_UNITS, ORACLES
from separation.report.listening import ENDINGS, find_examples
from separation.report.page import SystemPage, write_page
from separation.report.plots import draw, example_plot, improvement_plot, training_curve
from separation.report.tables import load_results, terminal_text, write_markdown
from separation.tables import SCORE_FILES, SCORES, TRAINING_LOG, TRAINING_LOGS, Columns, read_table
from separation.tree import shelf_tag, system_of


def main() -> None:
    """Parse the command line and write the report."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--results_dir",
        type=Path,
        default=ROOT / "results",
        help="folder of the result files (default: results of this clone)",
    )
    parser.add_argument(
        "--exp_root",
        type=Path,
        default=ROOT / "exp",
        help="folder of the experiments, which may be missing (default: exp of this clone)",
    )
    arguments = parser.parse_args()
    problems = Problems(keep_going=True)
    if not arguments.results_dir.is_dir():
        raise RecipeError(f"{arguments.results_dir}: no such folder; stage 4 makes it")
    with exclusive(arguments.results_dir, "reporting"):
        results = load_results(arguments.results_dir, problems)
        systems = []
        for exp_dir in visible(arguments.exp_root, "*"):
            if not (os.path.lexists(system_of(exp_dir) / "conf.yaml") or oracle_of(exp_dir)):
                continue
            try:
                systems.append(report_system(exp_dir, problems))
            except RecipeError as error:
                problems.add(str(error))
        write_markdown(results, arguments.results_dir / "RESULTS.md")
        write_page(results, systems, arguments.results_dir / "index.html")
    print(terminal_text(results))
    print(f"the tables are in {arguments.results_dir / 'RESULTS.md'}")
    print(f"charts and players are in {arguments.results_dir / 'index.html'}")
    problems.finish(str(arguments.results_dir), "; the rest is reported")


def report_system(exp_dir: Path, problems: Problems) -> SystemPage:
    """Plot what an experiment has: its training, if it left a log, and its scores on tt.

    What is damaged is left out, and added to ``problems``.
    """
    name = check_name(exp_dir.resolve().name, str(exp_dir))
    loss, epochs = "", None
    if oracle := oracle_of(exp_dir):
        corpus, tag = name.removesuffix(f"_{oracle}"), oracle
    else:
        folder = system_of(exp_dir)
        conf = load_resolved(folder)
        corpus, tag = corpus_and_tag(name, conf["corpus"]["name"])
        if folder != exp_dir:
            tag = shelf_tag(folder.name)
        epochs = read_if_there(folder, TRAINING_LOGS, TRAINING_LOG, problems)
        loss = conf["training"]["loss"]
        loss = f"loss ({loss}, {LOSS_UNITS[loss]})" if LOSS_UNITS[loss] else f"loss ({loss})"
    scores = read_if_there(exp_dir / "eval_tt", SCORE_FILES, SCORES, problems)
    examples = [] if scores is None else find_examples(exp_dir / "eval_tt", scores, problems)
    inside = read_pictures(exp_dir / "plots", problems)
    system = SystemPage(corpus, tag, scores, epochs, loss, examples, inside)
    draw_plots(system, exp_dir / "plots")
    return system


def draw_plots(system: SystemPage, folder: Path) -> None:
    """Draw what is kept in the experiment's folder: a PNG file each, if its data changed."""
    name, scores = f"{system.corpus}, {system.tag}", system.scores
    if system.epochs is not None:
        draw(folder / "training.png", training_curve, system.epochs, name, system.loss)
    if scores is not None and "si_sdri" in scores and scores["si_sdri"].notna().any():
        draw(folder / "si_sdri_tt.png", improvement_plot, scores, f"{name}, tt")
    if system.examples:
        draw(folder / "example.png", example_plot, *signals(system.examples[0].folder))


def read_pictures(folder: Path, problems: Problems) -> list[tuple[str, bytes]]:
    """Read what local/explain.py has drawn of a network: captions and PNG files."""
    pictures = []
    for path in visible(folder, "explain_*.png"):
        try:
            with Image.open(path) as picture:
                picture.load()
                caption = picture.info.get("Description", path.stem)
            pictures.append((str(caption), path.read_bytes()))
        except (OSError, SyntaxError):  # what Pillow raises of a file that is no picture
            problems.add(f"{path}: not a picture; delete it, or run local/explain.py again")
    return pictures


def oracle_of(exp_dir: Path) -> str:
    """The oracle whose scores a folder has; empty for the folder of a trained system."""
    name = exp_dir.resolve().name
    return next((oracle for oracle in ORACLES if name.endswith(f"_{oracle}")), "")


def signals(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Read an example that :func:`find_examples` has found: what :func:`example_plot` is given."""
    count = len(visible(folder, "s*_estimate.wav"))
    references, estimates = (
        np.stack([read_audio(folder / f"s{i + 1}{end}") for i in range(count)]) for end in ENDINGS
    )
    mixture = folder / "mix.wav"
    return read_audio(mixture), references, estimates, audio_info(mixture).sample_rate


def read_if_there(
    folder: Path, names: Sequence[str], columns: Columns, problems: Problems
) -> pd.DataFrame | None:
    """Read a table by the first of its names; None without one, without rows, or a damaged one."""
    path = first_there(folder, names)
    if path is None:
        return None
    try:
        table = read_table(path, columns)
    except RecipeError as error:
        problems.add(str(error))
        return None
    return None if table.empty else table


if __name__ == "__main__":
    run_command(main)
