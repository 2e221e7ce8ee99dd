"""Stage 4: evaluate a trained system, or an oracle, on whole utterances.

Writes `EXP_DIR/eval_<split>/scores.csv` (a row a mixture), a few separated mixtures as audio
beside it, and the result file of the system. EXP_DIR may be the name of a model on the shelf.
An oracle, such as `--corpus espeak-2mix --tag oracle_ibm`, is made from the references and needs
no EXP_DIR.
"""

from __future__ import annotations

from separation.process import command_line, run_command  # isort: split

import argparse
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from separation.arguments import make_parser
from separation.config import ROOT, Conf, load_corpus_config, load_resolved
from separation.corpus.layout import Corpus, folder_name
from separation.corpus.manifest import read_fingerprint, scores_beside
from separation.errors import RecipeError, nearest
from separation.evaluation.evaluator import (
    evaluate_split,
    read_split,
    real_time_factor,
)
from separation.evaluation.metrics import check_metrics
from separation.evaluation.oracles import Oracle
from separation.evaluation.results import (
    Provenance,
    corpus_and_tag,
    mean_line,
    read_results,
    result_rows,
    trained_epochs,
    write_results,
)
from separation.evaluation.speakers import SPEAKERS, count_rows, describe_counts, score_split
from separation.evaluation.workers import workers
from separation.files import check_name
from separation.inference.recursion import RecursiveSeparator, open_separator
from separation.inference.separator import Separator, pick_device
from separation.models.architecture import architecture
from separation.models.complexity import count_macs, count_parameters, in_ms
from separation.models.registry import build_model
from separation.models.shelf import find_system
from separation.provenance import commit_name
from separation.ranges import ORACLES
from separation.stages import (
    Stage,
    done_marker,
    evaluation_settings,
    lock,
    oracle_settings,
    read_marker,
)
from separation.tree import output_dir


@dataclass(frozen=True)
class Subject:
    """What is evaluated, and where its scores go.

    Attributes:
        corpus: the name in the results, with the number of speakers if it is not two.
        tag: the name of the system there.
        conf: the configuration; of an oracle that of the corpus.
        exp_dir: of the trained system, None for an oracle.
        out_dir: folder of the scores.
        results: the result file.
    """

    corpus: str
    tag: str
    conf: Conf
    exp_dir: Path | None
    out_dir: Path
    results: Path


def main() -> None:
    """Parse the command line, evaluate each split, write the result file."""
    arguments = parse_arguments()
    subject = find_oracle(arguments) if arguments.tag else find_trained(arguments)
    conf, settings = subject.conf, subject.conf["evaluation"]
    check_metrics(settings["metrics"], settings["metrics_backend"])
    data_dir = arguments.data_dir or ROOT / "data" / subject.corpus
    place = Corpus.of(conf, data_dir)
    system: Separator | Oracle
    if subject.exp_dir is None:
        system, decisive = Oracle(subject.tag, conf), oracle_settings(conf)
    else:
        device = pick_device(arguments.device)
        system = open_separator(subject.exp_dir, device, arguments.precision)
        decisive = evaluation_settings(conf)
    stage = Stage(4, subject.out_dir, decisive, reads=data_dir)
    fingerprint = read_fingerprint(place.wav_dir)
    tables = {
        split: read_split_of(place, split, system, settings).assign(data_fingerprint=fingerprint)
        for split in settings["splits"]
    }
    facts = Provenance(
        corpus=corpus_of(data_dir, subject.corpus),
        tag=subject.tag,
        commit=commit_name(),
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        command=command_line(),
        data_fingerprint=fingerprint,
        **facts_of_network(subject, system, tables[settings["splits"][0]]),
    )
    # One split, or another precision, is less than stage 4 or something else.
    whole = not arguments.split and arguments.precision == "fp32"
    subject.out_dir.mkdir(parents=True, exist_ok=True)
    held = None if whole else lock(subject.out_dir, "evaluation")
    if whole:
        stage.begin()
    results = evaluate(subject, system, tables, facts, place, arguments.scheduler)
    write_results(subject.results, results, keep_other_splits=bool(arguments.split))
    if whole:
        stage.finish()
    elif held is not None:
        held.close()
    print_means(results)
    print(f"results are in {subject.results}")


def corpus_of(data_dir: Path, corpus: str) -> str:
    """The corpus that mixtures are of: that of the system, unless stages 0 to 2 made another's."""
    settings = read_marker(done_marker(2, data_dir)) or {}
    made = str(settings.get("corpus.name", corpus))
    return corpus if corpus.startswith(made) else made


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        *("exp_dir", "corpus", "tag", "data_dir", "device", "precision"),
        *("metrics", "metrics_backend", "scheduler", "overrides"),
        exp_dir={
            "required": False,
            "help": "a trained system, or the name of one of the shelf; for an oracle, where its"
            " scores go (default: exp/<corpus>_<tag>)",
        },
        corpus={"required": False, "help": "a folder of egs/, with --tag"},
        tag={"required": False, "help": f"an oracle: {', '.join(ORACLES)}"},
        data_dir={"required": False, "help": "default: data/<corpus> of the experiment"},
        precision={
            "default": "fp32",
            "help": "of the network (default: fp32, so that results of all machines compare)",
        },
    )
    parser.add_argument("--results", type=Path, help="default: results/<corpus>_<tag>.csv")
    parser.add_argument("--split", help="only this one; the result file keeps its other splits")
    return parser.parse_args()


