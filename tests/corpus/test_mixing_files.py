"""Stage 1 on files: killed and started again, and on input that is bad."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import killed_mixing
import mix
from forked import forked
from killed_mixing import mix_and_be_killed
from separation.corpus.layout import Corpus
from separation.corpus.levels import read_levels
from separation.corpus.lists import list_path, read_list
from separation.corpus.mixing import mix_split
from separation.corpus.problems import Problems
from separation.errors import RecipeError
from separation.files import exclusive
from separation.process import run_command
from tiny_corpus import RATE, make_sources

LOCAL = Path(mix.__file__).parent


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_second_run_gives_the_same_bytes_and_clears_what_is_not_listed(tmp_path, capsys):
    make_sources(tmp_path, {"tr": 20, "cv": 1, "tt": 1})
    out = tmp_path / "out"
    mix_split(Corpus(tmp_path, out, 2, RATE, "min"), "tr", 1)
    before = contents(out)
    path = list_path(tmp_path, 2, "tr")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5]))
    mix_split(Corpus(tmp_path, out, 2, RATE, "min"), "tr", 1)
    few = {line.mixture_id for line in read_list(path, 2)}
    assert {p.stem for p in out.rglob("*.wav")} == few
    assert capsys.readouterr().err.count("note: ") == 0
    path.write_text("".join(lines))
    mix_split(Corpus(tmp_path, out, 2, RATE, "min"), "tr", 2)
    assert contents(out) == before
    assert not list(tmp_path.glob(".mixing-*"))


@pytest.mark.parametrize(
    ("place", "name", "last"),
    [
        ("mixing", "load_source", 3),  # while recordings are read
        ("os", "replace", 1),  # before the first file has its name
        ("os", "replace", 11),  # between the files of a mixture
        ("mixing", "mix_sources", 6),  # between two mixtures
    ],
)
def test_killed_and_started_again_gives_the_same_bytes(tmp_path, place, name, last):
    make_sources(tmp_path, {"tr": 8, "cv": 1, "tt": 1})
    mix_split(Corpus(tmp_path, tmp_path / "clean", 2, RATE, "min"), "tr", 1)
    run = forked(mix_and_be_killed, tmp_path, place, name, last)
    assert run.returncode == -signal.SIGKILL, run.stderr
    names = set(contents(tmp_path / "clean"))
    partial = {p for p in contents(tmp_path / "out") if not p.name.startswith(".partial-")}
    assert partial < names
    for path in partial:  # whole or not there
        assert (tmp_path / "out" / path).read_bytes() == (tmp_path / "clean" / path).read_bytes()
    mix_split(Corpus(tmp_path, tmp_path / "out", 2, RATE, "min"), "tr", 1)
    assert contents(tmp_path / "out") == contents(tmp_path / "clean")


MIXES = """
import sys
from pathlib import Path
from separation.corpus.layout import Corpus
from separation.corpus.mixing import mix_split

