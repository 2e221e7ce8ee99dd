"""Stage 0 of voices-2mix: several folders of speakers become one corpus."""

from __future__ import annotations

from separation.process import run_command  # isort: split

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from groups import Group, find_groups, language_of
from separation.config import Conf
from separation.corpus.drawing import make_lists, split_speakers
from separation.corpus.lists import Utterance, write_lists
from separation.corpus.ownership import check_apart
from separation.corpus.problems import Problems
from separation.corpus.recordings import place_recordings, possible_paths
from separation.corpus.starting import begin_sources
from separation.errors import RecipeError
from separation.ranges import SPLITS, numbers_of_sources
from separation.stages import data_stage


def main() -> None:
    """Parse the command line and make the corpus."""
    data_stage(0, __doc__, prepare)


def prepare(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Make ``sources``, ``sources.csv`` and ``lists/``."""
    groups = find_groups(conf["corpus"])
    for group in groups:
        check_apart(group.folder, data_dir)
    splits = split(groups, conf)
    wanted = {
        f"sources/{group.name}/{path.removeprefix('sources/')}"
        for group in groups
        for path in possible_paths(group.recordings)
    }
    begin()
    made = begin_sources(data_dir)
    earlier = made.below("sources")
    made.claim(wanted)
    made.unlink(earlier)
    made.remove(earlier - wanted)
    utterances = place(groups, splits, data_dir / "sources", conf)
    made.note_others("sources")
    lists = draw(utterances, conf)
    write_lists(data_dir, utterances, lists)
    summarise(utterances, lists)


def split(groups: list[Group], conf: Conf) -> dict[str, str]:
    """Give every speaker one split.

    A speaker who is in a group that only trains is in tr, whichever other groups have recordings of
    that speaker, too. The others of each group of ``test_groups`` are shared out.

    Raises:
        RecipeError: a speaker of a language is in a group of training, too.
    """
    corpus = conf["corpus"]
    splits: dict[str, str] = {}
    for group in groups:
        if group.name not in [*corpus["test_groups"], *corpus["language_groups"]]:
            splits.update(dict.fromkeys(group.genders, "tr"))
    for group in groups:
        if group.name in corpus["test_groups"]:
            free = {name: sex for name, sex in group.genders.items() if name not in splits}
            if free:
                splits.update(split_speakers(free, corpus["shares"], conf["seed"]))
    for group in groups:
        if group.name in corpus["language_groups"]:
            both = sorted(group.genders.keys() & splits.keys())
            if both:
                raise RecipeError(
                    f"{group.folder}: speaker {both[0]} is in another group, too;"
                    " a speaker of corpus.language_groups must not be heard in training"
                )
            splits.update(dict.fromkeys(group.genders, "tt"))
    return splits


def place(
    groups: list[Group], splits: dict[str, str], sources_dir: Path, conf: Conf
) -> list[Utterance]:
    """Link to all recordings, below a folder for each group.

    Returns:
        one utterance a recording; those of a language have it as their group.
    """
    corpus = conf["corpus"]
    problems = Problems(corpus["keep_going"])
    utterances = []
    for group in groups:
        paths, bad = place_recordings(
            group.recordings,
            sources_dir / group.name,
            corpus["mixdown"],
            conf["nj"],
            corpus["keep_going"],
        )
        for problem in bad:
            problems.add(problem)
        spoken = group.name in corpus["language_groups"]
        for path, recording in zip(paths, group.recordings, strict=False):
            name = recording.speaker
            row = language_of(name) if spoken else group.name
            place_ = f"{group.name}/{path}"
            utterances.append(Utterance(place_, name, group.genders[name], splits[name], row))
    problems.finish("--corpus_dir")
    return utterances


def draw(utterances: list[Utterance], conf: Conf) -> dict[str, list[str]]:
    """Draw the mixtures: those of tr of all speakers, those of cv and tt within a group each."""
    corpus, seed, numbers = conf["corpus"], conf["seed"], numbers_of_sources(conf)
    none = dict.fromkeys(SPLITS, 0)
    counts = corpus["n_mixtures"]
    lists = make_lists(utterances, numbers, {**none, "tr": counts["tr"]}, seed)
    names = corpus["test_groups"]
    for number, name in enumerate(names):
        mine = [u for u in utterances if u.group == name]
        # Those that cannot be shared out evenly go to the first groups.
        wanted = {s: (counts[s] + len(names) - 1 - number) // len(names) for s in ("cv", "tt")}
        for key, lines in make_lists(mine, numbers, {**none, **wanted}, seed).items():
            lists[key] += lines
    for language in sorted({u.group for u in utterances} - set(corpus["train_groups"])):
        mine = [u for u in utterances if u.group == language]
        if len({u.speaker for u in mine}) < max(numbers):
            print(f"{language}: fewer than {max(numbers)} speakers, so no mixtures")
            continue
        wanted = {**none, "tt": corpus["n_language_mixtures"]}
        lists["tt"] += make_lists(mine, numbers, wanted, seed)["tt"]
    return lists


def summarise(utterances: list[Utterance], lists: dict[str, list[str]]) -> None:
    """Print what there is of each split, group by group."""
    for name, lines in lists.items():
        mine = {(u.group, u.speaker) for u in utterances if u.split == name}
        counts = Counter(group for group, _ in mine)
        speakers = ", ".join(f"{group} {count}" for group, count in sorted(counts.items()))
        print(f"{name}: {len(lines)} mixtures; speakers: {speakers}")


if __name__ == "__main__":
    run_command(main)
