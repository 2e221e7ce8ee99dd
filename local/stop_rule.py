"""How many speakers are there? Choose on cv when a system of one_and_rest stops to look for more.

Writes EXP_DIR/stop_rule.yaml: the level of a rest, in dB of the mixture, at which nothing is left,
and the largest number of speakers. Prints how many mixtures of cv get their true number with it.
Stage 3 does this at its end; local/evaluate.py then uses it on tt.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from pathlib import Path

import torch

from separation.arguments import make_parser
from separation.config import load_resolved
from separation.corpus.layout import Corpus
from separation.corpus.manifest import read_manifest
from separation.errors import RecipeError
from separation.evaluation.speakers import choose_stop_rule
from separation.evaluation.stop_classifier import compare, passes_of
from separation.inference.recursion import RecursiveSeparator, is_one_and_rest, open_separator
from separation.inference.separator import pick_device
from separation.models.shelf import find_system
from separation.report.tables import markdown


def main() -> None:
    """Parse the command line, choose the rule, and print the count accuracy on cv."""
    parser = make_parser(__doc__, "exp_dir", "data_dir", "device")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="write nothing; print how well the level and classifiers, fitted on cv, count tt",
    )
    arguments = parser.parse_args()
    exp_dir = find_system(arguments.exp_dir)
    if not is_one_and_rest(exp_dir):
        raise RecipeError(f"{exp_dir}: not of training.assignment one_and_rest: nothing to choose")
    corpus = Corpus.of(load_resolved(exp_dir), arguments.data_dir)
    device = pick_device(arguments.device)
    work = compare_rules if arguments.compare else choose_stop_rule
    print(work(exp_dir, corpus, device))


def compare_rules(exp_dir: Path, corpus: Corpus, device: torch.device) -> str:
    """Count cv and tt with several rules; returns the table."""
    n_max = max(2, corpus.n_src)
    separator = open_separator(exp_dir, device, n_src=str(n_max))
    if not isinstance(separator, RecursiveSeparator):
        raise RecipeError(f"{exp_dir}: not of training.assignment one_and_rest")
    cv, tt = (
        passes_of(
            separator,
            read_manifest(corpus.manifest(split), corpus.n_src, corpus.numbers[0]),
            n_max,
        )
        for split in ("cv", "tt")
    )
    table = compare(cv, tt)
    rows = [[name, *(f"{value:.1f} %" for value in row)] for name, *row in table.itertuples()]
    return markdown(["stop rule", *table.columns], rows)


if __name__ == "__main__":
    run_command(main)
