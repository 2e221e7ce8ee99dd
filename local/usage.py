"""What run.sh says before there is an environment: its help, and mistyped options.

Needs Python's own library only. Exit status 100: the help was asked for and printed.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import sys
from pathlib import Path

from separation.options import parse, usage

ASKED_FOR_HELP = 100


def main() -> None:
    """Read the command line as run.sh was given it, after the caller's folder."""
    caller, *arguments = sys.argv[1:]
    if "help" in parse(arguments, Path(caller)).values:
        print(usage())
        sys.exit(ASKED_FOR_HELP)


if __name__ == "__main__":
    run_command(main)
