"""Stage 1: mix the recordings as the lists say."""

from __future__ import annotations

import argparse
from pathlib import Path

from separation.config import load_corpus_config, wav_folder
from separation.corpus.levels import read_levels
from separation.corpus.lists import SPLITS
from separation.corpus.mixing import check_list, mix_split
from separation.corpus.ownership import check_apart
from separation.corpus.problems import Problems
from separation.errors import run_command


def main() -> None:
    """Parse the command line and mix every split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", help="key=value of the YAML")
    arguments = parser.parse_args()
    conf = load_corpus_config(arguments.corpus, arguments.overrides)
    facts = conf["corpus"]
    wav_dir = wav_folder(arguments.data_dir, conf)
    if facts["corpus_dir"]:
        check_apart(Path(facts["corpus_dir"]), wav_dir)
    problems = Problems(facts["keep_going"])
    for split in SPLITS:  # a bad line of the last list is told before the first is mixed
        check_list(arguments.data_dir, facts["n_src"], split, problems)
    levels = read_levels(Path(facts["levels_file"])) if facts["levels_file"] else None
    for split in SPLITS:
        mix_split(
            arguments.data_dir,
            wav_dir,
            split,
            sample_rate=facts["sample_rate"],
            mode=facts["mode"],
            n_src=facts["n_src"],
            nj=conf["nj"] or -1,
            levels=levels,
            problems=problems,
        )
    problems.finish(str(arguments.data_dir))
    print(f"mixtures are in {wav_dir}")


if __name__ == "__main__":
    run_command(main)
