"""Mixing that kills its own process, so hard that it can clear nothing up.

As a program, with two processes: python killed_mixing.py DATA_DIR PLACE NAME LAST
"""

import itertools
import os
import signal
import sys
from pathlib import Path

from separation.corpus import mixing
from separation.corpus.layout import Corpus

PLACES = {"os": os, "mixing": mixing, "progress": mixing.tqdm}


def mix_and_be_killed(data_dir, place, name, last, nj=1):
    """Mix tr into ``out``; kill this process at a call of a function, the first being call 1."""
    original, calls = getattr(PLACES[place], name), itertools.count(1)

    def counted(*arguments):
        if next(calls) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    setattr(PLACES[place], name, counted)
    mixing.mix_split(Corpus(data_dir, data_dir / "out", 2, 8000, "min"), "tr", nj)


if __name__ == "__main__":
    mix_and_be_killed(Path(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4]), nj=2)