data_dir = Path(sys.argv[1])
mix_split(Corpus(data_dir, data_dir / "out", 2, 8000, "min"), "tr", 1)
"""


def test_processes_that_a_killed_run_left_are_waited_for(tmp_path):
    """Another process that mixes there, still at it, neither disturbs nor is disturbed."""
    make_sources(tmp_path, {"tr": 4, "cv": 1, "tt": 1})
    mix_split(Corpus(tmp_path, tmp_path / "clean", 2, RATE, "min"), "tr", 1)
    (tmp_path / ".mixing-left").mkdir()
    (tmp_path / ".mixing-left" / "0.f32").write_bytes(b"half")
    command = [sys.executable, "-c", MIXES, tmp_path]
    with exclusive(tmp_path, "mixing"):
        run = subprocess.Popen(command, cwd=LOCAL, stderr=subprocess.PIPE, text=True)
        assert "waiting for it" in run.stderr.readline()
        assert not (tmp_path / "out").exists()
    _, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert contents(tmp_path / "out") == contents(tmp_path / "clean")
    assert not list(tmp_path.glob(".mixing-*"))


def test_killed_with_processes_and_started_again_at_once(tmp_path):
    """The processes of a killed run may write for a while; what the next run leaves is whole."""
    make_sources(tmp_path, {"tr": 60, "cv": 1, "tt": 1})
    mix_split(Corpus(tmp_path, tmp_path / "clean", 2, RATE, "min"), "tr", 1)
    command = [sys.executable, killed_mixing.__file__, tmp_path, "progress", "update", "2"]
    with open(tmp_path / "told", "wb") as told:  # a pipe would stay open as long as they live
        run = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(LOCAL)},
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
    assert run.wait() == -signal.SIGKILL, (tmp_path / "told").read_text()
    mix_split(Corpus(tmp_path, tmp_path / "out", 2, RATE, "min"), "tr", 2)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    assert contents(tmp_path / "out") == contents(tmp_path / "clean")


def test_a_recording_that_begins_silent_is_named_where_min_leaves_nothing_of_it(tmp_path):
    make_sources(tmp_path, {"tr": 8, "cv": 1, "tt": 1})
    line = read_list(list_path(tmp_path, 2, "tr"), 2)[2]
    path = tmp_path / "sources" / line.paths[1]
    samples, rate = soundfile.read(path)
    soundfile.write(path, np.concatenate([np.zeros(2 * rate), samples]), rate)
    with pytest.raises(RecipeError, match="is silent in the") as error:
        mix_split(Corpus(tmp_path, tmp_path / "out", 2, RATE, "min"), "tr", 1)
    assert f"{line.paths[1]} is silent" in str(error.value)
    assert mix_split(Corpus(tmp_path, tmp_path / "out", 2, RATE, "max"), "tr", 1).mixtures == 8


def spoil(kind, path):
    samples, rate = soundfile.read(path)
    if kind == "missing":
        path.unlink()
    elif kind == "silent":
        soundfile.write(path, np.zeros(rate), rate)
    elif kind == "short":
        soundfile.write(path, samples[: rate // 10 - 1], rate)
    elif kind == "stereo":
        soundfile.write(path, np.stack([samples, samples], axis=1), rate)
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-400])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "nan":
        samples[5] = np.nan
        soundfile.write(path, samples, rate, subtype="FLOAT")


BAD_FILES = {
    "missing": "is not below",
    "silent": "silent; take it out",
    "short": "100 ms are needed",
    "stereo": "2 channels; one is needed",
    "cut": "cut short",
    "empty": "cannot be read as audio",
    "nan": "NaN",
}


@pytest.mark.parametrize(("kind", "says"), BAD_FILES.items())
def test_a_bad_recording_is_named_with_list_line_and_file(tmp_path, kind, says):
    make_sources(tmp_path, {"tr": 8, "cv": 1, "tt": 1})
    lines = read_list(list_path(tmp_path, 2, "tr"), 2)
    bad = lines[4].paths[0]
    first = min(n for n, line in enumerate(lines, 1) if bad in line.paths)
    spoil(kind, tmp_path / "sources" / bad)
    with pytest.raises(RecipeError, match=says) as error:
        mix_split(Corpus(tmp_path, tmp_path / "out", 2, RATE, "min"), "tr", 1)
    assert f"mix_2_spk_tr.txt:{first}: " in str(error.value)
    assert bad in str(error.value)


def test_keep_going_tells_all_mixes_the_rest_and_fails(tmp_path, capsys, monkeypatch):
    make_sources(tmp_path, {"tr": 12, "cv": 2, "tt": 2})
    path = list_path(tmp_path, 2, "tr")
    good = read_list(path, 2)
    bad = {}
    for line in good:  # as many kinds of bad files as there are mixtures to spoil
        if len(bad) < 3 and not set(line.paths) & set(bad):
            bad[line.paths[0]] = ["silent", "short", "cut"][len(bad)]
            spoil(bad[line.paths[0]], tmp_path / "sources" / line.paths[0])
    path.write_text(path.read_text() + "a.wav 1 b.wav\nf1/f1-0.wav nan m1/m1-0.wav 1\n")
    arguments = "--corpus espeak-2mix -- nj=1 corpus.keep_going=true"
    monkeypatch.setattr(sys, "argv", ["mix.py", "--data_dir", str(tmp_path), *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        run_command(mix.main)
    assert "5 problems, see above" in ended.value.code  # a text: exit status 1
    told = capsys.readouterr().err
    assert f"{path}:13: 3 columns" in told
    assert f"{path}:14: a gain is not finite" in told
    for recording, kind in bad.items():
        assert f"{recording}: {BAD_FILES[kind].split(';')[0]}" in told or kind == "short"
        assert recording in told
    wanted = {line.mixture_id for line in good if not set(line.paths) & set(bad)}
    assert {p.stem for p in (tmp_path / "wav8k" / "min" / "tr" / "s2").iterdir()} == wanted


def test_a_bad_line_of_the_last_list_is_told_before_the_first_is_mixed(tmp_path, monkeypatch):
    make_sources(tmp_path, {"tr": 3, "cv": 1, "tt": 1})
    path = list_path(tmp_path, 2, "tt")
    path.write_text(path.read_text() + "f4/f4-0.wav 1 f4/f4-1.wav -1\n")
    arguments = "--corpus espeak-2mix -- nj=1"
    monkeypatch.setattr(sys, "argv", ["mix.py", "--data_dir", str(tmp_path), *arguments.split()])
    with pytest.raises(RecipeError, match=f"{path}:2: speaker f4 is mixed with itself"):
        mix.main()
    assert not (tmp_path / "wav8k").exists()


def test_levels_of_a_file_are_mixed_with(tmp_path, monkeypatch):
    make_sources(tmp_path, {"tr": 3, "cv": 1, "tt": 1})
    names = [p.stem for p in (tmp_path / "sources").rglob("*.wav")]
    levels = tmp_path / "levels.txt"
    levels.write_text("".join(f"{name} {1e-3 if name[0] == 'f' else 4e-3}\n" for name in names))
    arguments = ["--corpus", "espeak-2mix", "--data_dir", str(tmp_path), "--", "nj=1"]
    override = f"corpus.levels_file={levels}"
    monkeypatch.setattr(sys, "argv", ["mix.py", *arguments, override])
    mix.main()
    for line in read_list(list_path(tmp_path, 2, "tr"), 2):
        folder = tmp_path / "wav8k" / "min" / "tr"
        signals = [soundfile.read(tmp_path / "sources" / p)[0] for p in line.paths]
        length = min(map(len, signals))
        ratio = 1.0
        for name, original, path, gain in zip(
            ["s1", "s2"], signals, line.paths, line.gains, strict=True
        ):
            found = soundfile.read(folder / name / f"{line.mixture_id}.wav")[0]
            scale = np.dot(found, original[:length]) / np.dot(original[:length], original[:length])
            level = 1e-3 if path[0] == "f" else 4e-3
            relative = scale / (10 ** (gain / 20) / np.sqrt(level))
            ratio = relative / ratio
        assert ratio == pytest.approx(1, rel=1e-3)
    kept = read_levels(tmp_path / "active_levels.txt")  # for dynamic mixing
    given = read_levels(levels)
    assert kept == {path: given[Path(path).stem] for path in kept}
    listed = read_list(list_path(tmp_path, 2, "tr"), 2)
    assert {path for line in listed for path in line.paths} <= set(kept)


def test_no_list_says_which_stage_makes_it(tmp_path):
    with pytest.raises(RecipeError, match="stage 0 makes it"):
        mix_split(Corpus(tmp_path, tmp_path / "out", 2, RATE, "min"), "tr", 1)


def test_problems_are_told_once_and_counted():
    problems = Problems(keep_going=True)
    problems.finish("here")
    for text in ("a", "b", "a"):
        problems.add(text)
    with pytest.raises(RecipeError, match="here: 2 problems"):
        problems.finish("here")
    with pytest.raises(RecipeError, match="first"):
        Problems().add("first")
