"""Stage 2: write the CSV files of the corpus, checked against the audio."""

from __future__ import annotations

from separation.process import run_command  # isort: split

from collections.abc import Callable
from pathlib import Path

from separation.config import Conf
from separation.corpus.layout import Corpus
from separation.corpus.lists import read_split
from separation.corpus.manifest import make_manifests
from separation.corpus.problems import Problems
from separation.ranges import SPLITS
from separation.stages import data_stage


def main() -> None:
    """Parse the command line and write ``{tr,cv,tt}.csv`` and ``fingerprint.txt``."""
    data_stage(2, __doc__, write_manifests)


def write_manifests(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Write ``{tr,cv,tt}.csv`` and ``fingerprint.txt``."""
    settings, corpus = conf["corpus"], Corpus.of(conf, data_dir)
    problems = Problems(settings["keep_going"])
    for split in SPLITS:
        read_split(data_dir, corpus.numbers, split, problems)
    begin()
    fingerprint = make_manifests(
        corpus,
        conf["nj"],
        problems,
        expected=settings.get("expected"),  # for corpora of which that is known
        allow_partial=settings.get("allow_partial", False),
    )
    print(f"manifests are in {corpus.wav_dir}/{{tr,cv,tt}}.csv, fingerprint {fingerprint}")


if __name__ == "__main__":
    run_command(main)
