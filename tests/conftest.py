"""What every test needs: the library and the tests' own helpers on the path, and one thread."""

import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=5, help="kills of tests/test_kill.py")


for folder in (TESTS, TESTS.parent / "local"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
