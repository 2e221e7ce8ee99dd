"""How many speakers are there? Choose on cv when a system of one_and_rest stops to look for more.

Writes EXP_DIR/stop_rule.yaml: the level of a rest, in dB of the mixture, at which nothing is left,
and the largest number of speakers. Prints how many mixtures of cv get their true number with it.
Stage 3 does this at its end; local/evaluate.py then uses it on tt.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from separation.arguments import make_parser
from separation.config import load_resolved
from separation.corpus.layout import Corpus
from separation.errors import RecipeError
from separation.evaluation.speakers import choose_stop_rule
from separation.inference.recursion import is_one_and_rest
from separation.inference.separator import pick_device
from separation.models.shelf import find_system


def main() -> None:
    """Parse the command line, choose the rule, and print the count accuracy on cv."""
    arguments = make_parser(__doc__, "exp_dir", "data_dir", "device").parse_args()
    exp_dir = find_system(arguments.exp_dir)
    if not is_one_and_rest(exp_dir):
        raise RecipeError(f"{exp_dir}: not of training.assignment one_and_rest: nothing to choose")
    corpus = Corpus.of(load_resolved(exp_dir), arguments.data_dir)
    print(choose_stop_rule(exp_dir, corpus, pick_device(arguments.device)))


if __name__ == "__main__":
    run_command(main)
