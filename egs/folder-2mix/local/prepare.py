"""Stage 0 of folder-2mix: a folder of recordings becomes a corpus."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from collections import Counter
from pathlib import Path

from separation.config import Conf, load_corpus_config
from separation.corpus.lists import SPLITS, Utterance, make_lists, split_speakers, write_lists
from separation.corpus.recordings import find_recordings, place_recordings, read_genders
from separation.errors import RecipeError, run_command


def main() -> None:
    """Parse the command line and make ``sources``, ``sources.csv`` and ``lists/``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", help="key=value of the YAML")
    arguments = parser.parse_args()
    conf = load_corpus_config(arguments.corpus, arguments.overrides)
    facts, data_dir = conf["corpus"], arguments.data_dir
    if not facts["corpus_dir"]:
        raise RecipeError(
            "--corpus_dir is missing: the folder with a folder of recordings a speaker"
        )
    corpus_dir = Path(facts["corpus_dir"]).resolve()
    if not corpus_dir.is_dir():
        raise RecipeError(f"--corpus_dir {corpus_dir}: no such folder")
    recordings = find_recordings(corpus_dir)
    genders = read_genders(corpus_dir, {r.speaker for r in recordings})
    splits = split(genders, facts["shares"], facts["n_src"], conf["seed"], corpus_dir)
    sources_dir = data_dir / "sources"
    clear(data_dir)
    paths, problems = place_recordings(
        recordings, sources_dir, facts["mixdown"], conf["nj"] or -1, facts["keep_going"]
    )
    if problems and not facts["keep_going"]:
        raise RecipeError(problems[0])
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        raise RecipeError(f"{len(problems)} of {len(recordings)} recordings are bad; see above")
    utterances = [
        Utterance(path, r.speaker, genders[r.speaker], splits[r.speaker])
        for path, r in zip(paths, recordings, strict=True)
    ]
    lists = make_lists(utterances, facts["n_src"], facts["n_mixtures"], conf["seed"])
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
        least = math.ceil(n_src / len(sizes)) / min(sizes.values())
        wanted = {name: max(shares[name], least) for name in ("cv", "tt")}
        splits = split_speakers(known, wanted, seed)
        counts = Counter(splits.values())
        if all(counts[name] >= n_src for name in SPLITS):
            return splits
    raise RecipeError(
        f"--corpus_dir {corpus_dir}: {len(genders)} speakers, but at least {3 * n_src} are needed:"
        f" {n_src} for each of tr, cv and tt, because a mixture has {n_src} and no voice is in two"
    )


def clear(data_dir: Path) -> None:
    """Remove what an earlier run made of other recordings."""
    (data_dir / "sources.csv").unlink(missing_ok=True)
    sources_dir = data_dir / "sources"
    if sources_dir.is_symlink():
        sources_dir.unlink()
    elif sources_dir.exists():
        shutil.rmtree(sources_dir)


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
