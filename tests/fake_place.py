"""A folder with path.sh, and a python3 that only plays one.

PATH holds nothing but the programs of `TOOLS` and the fakes, so that "missing" is really missing.
"""

import shutil
import subprocess
import sys

from separation.config import ROOT

TOOLS = "bash cat cksum dirname flock grep kill mkdir mv rm sleep tail tee touch".split()

# Plays python3 and, copied by `-m venv`, the environment's python. Notes what it is asked.
PYTHON = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"$LOG"
case "$*" in
  "-c import sys; "*) [ -z "${FAKE_OLD:-}" ] ;;
  -V) echo "Python 3.9.2" ;;
  "- tools") exec "$REAL" "$@" ;; # the true check, of this machine
  "-m venv "*)
    mkdir -p "$3/bin" "$3/lib/python3.11/site-packages"
    cp "$0" "$3/bin/python"
    ;;
  "-m pip install"*)
    echo "Collecting toy==1.0 (from -r requirements.txt (line 1))"
    [ -z "${FAKE_FIFO:-}" ] || cat "$FAKE_FIFO" >/dev/null # until the test has seen enough
    [ -z "${FAKE_BROKEN:-}" ] || { echo "no such package"; exit 1; }
    mkdir -p "$(dirname "$0")/../lib/python3.11/site-packages/toy"
    ;;
  "- torchaudio") echo "${FAKE_TRAP:-}" ;;
  "- check "*) [ -z "${FAKE_WRONG:-}" ] || { echo "path.sh: without toy" >&2; exit 1; } ;;
esac
"""


class Place:
    """A folder with path.sh and a PATH of its own."""

    def __init__(self, root):
        self.root = root / "a place"
        self.bin = root / "bin"
        self.root.mkdir()
        self.bin.mkdir()
        for name in [*TOOLS, "basename", "cp", "env"]:
            (self.bin / name).symlink_to(shutil.which(name))
        self.add("python3", PYTHON)
        self.add("compiler", "#!/bin/sh\n")
        shutil.copy(ROOT / "path.sh", self.root)
        (self.root / "requirements.txt").write_text("toy==1.0\n")
        self.log = root / "log"
        self.venv = self.root / ".venv"

    def add(self, name, text, folder=None):
        path = (folder or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def start(self, then="command -v python; echo $PYTHONPATH", **environment):
        return subprocess.Popen(
            [self.bin / "bash", "-euo", "pipefail", "-c", f'. "{self.root}/path.sh"; {then}'],
            cwd="/",
            env={
                **{"PATH": str(self.bin), "LOG": str(self.log), "REAL": sys.executable},
                **{"CC": "compiler", "HOME": str(self.root)},
                **{name: str(value) for name, value in environment.items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, then="command -v python; echo $PYTHONPATH", **environment):
        """Source path.sh; the exit status. Also sets ``out``, ``err`` and ``asked``."""
        self.log.write_text("")
        process = self.start(then, **environment)
        self.out, self.err = process.communicate()
        self.asked = self.log.read_text().splitlines()
        return process.returncode

    def installs(self):
        return sum(" install " in line for line in self.asked)
