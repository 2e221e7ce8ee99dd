"""Score separated audio that another program wrote.

ESTIMATES holds a file for each mixture of MANIFEST and each of its sources, in any order of the
sources, as long as the mixture and at its rate. A mixture whose estimates are missing, longer,
shorter, at another rate or damaged has no scores, and the reason in the column `failure`.
Writes OUT_DIR/scores.csv, a row a mixture, as stage 4 does, and OUT_DIR/means.csv.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from pathlib import Path

import pandas as pd
from joblib import delayed
from tqdm import tqdm

from separation.arguments import make_parser
from separation.config import BASE, read_yaml
from separation.corpus.manifest import read_manifest
from separation.errors import RecipeError
from separation.evaluation.evaluator import scores_table
from separation.evaluation.external import PATTERN, Scoring, find_estimates, score_files
from separation.evaluation.metrics import check_metrics
from separation.evaluation.results import mean_line, summarise
from separation.files import atomic_path
from separation.process import parallel
from separation.ranges import check_values


def main() -> None:
    """Parse the command line, score every mixture, print the means."""
    parser = make_parser(__doc__)
    parser.add_argument("--estimates", type=Path, required=True, help="folder of the estimates")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV file of the mixtures")
    parser.add_argument(
        "--pattern",
        default=PATTERN,
        help="path of an estimate in that folder; sources count from 1 (default: %(default)s)",
    )
    parser.add_argument("--out_dir", type=Path, help="default: ESTIMATES")
    base = read_yaml(BASE)
    settings = base["evaluation"]
    parser.add_argument("--metrics", default=",".join(settings["metrics"]))
    parser.add_argument("--metrics_backend", default=settings["metrics_backend"])
    parser.add_argument("--nj", type=int, default=base["nj"], help="processes; 0: one a core")
    arguments = parser.parse_args()
    scoring = Scoring(tuple(arguments.metrics.split(",")), arguments.metrics_backend)
    chosen = {"metrics": list(scoring.metrics), "metrics_backend": scoring.backend}
    check_values({"evaluation": chosen, "nj": arguments.nj})
    check_metrics(scoring.metrics, scoring.backend)

    scores = score_all(
        arguments.manifest, arguments.estimates, arguments.pattern, scoring, arguments.nj
    )
    means = pd.DataFrame(summarise(scores))
    out_dir = arguments.out_dir or arguments.estimates
    for name, table in (("scores.csv", scores), ("means.csv", means)):
        with atomic_path(out_dir / name) as temporary:
            table.to_csv(temporary, index=False)
    for row in means.to_dict("records"):
        print(f"{row['subset']:4} {mean_line(row)}")
    print(f"scores are in {out_dir / 'scores.csv'}, means in {out_dir / 'means.csv'}")


def score_all(
    manifest: Path, folder: Path, pattern: str, scoring: Scoring, nj: int
) -> pd.DataFrame:
    """Score every mixture of a manifest; returns a row a mixture."""
    sources = count_sources(manifest)
    table = read_manifest(manifest, sources)
    paths = find_estimates(folder, pattern, list(table["mixture_ID"]), sources)
    jobs = [
        delayed(score_files)(
            row["mixture_path"],
            [row[f"source_{i + 1}_path"] for i in range(sources)],
            paths[row["mixture_ID"]],
            scoring,
        )
        for row in table.to_dict("records")
    ]
    results = parallel(nj, return_as="generator")(jobs)
    scores = list(tqdm(results, total=len(jobs), desc="score", unit="mixture"))
    return scores_table(table, scores, list(scoring.metrics))


def count_sources(manifest: Path) -> int:
    """How many columns of references a manifest has.

    Raises:
        RecipeError: none.
    """
    table = read_manifest(manifest, 0)
    number = 0
    while f"source_{number + 1}_path" in table:
        number += 1
    if not number:
        raise RecipeError(
            f"{manifest}: column 'source_1_path' is missing; without references,"
            " local/quality.py estimates quality"
        )
    return number


if __name__ == "__main__":
    run_command(main)
