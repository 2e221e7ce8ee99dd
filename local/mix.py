"""Stage 1: mix the recordings as the lists say."""

from __future__ import annotations

from separation.process import run_command  # isort: split

from collections.abc import Callable
from pathlib import Path

from separation.config import Conf, wav_folder
from separation.corpus.levels import read_levels
from separation.corpus.lists import SPLITS
from separation.corpus.mixing import check_list, mix_split
from separation.corpus.ownership import check_apart
from separation.corpus.problems import Problems
from separation.stages import data_stage


def main() -> None:
    """Parse the command line and mix every split."""
    data_stage(1, __doc__, mix)


def mix(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Mix every split."""
    corpus = conf["corpus"]
    wav_dir = wav_folder(data_dir, conf)
    if corpus["corpus_dir"]:
        check_apart(Path(corpus["corpus_dir"]), wav_dir)
    problems = Problems(corpus["keep_going"])
    for split in SPLITS:  # a bad line of the last list is told before the first is mixed
        check_list(data_dir, corpus["n_src"], split, problems)
    levels = read_levels(Path(corpus["levels_file"])) if corpus["levels_file"] else None
    begin()
    for split in SPLITS:
        mix_split(
            data_dir,
            wav_dir,
            split,
            sample_rate=corpus["sample_rate"],
            mode=corpus["mode"],
            n_src=corpus["n_src"],
            nj=conf["nj"],
            levels=levels,
            problems=problems,
        )
    problems.finish(str(data_dir))
    print(f"mixtures are in {wav_dir}")


if __name__ == "__main__":
    run_command(main)
