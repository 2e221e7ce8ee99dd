"""The voices: variants of espeak-ng, each with a pitch, a vocal tract and habits of its own.

A variant (a set of formants and a timbre) belongs to one split, with all variants that are made
from the same formants, so that the voices of cv and tt are unseen in more than their pitch. Entry
point: :func:`draw_voices`.
"""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass

# Variant -> median F0 in Hz as measured at espeak's pitch 50. Left out: whispers, robots, echo
# chambers, a child of 350 Hz, and variants with less than 65 % of their loud frames periodic.
VARIANTS: dict[str, dict[str, dict[str, int]]] = {
    "tr": {
        "F": {
            "Alicia": 253, "f2": 197, "linda": 230, "grandma": 204, "Andrea": 245, "steph": 185,
            "belinda": 230, "f5": 206, "anika": 269, "steph2": 184,
        },
        "M": {
            "m1": 94, "m7": 107, "edward": 102, "m4": 94, "Diogo": 106, "paul": 86, "Nguyen": 152,
            "marcelo": 98, "m2": 101, "Gene": 96, "m8": 87, "klatt4": 103, "iven3": 102,
            "john": 102, "Hugo": 110, "adam": 103, "ed": 127, "norbert": 102, "m3": 106,
            "michel": 106, "Denis": 100, "robert": 98, "pablo": 115, "Gene2": 115,
        },
    },
    "cv": {
        "F": {"aunty": 172, "Annie": 240, "f4": 181},
        "M": {"m5": 104, "Michael": 108, "Lee": 96, "david": 75, "Mario": 108, "Marco": 131},
    },
    "tt": {
        "F": {"f1": 181, "shelby": 182, "f3": 214},
        "M": {"travis": 104, "Reed": 117, "Alex": 105, "victor": 96, "ian": 84, "antonio": 112},
    },
}  # fmt: skip
# British, American, Scottish, Caribbean, received pronunciation, Lancaster, West Midlands,
# New York.
ACCENTS = ("en", "en-us", "en-gb-scotland", "en-029", "en-gb-x-rp", "en-gb-x-gbclan",
           "en-gb-x-gbcwmd", "en-us-nyc")  # fmt: skip

F0_HZ = {"F": (165.0, 260.0), "M": (82.0, 145.0)}
TRACT = {"F": (0.95, 1.10), "M": (0.93, 1.05)}
TRACT_OF_TR = {"F": (0.91, 1.16), "M": (0.88, 1.10)}  # few formants to learn from: wider
MAX_SHIFT = 0.6  # octaves between a voice's pitch and its variant's: beyond it sounds odd
OCTAVES_PER_STEP = 0.0145  # of espeak's pitch, measured


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker.

    ``f0`` is the median pitch aimed at, in Hz (most voices come within 10 %), ``tract`` the factor
    on all formants of the variant, ``rate`` the speed in words a minute, ``pitch_range`` how lively
    the intonation is (espeak's 0 to 100).
    """

    name: str
    gender: str
    split: str
    variant: str
    accent: str
    f0: float
    tract: float
    rate: float
    pitch_range: float

    @property
    def pitch(self) -> float:
        """Espeak's pitch (0 to 100) that gives ``f0`` once the formants are moved by ``tract``."""
        base = VARIANTS[self.split][self.gender][self.variant]
        return 50 + math.log2(self.f0 / self.tract / base) / OCTAVES_PER_STEP


def draw_voices(n_voices: dict[str, int], seed: int) -> list[Voice]:
    """Draw the voices of tr, cv and tt, women and men in turn.

    The pitches of a split's women (and men) are spread evenly over :data:`F0_HZ`, so that a small
    split has high and low voices as well.
    """
    return [
        voice
        for split, count in n_voices.items()
        for gender, n in (("F", count - count // 2), ("M", count // 2))
        for voice in _draw(split, gender, n, random.Random(f"{seed} {split} {gender}"))
    ]


def _draw(split: str, gender: str, count: int, rng: random.Random) -> list[Voice]:
    variants = VARIANTS[split][gender]
    accents = rng.sample(ACCENTS, len(ACCENTS))
    cycles = zip(_pitch_order(count, len(variants), rng), itertools.cycle(variants),
                 itertools.cycle(accents), strict=False)  # fmt: skip
    voices = []
    for number, (place, variant, accent) in enumerate(cycles, 1):
        low, high = F0_HZ[gender]
        f0 = low * (high / low) ** ((place + rng.random()) / count)
        tract = rng.uniform(*(TRACT_OF_TR if split == "tr" else TRACT)[gender])
        own, limit = variants[variant] * tract, 2**MAX_SHIFT
        voices.append(
            Voice(
                name=f"{split}{gender.lower()}{number:02d}",
                gender=gender,
                split=split,
                variant=variant,
                accent=accent,
                f0=min(max(f0, own / limit), own * limit),
                tract=tract,
                rate=rng.uniform(145, 205),
                pitch_range=rng.uniform(35, 70),
            )
        )
    return voices


def _pitch_order(count: int, n_variants: int, rng: random.Random) -> list[int]:
    """Shuffle 0 .. count-1 in blocks of ``n_variants``: one variant gets distant pitches."""
    blocks = [list(range(i, min(i + n_variants, count))) for i in range(0, count, n_variants)]
    return [place for block in blocks for place in rng.sample(block, len(block))]
