"""Stage 1: mix the recordings as the lists say."""

from __future__ import annotations

from separation.process import run_command  # isort: split

from collections.abc import Callable
from pathlib import Path

from separation.config import Conf
from separation.corpus.layout import Corpus
from separation.corpus.levels import read_levels, write_levels
from separation.corpus.mixing import check_list, mix_split
from separation.corpus.ownership import Made, check_apart
from separation.corpus.problems import Problems
from separation.ranges import SPLITS
from separation.stages import data_stage


def main() -> None:
    """Parse the command line and mix every split."""
    data_stage(1, __doc__, mix)


def mix(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Mix every split."""
    settings, corpus = conf["corpus"], Corpus.of(conf, data_dir)
    if settings["corpus_dir"]:
        check_apart(Path(settings["corpus_dir"]), corpus.wav_dir)
    problems = Problems(settings["keep_going"])
    for split in SPLITS:  # a bad line of the last list is an error before the first is mixed
        check_list(corpus, split, problems)
    levels = read_levels(Path(settings["levels_file"])) if settings["levels_file"] else None
    begin()
    made = Made(data_dir)
    made.claim([corpus.levels_file.name])
    made.unlink([corpus.levels_file.name])
    measured: dict[str, float] = {}
    for split in SPLITS:
        measured |= mix_split(corpus, split, conf["nj"], levels, problems).levels
    write_levels(corpus.levels_file, measured)  # training mixes with the same ones
    problems.finish(str(data_dir))
    print(f"mixtures are in {corpus.wav_dir}")


if __name__ == "__main__":
    run_command(main)
