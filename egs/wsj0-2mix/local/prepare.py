"""Stage 0 of wsj0-2mix: take the lists and find, check and convert the recordings they name."""

from __future__ import annotations

from separation.process import run_command  # isort: split

import hashlib
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from convert import Job, convert_all
from discs import Discs, find, search
from microphone import check_levels
from official_lists import check_official, gather
from separation.config import Conf
from separation.corpus.lists import (
    ListLine,
    Utterance,
    check_speakers,
    list_path,
    read_list,
    write_lists,
)
from separation.corpus.ownership import Made, check_apart
from separation.corpus.problems import Problems
from separation.corpus.starting import begin_sources
from separation.errors import RecipeError
from separation.files import atomic_path
from separation.ranges import SPLITS, the_number_of_sources
from separation.stages import data_stage
from speakers import read_genders, speaker_of

Lists = dict[str, list[ListLine]]


def main() -> None:
    """Parse the command line and make the corpus."""
    data_stage(0, __doc__, prepare)


def prepare(conf: Conf, data_dir: Path, begin: Callable[[], None]) -> None:
    """Make ``sources``, ``sources.csv`` and ``lists/``."""
    corpus = conf["corpus"]
    the_number_of_sources(conf, "wsj0-2mix")
    corpus_dir = find_corpus_dir(corpus["corpus_dir"])
    check_apart(corpus_dir, data_dir)
    if corpus["lists"]:
        check_apart(Path(corpus["lists"]).expanduser(), data_dir / "lists")
    begin()
    made = begin_sources(data_dir, corpus_dir)
    problems = Problems(corpus["keep_going"])
    lists = take_lists(made, corpus, problems)
    discs = search(corpus_dir)
    sources_dir = data_dir / "sources"
    bad = place_recordings(lists, discs, made, conf, problems)
    advice = "; --allow_partial continues without missing and bad recordings" if bad else ""
    problems.finish(str(data_dir / "lists"), advice)
    if bad:
        lists = leave_out(lists, bad, data_dir, corpus["n_src"])
    utterances = describe(lists, read_genders(discs.speaker_tables))
    try:
        check_levels(sorted({u.path for u in utterances}), sources_dir)
    except RecipeError as error:
        if not corpus["allow_partial"]:
            raise
        print(f"warning: {error}", file=sys.stderr)
    write_lists(data_dir, utterances, {})
    summarise(lists, utterances)


def find_corpus_dir(name: str) -> Path:
    """The folder of the recordings, which nobody can download for the user."""
    if not name:
        raise RecipeError(
            "--corpus_dir is missing: the folder with the discs of WSJ0 (LDC93S6A or LDC93S6B, from"
            " https://catalog.ldc.upenn.edu), or with their recordings as 16 kHz wav or flac files"
        )
    folder = Path(name).resolve()
    if not folder.is_dir():
        raise RecipeError(f"--corpus_dir {folder}: no such folder")
    return folder


def take_lists(made: Made, corpus: Conf, problems: Problems) -> Lists:
    """Copy the mixing lists to ``lists/``, as they are, and read their good lines.

    ``lists/SHA256SUMS`` says which they were.
    """
    data_dir, n_src = made.folder, corpus["n_src"]
    archive = data_dir / "archives" / "create-speaker-mixtures.zip"
    texts = gather(corpus["lists"], corpus["lists_urls"], n_src, archive)
    sums = data_dir / "lists" / "SHA256SUMS"
    paths = [list_path(data_dir, n_src, split) for split in SPLITS]
    made.claim(path.relative_to(data_dir).as_posix() for path in [sums, *paths])
    for split, text in texts.items():
        with atomic_path(list_path(data_dir, n_src, split)) as temporary:
            temporary.write_bytes(text)
    lists = {}
    for split in SPLITS:
        lines = read_list(list_path(data_dir, n_src, split), n_src, problems)
        lists[split] = [
            line
            for line in lines
            if check_speakers(line, [speaker_of(p) for p in line.paths], problems)
        ]
    if not corpus["lists"]:
        check_official(lists, corpus["expected"], archive)
    note_sums(sums, {path.name: texts[split] for split, path in zip(SPLITS, paths, strict=True)})
    return lists


def note_sums(path: Path, texts: dict[str, bytes]) -> None:
    """Write and print the SHA-256 sum of each list; say if they were others before."""
    rows = [f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in texts.items()]
    before = path.read_text("utf-8", "replace") if path.is_file() else ""
    if before not in ("", "".join(rows)):
        print(f"note: the lists are others than before, when {path} was written", file=sys.stderr)
    with atomic_path(path) as temporary:
        temporary.write_text("".join(rows), encoding="utf-8")
    print("".join(rows), end="")


