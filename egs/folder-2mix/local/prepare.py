"""Stage 0 of folder-2mix: a folder of recordings becomes a corpus."""

from __future__ import annotations

from separation.process import run_command  # isort: split

import math
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from separation.config import Conf
from separation.corpus.drawing import make_lists, split_speakers
from separation.corpus.lists import Utterance, write_lists
from separation.corpus.ownership import check_apart
from separation.corpus.recordings import (
    find_recordings,
    place_recordings,
    possible_paths,
    read_genders,
)
from separation.corpus.starting import begin_sources
from separation.errors import RecipeError
from separation.ranges import SPLITS, numbers_of_sources
from separation.stages import data_stage


def main() -> None:
    """Parse the command line and make the corpus."""
    data_stage(0, __doc__, prepare)


def prepare(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Make ``sources``, ``sources.csv`` and ``lists/``."""
    corpus, numbers = conf["corpus"], numbers_of_sources(conf)
    if not corpus["corpus_dir"]:
        raise RecipeError(
            "--corpus_dir is missing: the folder with a folder of recordings a speaker"
        )
    corpus_dir = Path(corpus["corpus_dir"]).resolve()
    if not corpus_dir.is_dir():
        raise RecipeError(f"--corpus_dir {corpus_dir}: no such folder")
    check_apart(corpus_dir, data_dir)
    recordings = find_recordings(corpus_dir)
    genders = read_genders(corpus_dir, {r.speaker for r in recordings})
    splits = split(genders, corpus["shares"], max(numbers), conf["seed"], corpus_dir)
    begin()
    made = begin_sources(data_dir, corpus_dir)
    wanted, earlier = possible_paths(recordings), made.below("sources")
    made.claim(wanted)
    made.unlink(earlier)
    made.remove(earlier - wanted)
    paths, problems = place_recordings(
        recordings, data_dir / "sources", corpus["mixdown"], conf["nj"], corpus["keep_going"]
    )
    made.note_others("sources")
    if problems and not corpus["keep_going"]:
        raise RecipeError(problems[0])
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        raise RecipeError(f"{len(problems)} of {len(recordings)} recordings are bad; see above")
    utterances = [
        Utterance(path, r.speaker, genders[r.speaker], splits[r.speaker])
        for path, r in zip(paths, recordings, strict=True)
    ]
    lists = make_lists(utterances, numbers, corpus["n_mixtures"], conf["seed"])
    write_lists(data_dir, utterances, lists)
    summarise(utterances, lists)


def split(
    genders: dict[str, str], shares: Conf, n_src: int, seed: int, corpus_dir: Path
) -> dict[str, str]:
    """Give every speaker one split, with as many in each as a mixture needs.

    Genders are balanced as far as the speakers go: with too few of one, they are not looked at.

    Raises:
        RecipeError: too few speakers for three splits.
    """
    for known in (genders, dict.fromkeys(genders, "")):
        sizes = Counter(known.values())
        smallest = math.ceil(n_src / len(sizes)) / min(sizes.values())
        wanted = {name: max(shares[name], smallest) for name in ("cv", "tt")}
        splits = split_speakers(known, wanted, seed)
        counts = Counter(splits.values())
        if all(counts[name] >= n_src for name in SPLITS):
            return splits
    raise RecipeError(
        f"--corpus_dir {corpus_dir}: {len(genders)} speakers, but at least {3 * n_src} are needed:"
        f" {n_src} for each of tr, cv and tt, because a mixture has {n_src} and nobody is in two"
    )


def summarise(utterances: list[Utterance], lists: dict[str, list[str]]) -> None:
    """Print what there is of each split."""
    for name, lines in lists.items():
        mine = [u for u in utterances if u.split == name]
        print(
            f"{name}: {len({u.speaker for u in mine})} speakers, {len(mine)} recordings,"
            f" {len(lines)} mixtures"
        )


if __name__ == "__main__":
    run_command(main)
