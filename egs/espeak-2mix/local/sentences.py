"""A small English grammar: sentences that nobody has to license, deterministic from a seed.

Entry point: :func:`draw_sentences`.
"""

from __future__ import annotations

import random

PEOPLE = """baker captain carpenter cousin dancer doctor driver farmer fisherman gardener
grandmother guard guide judge lawyer librarian mechanic merchant musician neighbour nurse
officer painter pilot plumber poet reporter sailor scientist shepherd singer soldier student
tailor teacher uncle visitor waiter watchmaker writer
""".split()
NAMES = """Alice Arthur Beatrice Carlos Charlotte Daniel Edith Felix Grace Harold Isabel James
Julia Karen Leonard Lucy Margaret Nathan Olivia Oscar Patricia Quentin Rachel Samuel Theodore
Ursula Victoria Walter Yvonne Zachary
""".split()
THINGS = """apple basket bicycle blanket bottle bridge bucket camera candle carpet chair clock
coat curtain diary drum engine envelope feather fence fiddle garden guitar hammer jacket jug
kettle key ladder lamp letter map mirror newspaper orange oven parcel pencil photograph pillow
pocket poster radio ribbon ring rope saddle sail shelf shovel spoon stamp statue suitcase table
teapot ticket towel trumpet umbrella vase violin wagon wallet window yacht
""".split()
PLACES = """airport attic avenue bakery barn beach castle cave cellar church college corner
cottage courtyard factory farm field forest gallery harbour hill hospital hotel island kitchen
lake library market meadow mill museum office orchard palace park quarry river road school shop
square stable station theatre tower valley village wharf workshop zoo
""".split()
QUALITIES = """ancient angry blue brave bright broken careful cheap cheerful clever cold curious
dark dusty early empty famous gentle golden green happy heavy honest hungry large lazy little
lonely loud lucky modern narrow nervous noisy old orange pale patient plain polite purple quick
quiet red rich rough rusty sharp shy silver simple sleepy small strange strong sudden sweet tall
thin thirsty tired tiny ugly warm weak wet white wide wise wooden yellow young
""".split()
DEEDS = """admired borrowed bought broke brought carried caught chose cleaned copied covered
described designed discovered drew dropped examined expected fetched followed forgot found hid
held ignored improved kept lifted lost measured mended moved needed noticed offered opened
packed painted polished praised pulled pushed recognised remembered removed repaired sold shook
showed stole threw took touched used valued wanted washed watched wrapped
""".split()
MOVES = """appeared arrived danced disappeared hesitated hurried laughed listened paused
returned sang shivered shouted slept smiled spoke stumbled travelled waited wandered whispered
worked yawned
""".split()
MANNERS = """again already badly bravely calmly carefully cheerfully eagerly early easily gladly
happily later loudly often patiently politely quickly quietly sadly secretly slowly softly
suddenly warmly wisely
""".split()
TIMES = [
    "after breakfast",
    "all summer",
    "at midnight",
    "at noon",
    "before dawn",
    "during the storm",
    "every Thursday",
    "for seven years",
    "in February",
    "in the afternoon",
    "last weekend",
    "long ago",
    "on Monday morning",
    "on the fourth of July",
    "once a month",
    "one rainy evening",
    "this winter",
    "three days later",
    "two hours ago",
    "until sunset",
    "while it snowed",
    "without any reason",
    "yesterday",
]
NUMBERS = """two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty
thirty forty sixty ninety
""".split()
NEAR = "above behind below beside inside near opposite outside past under".split()
LINKS = "and but because so although while before after until".split()


def draw_sentences(count: int, seed: int) -> list[str]:
    """Draw ``count`` different sentences of 9 to 19 words; a seed gives the same ones again."""
    rng = random.Random(f"{seed} sentences")
    sentences: dict[str, None] = {}
    while len(sentences) < count:
        sentences.setdefault(_sentence(rng))
    return list(sentences)


def _sentence(rng: random.Random) -> str:
    shape = rng.randrange(6)
    if shape == 0:
        text = f"{_person(rng)} {_deed(rng)} {_where(rng)} {rng.choice(TIMES)}"
    elif shape == 1:
        text = f"{rng.choice(TIMES)}, {_person(rng)} {_deed(rng)} {_where(rng)}"
    elif shape == 2:
        text = f"{_person(rng)} {_move(rng)} {rng.choice(LINKS)} {_person(rng)} {_deed(rng)}"
    elif shape == 3:
        text = f"{_person(rng)} {_deed(rng)} {rng.choice(LINKS)} {_person(rng)} {_move(rng)}"
    elif shape == 4:
        text = f"{rng.choice(NAMES)} said that {_person(rng)} {_deed(rng)} {_where(rng)}"
    else:
        # A question: the pitch rises where the others fall.
        text = f"do you know why {_person(rng)} {_deed(rng)} {_where(rng)}?"
    return text[0].upper() + text[1:] + ("" if text.endswith("?") else ".")


def _person(rng: random.Random) -> str:
    kind = rng.randrange(3)
    if kind == 0:
        return rng.choice(NAMES)
    if kind == 1:
        return f"the {rng.choice(QUALITIES)} {rng.choice(PEOPLE)}"
    return f"{rng.choice(['my', 'our', 'her', 'his', 'their'])} {rng.choice(PEOPLE)}"


def _deed(rng: random.Random) -> str:
    kind = rng.randrange(3)
    deed, thing, quality = rng.choice(DEEDS), rng.choice(THINGS), rng.choice(QUALITIES)
    if kind == 0:
        return f"{deed} {rng.choice(NUMBERS)} {quality} {_plural(thing)}"
    if kind == 1:
        return f"{rng.choice(MANNERS)} {deed} the {quality} {thing}"
    return f"{deed} the {thing} of {_person(rng)}"


def _move(rng: random.Random) -> str:
    return f"{rng.choice(MOVES)} {_where(rng) if rng.random() < 0.5 else rng.choice(MANNERS)}"


def _where(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"{rng.choice(NEAR)} the {rng.choice(PLACES)}"
    return f"{rng.choice(NEAR)} the {rng.choice(QUALITIES)} {rng.choice(PLACES)}"


def _plural(noun: str) -> str:
    if noun.endswith(("x", "s", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    if noun == "shelf":
        return "shelves"
    return f"{noun}s"
