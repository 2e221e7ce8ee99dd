"""Stage 0 of minilibri-2mix: find or download Mini LibriSpeech, split it, write the lists."""

from __future__ import annotations

from separation.process import run_command  # isort: split

from collections.abc import Callable
from pathlib import Path

from download import download_archives
from separation.config import Conf
from separation.corpus.drawing import make_lists, split_speakers
from separation.corpus.librispeech import TABLE, read_readers
from separation.corpus.lists import Utterance, write_lists
from separation.corpus.ownership import check_apart
from separation.corpus.starting import begin_sources, link_sources
from separation.errors import RecipeError
from separation.ranges import numbers_of_sources
from separation.stages import data_stage


def main() -> None:
    """Parse the command line and make the corpus."""
    data_stage(0, __doc__, prepare)


def prepare(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Make ``sources``, ``sources.csv`` and ``lists/``."""
    corpus, numbers = conf["corpus"], numbers_of_sources(conf)
    if corpus["corpus_dir"]:
        corpus_dir = Path(corpus["corpus_dir"]).resolve()
        if not corpus_dir.is_dir():
            raise RecipeError(f"--corpus_dir {corpus_dir}: no such folder")
        check_apart(corpus_dir, data_dir)
    else:
        begin()
        corpus_dir = download_archives(corpus["base_url"], corpus["archives"], data_dir.resolve())
    utterances = find_utterances(corpus_dir, conf)
    lists = make_lists(utterances, numbers, corpus["n_mixtures"], conf["seed"])
    begin()
    link_sources(begin_sources(data_dir, corpus_dir), corpus_dir)
    write_lists(data_dir, utterances, lists)
    for split, lines in lists.items():
        speakers = {(u.speaker, u.gender) for u in utterances if u.split == split}
        women = sum(gender == "F" for _, gender in speakers)
        print(f"{split}: {women} women, {len(speakers) - women} men, {len(lines)} mixtures")


def find_utterances(corpus_dir: Path, conf: Conf) -> list[Utterance]:
    """Find ``<part>/<speaker>/<chapter>/*.flac`` and give every speaker a split."""
    paths = sorted(p.relative_to(corpus_dir) for p in corpus_dir.glob("*/*/*/*.flac"))
    if not paths:
        raise RecipeError(
            f"{corpus_dir}: no <part>/<speaker>/<chapter>/*.flac below it;"
            " --corpus_dir is the folder LibriSpeech/ that holds train-clean-5/"
        )
    genders = read_readers(corpus_dir / TABLE)
    unknown = sorted({p.parts[1] for p in paths} - set(genders))
    if unknown:
        raise RecipeError(f"{corpus_dir / TABLE}: no speaker {unknown[0]} in it")
    splits = split_speakers(
        {p.parts[1]: genders[p.parts[1]] for p in paths}, conf["corpus"]["shares"], conf["seed"]
    )
    return [
        Utterance(p.as_posix(), p.parts[1], genders[p.parts[1]], splits[p.parts[1]]) for p in paths
    ]


if __name__ == "__main__":
    run_command(main)
