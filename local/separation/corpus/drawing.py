"""Drawing of splits and mixtures, from the seed alone.

Entry points: :func:`split_speakers`, :func:`make_lists`.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from separation.corpus.lists import ListLine, Utterance
from separation.errors import RecipeError
from separation.ranges import SPLITS

MAX_GAIN_DB = 2.5


def split_speakers(speakers: dict[str, str], shares: dict[str, float], seed: int) -> dict[str, str]:
    """Give every speaker one split, so that nobody is in two; cv and tt balanced in gender.

    Args:
        speakers: gender of each speaker.
        shares: share of the speakers that go to ``cv`` and ``tt``; at least two of each gender,
            as long as that leaves speakers to train on.
        seed: the order in which speakers are drawn.

    Returns:
        split of each speaker.
    """
    by_gender: dict[str, list[str]] = defaultdict(list)
    for speaker in sorted(speakers):
        by_gender[speakers[speaker]].append(speaker)
    fewest = min(len(group) for group in by_gender.values())
    splits = {}
    for gender in sorted(by_gender):
        group = by_gender[gender]
        random.Random(f"{seed} {gender}").shuffle(group)
        start = 0
        for split in ("tt", "cv"):
            count = min(max(2, round(shares[split] * fewest)), len(group) // 3)
            splits.update(dict.fromkeys(group[start : start + count], split))
            start += count
        splits.update(dict.fromkeys(group[start:], "tr"))
    return splits


def make_lists(
    utterances: list[Utterance], n_src: int | Sequence[int], n_mixtures: dict[str, int], seed: int
) -> dict[str, list[str]]:
    """Draw the mixtures of every split.

    Of several numbers of sources there are ``n_mixtures`` each, and of each those that a corpus of
    this number alone has. A source alone is in one mixture, so there are as many of those as there
    are recordings, at most.

    Each speaker's gender is drawn first, women and men alike, so a quarter of two-speaker mixtures
    is FF, a half FM, a quarter MM. All speakers of a mixture differ. Gains are +x, -x (and 0 for a
    third speaker) with x uniform in [0, 2.5] dB, as in WSJ0-2mix.

    Raises:
        RecipeError: a split has fewer speakers than a mixture needs, or too few different mixtures.
    """
    lists: dict[str, list[str]] = {}
    for split in SPLITS:
        mine = [utterance for utterance in utterances if utterance.split == split]
        lists[split] = []
        for number in [n_src] if isinstance(n_src, int) else n_src:
            rng = random.Random(f"{seed} {number} {split}")
            lists[split] += _draw_split(mine, split, number, n_mixtures[split], rng)
    return lists


def _draw_split(
    utterances: list[Utterance], split: str, n_src: int, count: int, rng: random.Random
) -> list[str]:
    """Draw ``count`` mixtures of ``n_src`` sources from the recordings of a split."""
    if n_src == 1:
        chosen = rng.sample(utterances, min(count, len(utterances)))
        return [str(ListLine((utterance.path,), (0.0,))) for utterance in chosen]
    by_speaker: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        by_speaker[utterance.speaker].append(utterance)
    if count and len(by_speaker) < n_src:
        raise RecipeError(
            f"{split}: {len(by_speaker)} speakers, but a mixture needs {n_src};"
            " give a corpus with more speakers or a smaller --n_src"
        )
    lines: dict[str, str] = {}
    tries = 0
    while len(lines) < count:
        line = _draw(by_speaker, n_src, rng)
        lines.setdefault(line.mixture_id, str(line))
        tries += 1
        if tries > 10 * count + 100:
            raise RecipeError(
                f"{split}: only {len(lines)} different mixtures found of"
                f" corpus.n_mixtures.{split}={count}; ask for fewer"
            )
    return list(lines.values())


def _draw(by_speaker: dict[str, list[Utterance]], n_src: int, rng: random.Random) -> ListLine:
    speakers = sorted(by_speaker)
    genders = sorted({by_speaker[s][0].gender for s in speakers})
    chosen: list[str] = []
    for _ in range(n_src):
        gender = rng.choice(genders)
        free = [s for s in speakers if s not in chosen]
        chosen.append(rng.choice([s for s in free if by_speaker[s][0].gender == gender] or free))
    x = rng.uniform(0, MAX_GAIN_DB)
    gains = (float(f"{x:.5g}"), float(f"{-x:.5g}"), *[0.0] * (n_src - 2))
    paths = tuple(rng.choice(by_speaker[speaker]).path for speaker in chosen)
    return ListLine(paths, gains[:n_src])
