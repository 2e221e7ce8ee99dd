"""What every test needs: the library and the tests' own helpers on the path, and one thread."""

import importlib
import os
import shutil
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Bytecode is kept, whatever the environment says: the programs that tests start import PyTorch and
# Lightning hundreds of times, and to compile these again takes longer than what is tested.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=5, help="kills of tests/test_kill.py")


def pytest_collection_modifyitems(items):
    """What needs a whole run comes first, so that the longest test is not the last to begin."""
    items.sort(key=lambda item: "whole_run" not in item.fixturenames)


for folder in (TESTS, TESTS.parent / "local"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory):
    """A copy of the recipe in which all stages have run, how run.sh ended, and what it made.

    One run serves all workers of pytest-xdist; each has a copy of its own.
    """
    from recipe_copy import run_once

    own = tmp_path_factory.mktemp("a recipe")
    several = "PYTEST_XDIST_WORKER" in os.environ
    return run_once(own.parent.parent if several else own.parent, own)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    from tiny_experiment import make_world

    return make_world(tmp_path_factory.mktemp("made") / "world")


@pytest.fixture
def world(made, tmp_path):
    from tiny_experiment import World

    shutil.copytree(made.root, tmp_path / "world")
    return World(tmp_path / "world")


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Run a script; returns its exit status, error line and what else it printed as an error."""

    from separation.process import run_command
    from spoiling import progress

    def call(script, arguments):
        module = importlib.import_module(script)
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *map(str, arguments)])
        capfd.readouterr()
        try:
            run_command(module.main)
            status = 0
        except SystemExit as end:
            status = end.code
        printed = capfd.readouterr().err
        assert "Traceback" not in printed
        lines = [line for line in printed.splitlines() if line.strip() and not progress(line)]
        return (1, status, lines) if isinstance(status, str) else (status, "", lines)

    return call


@pytest.fixture
def corpus(request, tmp_path, monkeypatch):
    from small_corpora import Corpus

    name = request.param if hasattr(request, "param") else "folder-2mix"
    return Corpus(name, tmp_path / "with a space", monkeypatch)


@pytest.fixture
def recipe(tmp_path):
    from recorded_recipe import Recipe

    return Recipe(tmp_path / "a recipe")


@pytest.fixture(scope="session")
def recipe_that_ran(tmp_path_factory):
    from recorded_recipe import STAGES, Recipe

    recipe = Recipe(tmp_path_factory.mktemp("ran") / "a recipe")
    assert recipe() == (0, STAGES)
    return recipe


@pytest.fixture
def ran(recipe_that_ran, tmp_path):
    """A recipe in which all stages have run once."""
    from recorded_recipe import Recipe

    return Recipe(tmp_path / "a recipe", recipe_that_ran)
