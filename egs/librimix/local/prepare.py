"""Stage 0 of librimix: find the mixtures that LibriMix's scripts made, and take their tables."""

from __future__ import annotations

from separation.process import run_command  # isort: split

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from librimix import MIXTURES, SIZES, find_folder, read_genders, read_mixtures
from separation.config import Conf
from separation.corpus.lists import Utterance, write_lists
from separation.corpus.ownership import Made, check_apart
from separation.corpus.problems import Problems
from separation.corpus.starting import begin_sources, link_sources
from separation.errors import RecipeError
from separation.files import atomic_path
from separation.ranges import SPLITS, the_number_of_sources
from separation.stages import data_stage


def main() -> None:
    """Parse the command line and take over the tables."""
    data_stage(0, __doc__, prepare)


def prepare(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Make ``mixtures/{tr,cv,tt}.csv`` and ``sources.csv``."""
    corpus = conf["corpus"]
    the_number_of_sources(conf, "librimix")
    corpus_dir = check(corpus)
    check_apart(corpus_dir, data_dir)
    folder = find_folder(corpus_dir, corpus["n_src"], corpus["sample_rate"], corpus["mode"])
    check_apart(folder, data_dir)
    genders = read_genders(corpus["speakers"], corpus_dir)
    tables, problems = {}, Problems(corpus["keep_going"])
    for split in SPLITS:
        part = corpus["parts"][split]
        table = read_mixtures(folder, part, corpus["task"], corpus["n_src"], problems)
        for i in range(corpus["n_src"]):
            table[f"gender_{i + 1}"] = [genders.get(s, "") for s in table[f"speaker_{i + 1}_ID"]]
        tables[split] = table
        full = SIZES.get(corpus["n_src"], {}).get(part, len(table))
        print(f"{split}: {len(table)} mixtures of {part}", end="")
        print("" if len(table) == full else f", which has {full} when it is whole")
    problems.finish(str(folder))
    begin()
    made = begin_sources(data_dir, folder)
    made.claim(f"mixtures/{split}.csv" for split in SPLITS)
    for split, table in tables.items():
        with atomic_path(data_dir / "mixtures" / f"{split}.csv") as temporary:
            table.to_csv(temporary, index=False)
    if not genders:
        print("no SPEAKERS.TXT: results will have no rows for women and men (corpus.speakers=FILE)")
    if corpus["task"] == "sep_clean":  # dynamic mixing knows no noise
        offer_sources(made, folder, tables, corpus["n_src"])


def check(corpus: Conf) -> Path:
    """Refuse what LibriMix does not have; returns the folder of the recordings."""
    if corpus["task"] not in MIXTURES:
        raise RecipeError(f"corpus.task={corpus['task']}: must be sep_clean or sep_noisy")
    if not corpus["corpus_dir"]:
        raise RecipeError(
            "--corpus_dir is missing: the folder with Libri2Mix/ in it, which the scripts of"
            " https://github.com/JorisCos/LibriMix make"
        )
    corpus_dir = Path(corpus["corpus_dir"]).resolve()
    if not corpus_dir.is_dir():
        raise RecipeError(f"--corpus_dir {corpus_dir}: no such folder")
    return corpus_dir


def offer_sources(made: Made, folder: Path, tables: dict[str, pd.DataFrame], n_src: int) -> None:
    """Offer the mixtures' sources to dynamic mixing."""
    link_sources(made, folder)
    utterances = [
        Utterance(_below(path, folder), speaker, gender, split)
        for split, table in tables.items()
        for i in range(1, n_src + 1)
        for path, speaker, gender in zip(
            table[f"source_{i}_path"],
            table[f"speaker_{i}_ID"],
            table[f"gender_{i}"],
            strict=True,
        )
    ]
    write_lists(made.folder, utterances, {})


def _below(path: str, folder: Path) -> str:
    """The path below ``folder``; one that is elsewhere stays absolute."""
    return Path(path).relative_to(folder).as_posix() if Path(path).is_relative_to(folder) else path


if __name__ == "__main__":
    run_command(main)
