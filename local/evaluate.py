"""Stage 4: evaluate a trained system on whole utterances.

Writes `EXP_DIR/eval_<split>/scores.csv` (a row a mixture), a few separated mixtures as audio
beside it, and the result file of the system. EXP_DIR may be the name of a model on the shelf.
"""

from __future__ import annotations

from separation.process import command_line, run_command  # isort: split

import argparse
import os
from datetime import datetime
from pathlib import Path

import pandas as pd

from separation.arguments import make_parser
from separation.config import ROOT, load_resolved
from separation.corpus.layout import Corpus
from separation.corpus.manifest import read_fingerprint
from separation.evaluation.evaluator import (
    evaluate_split,
    read_split,
    real_time_factor,
)
from separation.evaluation.metrics import METRICS, check_metrics
from separation.evaluation.results import (
    Provenance,
    corpus_and_tag,
    read_results,
    result_rows,
    trained_epochs,
    write_results,
)
from separation.files import check_name
from separation.inference.separator import Separator, pick_device
from separation.models.architecture import architecture
from separation.models.complexity import count_macs, count_parameters, in_ms
from separation.models.registry import build_model
from separation.models.shelf import SHELF, find_system
from separation.provenance import commit_name
from separation.stages import Stage, evaluation_settings, lock


def main() -> None:
    """Parse the command line, evaluate each split, write the result file."""
    arguments = parse_arguments()
    exp_dir = find_system(arguments.exp_dir)
    name = check_name(exp_dir.resolve().name, str(exp_dir))
    # A model of the shelf is evaluated like an experiment, in a folder of exp/.
    shelved = exp_dir.resolve().parent == SHELF.resolve()
    out_dir = ROOT / "exp" / f"{SHELF.name}_{name}" if shelved else exp_dir
    default = exp_dir / "results.csv" if shelved else ROOT / "results" / f"{name}.csv"
    path = arguments.results or default
    if arguments.split and os.path.lexists(path):
        read_results(path)  # a damaged one is an error now, not after the evaluation
    asked = [f"evaluation.splits=[{arguments.split}]"] if arguments.split else []
    conf = load_resolved(exp_dir, [*arguments.overrides, *asked])
    settings = conf["evaluation"]
    check_metrics(settings["metrics"])
    corpus, tag = corpus_and_tag(name, conf["corpus"]["name"])
    data_dir = arguments.data_dir or ROOT / "data" / corpus
    place = Corpus.of(conf, data_dir)
    separator = Separator.from_experiment(
        exp_dir, pick_device(arguments.device), precision=arguments.precision
    )
    stage = Stage(4, out_dir, evaluation_settings(conf), reads=data_dir)
    tables = {
        split: read_split(
            place.manifest(split), separator.n_src, settings["max_mixtures"].get(split, 0)
        )
        for split in settings["splits"]
    }
    facts = Provenance(
        corpus=corpus,
        tag=tag,
        parameters=count_parameters(build_model(conf)),
        macs_per_second=count_macs(separator.model, separator.sample_rate),
        real_time_factor=round(real_time_factor(separator, tables[settings["splits"][0]]), 5),
        latency_ms=in_ms(architecture(conf).latency, separator.sample_rate),
        epochs=trained_epochs(exp_dir),
        commit=commit_name(),
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        command=command_line(),
        data_fingerprint=read_fingerprint(place.wav_dir),
    )
    # One split, or another precision, is less than stage 4 or something else.
    whole = not arguments.split and arguments.precision == "fp32"
    held = None if whole else lock(out_dir, "evaluation")
    if whole:
        stage.begin()
    rows = []
    for split, table in tables.items():
        folder = out_dir / f"eval_{split}"
        scores = evaluate_split(separator, table, folder, settings, conf["nj"])
        rows.append(result_rows(scores, split, facts))
        print(f"{split}: {folder / 'scores.csv'}")
    results = pd.concat([frame.astype(object) for frame in rows])
    write_results(path, results, keep_other_splits=bool(arguments.split))
    if whole:
        stage.finish()
    elif held is not None:
        held.close()
    print_means(results)
    print(f"results are in {path}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        *("exp_dir", "data_dir", "device", "precision", "overrides"),
        data_dir={"required": False, "help": "default: data/<corpus> of the experiment"},
        precision={
            "default": "fp32",
            "help": "of the network (default: fp32, so that results of all machines compare)",
        },
    )
    parser.add_argument("--results", type=Path, help="default: results/<corpus>_<tag>.csv")
    parser.add_argument("--split", help="only this one; the result file keeps its other splits")
    return parser.parse_args()


def print_means(results: pd.DataFrame) -> None:
    """Print the means and how many mixtures a metric could not be computed for."""
    shown = [(metric.columns[-1], metric.form) for metric in METRICS.values()]
    for row in results.to_dict("records"):
        scores = ", ".join(
            f"{name} {row[name]:{form}}" for name, form in shown if pd.notna(row[name])
        )
        failed = f", {row['n_failed']} of them with a failure" if row["n_failed"] else ""
        print(f"{row['split']:3} {row['subset']:4} {scores} (n = {row['n_mixtures']}{failed})")


if __name__ == "__main__":
    run_command(main)