def place_recordings(
    lists: Lists, discs: Discs, made: Made, conf: Conf, problems: Problems
) -> dict[str, str]:
    """Put every recording that the lists name below ``sources/``.

    Returns:
        what is wrong with each bad one; not empty only with ``corpus.allow_partial`` or
        ``corpus.keep_going``, which are reported.

    Raises:
        RecipeError: a recording is missing or bad.
    """
    corpus = conf["corpus"]
    where = first_places(lists)
    forgiving = corpus["allow_partial"] or corpus["keep_going"]
    jobs, bad = [], {}
    for listed in where:
        try:
            source = find(discs, listed)
        except RecipeError as error:  # several of them
            if not forgiving:
                raise RecipeError(f"{where[listed]}: {error}") from error
            bad[listed] = str(error)
            continue
        if source:
            jobs.append(Job(listed, source, made.folder / "sources" / listed))
        else:
            bad[listed] = missing(listed, discs)
    if bad and not forgiving:
        first = next(iter(bad))
        raise RecipeError(f"{where[first]}: {first} {bad[first]}; {count_missing(where, bad)}")
    made.claim(f"sources/{job.listed}" for job in jobs)
    bad |= convert_all(jobs, conf["nj"], keep_going=forgiving)
    for text in [f"{where[path]}: {path} {bad[path]}" for path in where if path in bad]:
        if corpus["allow_partial"]:
            print(text, file=sys.stderr)
        else:
            problems.add(text)
    return bad


def first_places(lists: Lists) -> dict[str, str]:
    """List and line that name each recording first."""
    where: dict[str, str] = {}
    for line in (line for lines in lists.values() for line in lines):
        for path in line.paths:
            where.setdefault(path, line.where)
    return where


def missing(listed: str, discs: Discs) -> str:
    """Say what is there in place of a recording."""
    if PurePosixPath(listed.lower()).stem in discs.second:
        return f"is below {discs.folder} from the second microphone (.wv2) only; .wv1 is needed"
    return f"is not below {discs.folder}"


def count_missing(where: dict[str, str], problems: dict[str, str]) -> str:
    """Say how much of each part (``si_tr_s``, ...) is missing, which shows the missing disc."""
    needed = Counter(PurePosixPath(path).parent.parent.name for path in where)
    gone = Counter(PurePosixPath(path).parent.parent.name for path in problems)
    parts = ", ".join(f"{gone[part]} of {needed[part]} of {part}" for part in sorted(gone))
    return f"missing are {parts}: is a disc not there? --allow_partial continues without them"


def leave_out(lists: Lists, bad: dict[str, str], data_dir: Path, n_src: int) -> Lists:
    """Rewrite the lists without the mixtures of bad recordings."""
    kept = {}
    for split, lines in lists.items():
        kept[split] = [line for line in lines if not bad.keys() & set(line.paths)]
        if not kept[split]:
            raise RecipeError(f"{split}: no mixture is left, because recordings are missing or bad")
        path = list_path(data_dir, n_src, split)
        texts = path.read_text(encoding="utf-8").splitlines()
        whole = set(kept[split])
        with atomic_path(path) as temporary:
            temporary.write_text(
                "".join(f"{t}\n" for t, line in zip(texts, lines, strict=True) if line in whole),
                encoding="utf-8",
            )
        print(f"{split}: {len(lines) - len(kept[split])} of {len(lines)} mixtures are left out")
    return kept


def describe(lists: Lists, genders: dict[str, str]) -> list[Utterance]:
    """A row for every recording of a split; one that two splits use has two."""
    rows = {}
    for split, lines in lists.items():
        for path in (path for line in lines for path in line.paths):
            speaker = speaker_of(path)
            rows[split, path] = Utterance(path, speaker, genders.get(speaker, ""), split)
    return list(rows.values())


def summarise(lists: Lists, utterances: list[Utterance]) -> None:
    """Print what there is of each split, and whose gender is not known."""
    for split, lines in lists.items():
        mine = [u for u in utterances if u.split == split]
        speakers = {u.speaker for u in mine}
        print(f"{split}: {len(lines)} mixtures of {len(mine)} recordings, {len(speakers)} speakers")
    unknown = {u.speaker for u in utterances if not u.gender}
    if unknown:
        print(
            f"the gender of {len(unknown)} speakers is not known, so results have fewer mixtures of"
            " FF, FM and MM; README.md says where LDC has the table"
        )


if __name__ == "__main__":
    run_command(main)
