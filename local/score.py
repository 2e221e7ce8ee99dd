"""Score separated audio that another program wrote.

ESTIMATES holds a file for each mixture of MANIFEST and each of its sources, in any order of the
sources, as long as the mixture and at its rate. A mixture whose estimates are missing, longer,
shorter, at another rate or damaged has no scores, and the reason in the column `failure`.
Writes OUT_DIR/scores.csv, a row a mixture, as stage 4 does, and OUT_DIR/means.csv. A run that was
killed resumes at its first missing mixture, unless a file has changed since.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from pathlib import Path

import pandas as pd
from joblib import delayed
from tqdm import tqdm

from separation.arguments import make_parser
from separation.config import BASE, read_yaml
from separation.corpus.manifest import read_manifest, scores_beside
from separation.errors import RecipeError
from separation.evaluation.evaluator import scores_table
from separation.evaluation.external import (
    PATTERN,
    find_estimates,
    score_files,
    scoring_key,
)
from separation.evaluation.inputs import keep
from separation.evaluation.metrics import Scoring, check_metrics
from separation.evaluation.part import PART, Part
from separation.evaluation.results import mean_line, summarise
from separation.files import atomic_path, exclusive
from separation.process import parallel
from separation.ranges import check_values


def main() -> None:
    """Parse the command line, score every mixture, print the means."""
    base = read_yaml(BASE)
    settings = base["evaluation"]
    parser = make_parser(
        __doc__,
        *("metrics", "metrics_backend"),
        metrics={
            "default": ",".join(settings["metrics"]),
            "help": "names with commas between them (default: %(default)s)",
        },
        metrics_backend={
            "default": settings["metrics_backend"],
            "help": "own or pb_bss_eval (default: %(default)s)",
        },
    )
    parser.add_argument("--estimates", type=Path, required=True, help="folder of the estimates")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV file of the mixtures")
    parser.add_argument(
        "--pattern",
        default=PATTERN,
        help="path of an estimate in that folder; sources count from 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--out_dir", type=Path, help="folder of the two tables (default: ESTIMATES)"
    )
    parser.add_argument(
        "--nj", type=int, default=base["nj"], help="processes; 0: one a core (default: %(default)s)"
    )
    arguments = parser.parse_args()
    inputs = scores_beside(arguments.manifest)
    scoring = Scoring(tuple(arguments.metrics.split(",")), arguments.metrics_backend, inputs)
    chosen = {"metrics": list(scoring.metrics), "metrics_backend": scoring.backend}
    check_values({"evaluation": chosen, "nj": arguments.nj})
    check_metrics(scoring.metrics, scoring.backend)

    sources = count_sources(arguments.manifest)
    table = read_manifest(arguments.manifest, sources)
    ids = list(table["mixture_ID"])
    paths = find_estimates(arguments.estimates, arguments.pattern, ids, sources)
    out_dir = arguments.out_dir or arguments.estimates
    out_dir.mkdir(parents=True, exist_ok=True)
    with exclusive(out_dir, "scoring"):
        means = score_all(table, paths, scoring, out_dir, arguments.nj)
    for row in means.to_dict("records"):
        print(f"{row['subset']:4} {mean_line(row)}")
    print(f"scores are in {out_dir / 'scores.csv'}, means in {out_dir / 'means.csv'}")


def score_all(
    table: pd.DataFrame, paths: dict[str, list[Path]], scoring: Scoring, out_dir: Path, nj: int
) -> pd.DataFrame:
    """Score every mixture of a manifest, write both tables; returns the means.

    Scores are kept in a part file as they come: a run that was killed resumes after them.
    """
    part = Part(out_dir / PART, scoring_key(table, paths, scoring))
    done = len(part.scores)
    if done:
        print(f"{out_dir}: {done} of {len(table)} mixtures were scored before")
    jobs = []
    for row in table[done:].to_dict("records"):
        estimates = paths[row["mixture_ID"]]
        sources = [row[f"source_{i + 1}_path"] for i in range(len(estimates))]
        jobs.append(delayed(score_files)(row["mixture_path"], sources, estimates, scoring))
    results = parallel(nj, return_as="generator")(jobs)
    for score in tqdm(results, initial=done, total=len(table), desc="score", unit="mixture"):
        part.add(score)
    scores = scores_table(table, part.scores, list(scoring.metrics))
    means = pd.DataFrame(summarise(scores))
    for name, rows in (("scores.csv", scores), ("means.csv", means)):
        with atomic_path(out_dir / name) as temporary:
            rows.to_csv(temporary, index=False)
    keep(scoring.inputs, part.input_scores)
    part.path.unlink()
    return means


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