def find_trained(arguments: argparse.Namespace) -> Subject:
    """The trained system that the command line names.

    Raises:
        RecipeError: it names none, or something is wrong with its files.
    """
    if not arguments.exp_dir:
        raise RecipeError(
            "what is to be evaluated? --exp_dir DIR names a trained system, --corpus NAME --tag"
            f" {ORACLES[0]} an oracle"
        )
    exp_dir = find_system(arguments.exp_dir)
    name = check_name(exp_dir.resolve().name, str(exp_dir))
    out_dir = output_dir(exp_dir)
    default = ROOT / "results" / f"{name}.csv" if out_dir == exp_dir else exp_dir / "results.csv"
    results = results_path(arguments, default)
    conf = load_resolved(exp_dir, overrides(arguments))
    corpus, tag = corpus_and_tag(name, conf["corpus"]["name"])
    return Subject(corpus, tag, conf, exp_dir, out_dir, results)


def find_oracle(arguments: argparse.Namespace) -> Subject:
    """The oracle that the command line names.

    Raises:
        RecipeError: it names none.
    """
    tag = arguments.tag
    if tag not in ORACLES:
        raise RecipeError(
            f"--tag {tag}: no oracle{nearest(tag, ORACLES)}; there are {', '.join(ORACLES)}; a"
            " trained system is named by --exp_dir"
        )
    if not arguments.corpus:
        raise RecipeError(f"--tag {tag} needs --corpus NAME, a folder of egs/")
    conf = load_corpus_config(arguments.corpus, overrides(arguments))
    corpus = folder_name(conf)
    out_dir = arguments.exp_dir or ROOT / "exp" / f"{corpus}_{tag}"
    results = results_path(arguments, ROOT / "results" / f"{corpus}_{tag}.csv")
    return Subject(corpus, tag, conf, None, out_dir, results)


def overrides(arguments: argparse.Namespace) -> list[str]:
    """Changes to the configuration that the command line asks for."""
    given = {
        "splits": arguments.split and f"[{arguments.split}]",
        "metrics": arguments.metrics and f"[{arguments.metrics}]",
        "metrics_backend": arguments.metrics_backend,
    }
    changes = [f"evaluation.{key}={value}" for key, value in given.items() if value]
    return [*arguments.overrides, *changes]


def results_path(arguments: argparse.Namespace, default: Path) -> Path:
    """The result file; a damaged one is an error now, not after the evaluation."""
    path: Path = arguments.results or default
    if arguments.split and os.path.lexists(path):
        read_results(path)
    return path


def facts_of_network(
    subject: Subject, system: Separator | Oracle, table: pd.DataFrame
) -> dict[str, Any]:
    """Size, work and training of a trained system, none for an oracle.

    Args:
        subject: what is evaluated.
        system: the same, loaded.
        table: mixtures to measure its speed on.
    """
    if isinstance(system, Oracle) or subject.exp_dir is None:
        return {}
    latency = architecture(subject.conf).latency
    return {
        "parameters": count_parameters(build_model(subject.conf)),
        "macs_per_second": count_macs(system.model, system.sample_rate),
        "real_time_factor": round(real_time_factor(system, table), 5),
        "latency_ms": in_ms(latency, system.sample_rate),
        "epochs": trained_epochs(subject.exp_dir),
    }


def read_split_of(
    place: Corpus, split: str, system: Separator | Oracle, settings: Conf
) -> pd.DataFrame:
    """The mixtures of a split that are evaluated."""
    most = settings["max_mixtures"].get(split, 0)
    if isinstance(system, RecursiveSeparator):
        return read_split(place.manifest(split), place.n_src, most, place.numbers[0])
    return read_split(place.manifest(split), system.n_src, most)


def evaluate(
    subject: Subject,
    system: Separator | Oracle,
    tables: dict[str, pd.DataFrame],
    facts: Provenance,
    place: Corpus,
    scheduler: str,
) -> pd.DataFrame:
    """Evaluate every split; returns the rows of the result file."""
    settings, nj = subject.conf["evaluation"], subject.conf["nj"]
    rows = []
    for split, table in tables.items():
        folder = subject.out_dir / f"eval_{split}"
        if isinstance(system, RecursiveSeparator):
            scores = score_split(system, table, folder)
            rows.append(count_rows(scores, split, facts))
            print(f"{split}: {folder / SPEAKERS}", describe_counts(scores), sep="\n")
            continue
        inputs = scores_beside(place.manifest(split))
        with workers(nj, scheduler) as run:
            scores = evaluate_split(system, table, folder, settings, run, inputs)
        rows.append(result_rows(scores, split, facts))
        print(f"{split}: {folder / 'scores.csv'}")
    return pd.concat([frame.astype(object) for frame in rows])


def print_means(results: pd.DataFrame) -> None:
    """Print the means, an interval, and how many mixtures a metric could not be computed for."""
    for row in results.to_dict("records"):
        print(f"{row['split']:3} {row['subset']:4} {mean_line(row)}")


if __name__ == "__main__":
    run_command(main)
