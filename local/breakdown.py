"""Where a system is good and where not, from the scores of a split that stage 4 wrote.

SCORES is exp/<experiment>/eval_<split>/scores.csv. Prints the mean SI-SDRi of mixtures grouped by
the level difference of their sources, by length, by overlap and by whether speakers are exchanged
within the utterance, and the mixtures with the smallest SI-SDRi.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from pathlib import Path

import pandas as pd

from separation.arguments import make_parser
from separation.errors import RecipeError
from separation.evaluation.breakdown import QUANTITIES, by_quantity, by_swaps, worst
from separation.report.tables import EMPTY, markdown
from separation.tables import SCORES, read_table


def main() -> None:
    """Parse the command line and print the tables."""
    parser = make_parser(__doc__)
    parser.add_argument("scores", type=Path, metavar="SCORES")
    parser.add_argument("--worst", type=int, default=10, help="mixtures to list (default: 10)")
    arguments = parser.parse_args()
    table = read_table(arguments.scores, SCORES, "stage 4 writes exp/*/eval_*/scores.csv")
    if "si_sdri" not in table or table["si_sdri"].isna().all():
        raise RecipeError(
            f"{arguments.scores}: no si_sdri in it; evaluate with si_sdr among evaluation.metrics"
        )
    for column, heading in QUANTITIES.items():
        if column in table:
            print(groups_text(table, column, heading), end="\n\n")
    if "swaps" in table:
        print(swaps_text(table), end="\n\n")
    print(worst_text(table, arguments.worst))


def groups_text(table: pd.DataFrame, column: str, heading: str) -> str:
    """The groups of one quantity in Markdown."""
    form = {"length": ".0f", "overlap": ".2f"}.get(column, ".1f")
    cells = []
    for row in by_quantity(table, column):
        ends = [row["si_sdri_low"], row["si_sdri_high"]]
        cells.append(
            [
                f"{row['low']:{form}} to {row['high']:{form}}",
                str(row["n_mixtures"]),
                f"{row['si_sdri']:.2f}",
                EMPTY if pd.isna(ends).any() else f"{ends[0]:.2f} to {ends[1]:.2f}",
            ]
        )
    return markdown([heading, "mixtures", "SI-SDRi", "95 %"], cells)


def swaps_text(table: pd.DataFrame) -> str:
    """Mixtures whose speakers are exchanged for a second or more, beside the others."""
    names = ("no", "yes")
    cells = []
    for row in by_swaps(table):
        means = [EMPTY if pd.isna(row[c]) else f"{row[c]:.2f}" for c in ("si_sdri", "leakage")]
        cells.append([names[int(row["swapped"])], str(row["n_mixtures"]), *means])
    return markdown(["speakers exchanged within", "mixtures", "SI-SDRi", "leakage, dB"], cells)


def worst_text(table: pd.DataFrame, count: int) -> str:
    """The worst mixtures in Markdown, with what is known about them."""
    columns = [c for c in ("si_sdri", *QUANTITIES, "swaps", "leakage") if c in table]
    cells = [
        [row["mixture_ID"], *(EMPTY if pd.isna(row[c]) else f"{row[c]:g}" for c in columns)]
        for row in worst(table, count).to_dict("records")
    ]
    return markdown(["worst mixtures", *columns], cells)


if __name__ == "__main__":
    run_command(main)
