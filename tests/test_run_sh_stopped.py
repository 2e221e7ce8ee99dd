"""run.sh: signals, killed runs, and two runs at the same time."""

import os
import signal
import time
from pathlib import Path

import pytest


def ends(process):
    """Whether a process ends within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def hanging(recipe, stage="train"):
    """A run whose stage hangs; returns run.sh and the process of the stage."""
    if not (recipe.root / "ready").exists():
        os.mkfifo(recipe.root / "ready")
    (recipe.root / f"hang_{stage}").touch()
    run = recipe.start()
    return run, int((recipe.root / "ready").read_text())  # blocks until the stage runs


def test_a_stage_ends_with_a_run_that_was_killed_and_leaves_no_lock(recipe):
    run, stage = hanging(recipe)
    run.kill()
    run.stderr.read()  # its other end closes when the stage has ended, too
    assert ends(stage)
    (recipe.root / "hang_train").unlink()
    assert recipe() == (0, ["train", "evaluate", "report"])
    assert "--resume" in recipe.arguments("train")


@pytest.mark.parametrize("stage", ["mix", "train"])
def test_a_second_run_at_the_same_time_is_refused(recipe, stage):
    run, process = hanging(recipe, stage)
    (recipe.root / f"hang_{stage}").unlink()
    assert recipe() == (1, [stage])
    folder = "data/toy-2mix" if stage == "mix" else "exp/toy-2mix_small"
    assert recipe.err.startswith(f"error: {folder}: in use by process {process} on ")
    assert "./run.sh --corpus toy-2mix" in recipe.err and len(recipe.err.splitlines()) == 1
    run.terminate()
    run.communicate()
    assert recipe()[0] == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "TERM"]
)
def test_a_signal_stops_the_stage_and_the_next_call_goes_on(recipe, number, code):
    os.mkfifo(recipe.root / "ready")
    (recipe.root / "hang_train").touch()
    process = recipe.start()
    stage = int((recipe.root / "ready").read_text())  # blocks until the stage runs
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code
    assert "stopped" in err.splitlines()[-1]
    with pytest.raises(ProcessLookupError):
        os.kill(stage, 0)
    (recipe.root / "hang_train").unlink()
    assert recipe() == (0, ["train", "evaluate", "report"])
