"""path.sh: when it makes, finishes or keeps the environment."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from fake_place import PYTHON, Place
from separation.config import ROOT


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_first_use_makes_the_environment_and_says_so(place):
    assert place() == 0
    assert place.out.splitlines() == [str(place.venv / "bin/python"), str(place.root / "local")]
    assert place.installs() == 1
    assert "making the environment" in place.err and "toy==1.0" in place.err
    assert "ready" in place.err.splitlines()[-1]


def test_second_use_starts_no_python_and_says_nothing(place):
    place()
    assert place() == 0
    assert place.asked == []
    assert place.err == ""
    assert place.out.splitlines()[0] == str(place.venv / "bin/python")


def test_sourcing_twice_in_one_shell_adds_to_the_path_once(place):
    place()
    place(f'. "{place.root}/path.sh"; echo "$PATH"; echo "$PYTHONPATH"; declare -F', PYTHONPATH="x")
    assert place.out.splitlines() == [
        f"{place.venv}/bin:{place.bin}",
        f"{place.root}/local:x",
    ]


def test_missing_python_is_named(place):
    (place.bin / "python3").unlink()
    assert place() == 1
    assert place.err == "path.sh: python3 is missing: install Python 3.11 or later with venv\n"


def test_old_python_is_named_with_what_is_needed(place):
    assert place(FAKE_OLD="yes") == 1
    assert len(place.err.splitlines()) == 1
    assert "Python 3.11 or later" in place.err and "Python 3.9.2" in place.err


def test_a_newer_python_beside_an_old_one_is_taken(place):
    (place.bin / "python3").write_text(PYTHON.replace('[ -z "${FAKE_OLD:-}" ]', "false"))
    place.add("python3.12", PYTHON)
    assert place() == 0
    assert any(line.startswith("python3.12 -m venv") for line in place.asked)


def test_missing_compiler_is_named(place):
    (place.bin / "compiler").unlink()
    assert place() == 1
    assert len(place.err.splitlines()) == 1
    assert "the C compiler 'compiler', which pesq is built with" in place.err
    assert not place.venv.exists()


def test_failing_install_is_told_and_the_next_use_finishes(place):
    assert place(FAKE_BROKEN="yes") == 1
    assert "no such package" in place.err and "install.log" in place.err
    assert place() == 0
    assert place.installs() == 1
    assert not any("-m venv" in line for line in place.asked)
    assert "finishing the environment" in place.err


def test_changed_requirements_are_installed(place):
    place()
    (place.root / "requirements.txt").write_text("toy==1.1\n")
    assert place() == 0
    assert place.installs() == 1
    place()
    assert place.asked == []


def test_a_removed_package_is_noticed(place):
    place()
    (place.venv / "lib/python3.11/site-packages/toy").rmdir()
    assert place() == 0
    assert place.installs() == 1


def test_a_dangling_python_is_replaced(place):
    place()
    (place.venv / "bin/python").unlink()
    (place.venv / "bin/python").symlink_to("/nowhere/python3.8")
    (place.venv / "old").touch()
    assert place() == 0
    assert any(line.startswith("python3 -m venv") for line in place.asked)
    assert not (place.venv / "old").exists()


def test_an_environment_that_was_moved_is_made_anew(place):
    place()
    moved = place.root.parent / "moved"
    place.root.rename(moved)
    place.root, place.venv = moved, moved / ".venv"
    assert place() == 0
    assert any(line.startswith("python3 -m venv") for line in place.asked)


def test_two_runs_at_once_install_once(place):
    fifo = place.root.parent / "fifo"
    os.mkfifo(fifo)
    first = place.start(FAKE_FIFO=fifo)
    with open(fifo, "w"):  # opens when the first run installs
        second = place.start(FAKE_FIFO=fifo)
        assert "waiting for it" in second.stderr.readline()
    assert first.wait() == 0 and second.wait() == 0
    assert first.stdout.read() == second.stdout.read()
    place.asked = place.log.read_text().splitlines()
    assert place.installs() == 1
    for process in (first, second):
        process.stdout.close()
        process.stderr.close()


def test_without_flock_a_lock_left_by_a_dead_run_is_taken_over(place):
    (place.bin / "flock").unlink()
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock = place.root / ".venv.lock.d"
    lock.mkdir()
    (lock / "pid").write_text(str(ended.pid))
    assert place() == 0
    assert place.installs() == 1
    assert not lock.exists()


def test_uv_installs_where_there_is_one_with_pips_local_wheels(place):
    uv = '#!/bin/sh\necho "uv $UV_FIND_LINKS $*" >>"$LOG"\n'
    place.add("uv", uv)
    assert place(PIP_FIND_LINKS="/wheels /more") == 0
    assert [line for line in place.asked if " install " in line] == [
        f"uv /wheels,/more pip install --python {place.venv}/bin/python"
        f" -r {place.root}/requirements.txt"
    ]
    shutil.rmtree(place.venv)
    place(PIP_FIND_LINKS="/wheels", UV_FIND_LINKS="/own")
    assert any(line.startswith("uv /own pip") for line in place.asked)


def test_where_uv_fails_pip_installs(place):
    place.add("uv", "#!/bin/sh\nexit 2\n")
    assert place() == 0
    assert any(line.startswith("python -m pip install") for line in place.asked)


def test_torchaudio_is_mended_only_where_it_cannot_load(place):
    lib = place.root.parent / "torchaudio" / "lib"
    lib.mkdir(parents=True)
    (lib / "_torchaudio.abi3.so").touch()
    (lib / "__init__.py").touch()
    place()
    assert (lib / "_torchaudio.abi3.so").exists()
    shutil.rmtree(place.venv)
    assert place(FAKE_TRAP=lib) == 0
    assert sorted(p.name for p in lib.iterdir()) == ["__init__.py"]
    assert (lib.parent / "lib-unused" / "_torchaudio.abi3.so").exists()
    assert len([line for line in place.err.splitlines() if "torchaudio's extension" in line]) == 1


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_with_the_right_packages_is_used_as_it_is(place, variable):
    active = place.root.parent / "my env"
    place.add("python", PYTHON, active / "bin")
    assert place(**{variable: active}) == 0
    assert place.out.splitlines()[0] == str(active / "bin/python")
    assert [line.split(" /")[0] for line in place.asked] == ["python - check"]
    assert not place.venv.exists()
    place(**{variable: active})
    assert place.asked == []  # the verdict is remembered
    assert place.out.splitlines()[0] == str(active / "bin/python")


def test_an_active_environment_with_other_packages_is_left_alone(place):
    active = place.root.parent / "my env"
    place.add("python", PYTHON.replace("${FAKE_WRONG:-}", "wrong"), active / "bin")
    assert place(VIRTUAL_ENV=active) == 0
    assert "without toy" in place.err and "left alone" in place.err
    assert place.out.splitlines()[0] == str(place.venv / "bin/python")
    assert place(VIRTUAL_ENV=active) == 0
    assert (place.asked, place.err) == ([], "")


def test_an_environment_that_does_not_work_is_not_called_whole(place):
    assert place(FAKE_WRONG="yes") == 1
    assert "does not work" in place.err
    assert not (place.venv / "complete").exists()
    assert place() == 0


def check(python, requirements):
    """The true check of path.sh, as a program of its own."""
    program = (ROOT / "path.sh").read_text().split("<<'PY'\n")[1].split("\nPY\n")[0]
    return subprocess.run(
        [python, "-", "check", requirements],
        input=program,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_environment_of_the_tests_passes_the_check():
    result = check(sys.executable, ROOT / "requirements.txt")
    assert (result.returncode, result.stderr) == (0, "")


def test_packages_of_other_versions_or_without_their_files_are_named(tmp_path):
    venv.create(tmp_path / "env")
    (site,) = (tmp_path / "env" / "lib").glob("python3*/site-packages")
    for name, folder in (("whole", True), ("hollow", False), ("old", True)):
        record = site / f"{name}-1.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (record / "RECORD").write_text(f"{name}/__init__.py,,\n../../../bin/{name},,\n")
        if folder:
            (site / name).mkdir()
    pins = tmp_path / "requirements.txt"
    pins.write_text("# pins\nwhole==1.0  # why\nold==1.1\nabsent==2.0\n")
    result = check(tmp_path / "env" / "bin" / "python", pins)
    assert result.returncode == 1
    assert result.stderr.endswith("/env is without old==1.1, absent==2.0, hollow\n")


def test_every_requirement_is_an_exact_pin():
    for line in Path(ROOT / "requirements.txt").read_text().splitlines():
        requirement = line.split("#")[0].strip()
        assert not requirement or requirement.count("==") == 1, line
