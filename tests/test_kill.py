"""Runs that are killed at any moment end, by the same command, where a run in one go ends.

Five kills, one a stage; `tests/run.sh tests/test_kill.py --kills 100` makes as many as wanted,
five a test.
"""

import contextlib
import itertools
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recipe_copy import COMMAND, copy_recipe, environment, made_by, run

WAYS = ("all processes", "run.sh alone", "Ctrl-C")
STAGES = range(5)
LONGEST = 6.0  # seconds from a stage's first line to the kill
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


def processes_of(session):
    """Processes of a session: run.sh, its stage and the workers of that."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(words[3]) == session and words[0] != "Z":
            found.append(int(path.parent.name))
    return found


def ends(session):
    """Whether all processes of a session end within ten seconds, and without help."""
    until = time.monotonic() + 10
    while processes_of(session) and time.monotonic() < until:
        time.sleep(0.05)
    return processes_of(session) == []


def start(recipe):
    return subprocess.Popen(
        ["bash", str(recipe / "run.sh"), *COMMAND],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def kill(process, way):
    """Kill a run; returns what it printed after that."""
    if way == "all processes":
        while found := processes_of(process.pid):  # one may have started another meanwhile
            for number in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
    elif way == "run.sh alone":
        process.kill()
    else:
        process.send_signal(signal.SIGINT)
    output = process.stdout.read()  # ends when the last process that could print has ended
    process.wait()
    return output


def run_and_kill(recipe, stage, way, seconds):
    """Kill a run some seconds after a stage, or a later one, has begun; returns whether it was."""
    process = start(recipe)
    output = ""
    for line in process.stdout:
        output += line
        if re.match(rf"run.sh: stage [{stage}-5]: (?!done before|was )", line):
            break
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        output += kill(process, way)
        assert ends(process.pid), way
        if way == "Ctrl-C":  # after kill -9 a worker that has just started may say that it is alone
            assert "Traceback" not in output, output
        return True
    output += process.stdout.read()
    assert process.returncode == 0, output
    return False


@pytest.fixture
def whole(whole_run):
    _, result, made = whole_run
    assert result.returncode == 0, result.stdout + result.stderr
    return made


def assert_same(found, expected):
    assert found[0].keys() == expected[0].keys()
    different = [name for name in expected[0] if found[0][name] != expected[0][name]]
    assert different == []
    pd.testing.assert_frame_equal(found[1], expected[1], rtol=1e-6)
    pd.testing.assert_frame_equal(found[2], expected[2])
    for name, value in expected[3].items():
        np.testing.assert_allclose(found[3][name], value, rtol=1e-6, atol=1e-7)
    assert found[4] == []


def pytest_generate_tests(metafunc):
    rounds = -(-metafunc.config.getoption("kills") // len(STAGES))
    metafunc.parametrize("number", range(rounds))


def test_a_killed_run_ends_as_one_that_was_not(whole, tmp_path, number):
    rng, ways = random.Random(number), itertools.islice(itertools.cycle(WAYS), number, None)
    recipe = copy_recipe(tmp_path / "speech separation")
    killed = [
        run_and_kill(recipe, stage, way, rng.uniform(0, LONGEST))
        for stage, way in zip(STAGES, ways, strict=False)
    ]
    assert all(killed[:-1])  # a fast machine may be through with the last stages before the kill
    result = run(recipe, *COMMAND)
    assert result.returncode == 0, result.stdout + result.stderr
    assert_same(made_by(recipe), whole)
