"""Bad recordings, options and results: one line names them, exit status 1, and no change."""

import os
import shutil
from unittest import mock

import numpy as np
import pytest
import soundfile

import report
from spoiling import (
    NO_FILE,
    NO_TABLE,
    cells,
    check_refused,
    content,
    cut,
    everything,
    rewrite,
    twice,
    without,
)
from tiny_experiment import World

REPORT = ("RESULTS.md", "index.html", ".png", "plots")


def wave(path, samples, rate=8000, **options):
    soundfile.write(path, samples, rate, **options)


NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
RECORDING = {
    "missing": ("a.wav", lambda path: None, "no such file"),
    "folder": ("a.wav", lambda path: path.mkdir(), "a folder"),
    "pipe": ("a.wav", os.mkfifo, "a pipe"),
    "loop of links": ("a.wav", lambda path: path.symlink_to(path), "of symbolic links"),
    "link to nothing": ("a.wav", lambda path: path.symlink_to("x"), "a link to no"),
    "below a file": ("b/a.wav", lambda path: path.parent.write_text(""), "no such file"),
    "raw": ("a.raw", content(b"\0" * 100), "cannot be read as audio"),
    "text": ("a.wav", content(b"text"), "cannot be read as audio"),
    "empty": ("a.wav", content(b""), "cannot be read as audio"),
    "no samples": ("a.wav", lambda path: wave(path, NOISE[:0]), "no samples"),
    "NaN": ("a.wav", lambda path: wave(path, NOISE * np.nan, subtype="FLOAT"), "NaN"),
    "stereo": ("a.wav", lambda path: wave(path, NOISE.reshape(-1, 2)), "--mixdown"),
    "cut": ("a.wav", lambda path: (wave(path, NOISE), cut(path)), "cut short"),
    "cut FLAC": ("a.flac", lambda path: (wave(path, NOISE), cut(path)), "cannot be decoded"),
    "not UTF-8": (os.fsdecode(b"\xff\xfe.wav"), content(b"text"), "cannot be read as audio"),
    "a long name": ("a" * 10**6 + ".wav", lambda path: None, "file name too long"),
    "a long path": ("a/" * 10**5 + "a.wav", lambda path: None, "file name too long"),
    "two lines": ("a\nb.wav", lambda path: None, "no such file"),
}


@pytest.mark.parametrize(("name", "make", "says"), RECORDING.values(), ids=RECORDING)
def test_recording(world, run, name, make, says, tmp_path):
    path = tmp_path / name
    make(path)
    arguments = [path, "--exp_dir", world.exp_dir, "-o", tmp_path / "out", "--device", "cpu"]
    check_refused(run, "separate", arguments, says, tmp_path)


NAMES = [b"caf\xe9.wav", b"\xff.flac", b"a\nb.wav", b"a b\t.wav", "ü\u202e.wav".encode()]


@pytest.mark.parametrize("name", NAMES)
def test_recordings_of_any_name_are_separated(world, run, name, tmp_path):
    wave(tmp_path / "good.wav", NOISE)
    path = tmp_path / os.fsdecode(name)
    wave(tmp_path / f"good{path.suffix}", NOISE)
    (tmp_path / f"good{path.suffix}").rename(path)
    arguments = [path, "--exp_dir", world.exp_dir, "-o", tmp_path / "out", "--device", "cpu"]
    assert run("separate", arguments) == (0, "", [])
    wanted = {f"{path.stem}_s{number}{path.suffix}" for number in (1, 2)}
    assert {each.name for each in (tmp_path / "out").iterdir()} == wanted


OPTIONS = {
    "device meta": ("separate", ["--device", "meta"], "--device meta"),
    "device unknown": ("separate", ["--device", "tpu9"], "--device tpu9"),
    "device empty": ("separate", ["--device", ""], "--device"),
    "device vulkan": ("separate", ["--device", "vulkan"], "--device vulkan"),
    "experiment": ("separate", ["--exp_dir", "nowhere"], "nowhere"),
    "output a file": ("separate", ["-o", __file__], __file__),
}


@pytest.mark.parametrize(("script", "options", "says"), OPTIONS.values(), ids=OPTIONS)
def test_options(world, run, script, options, says, tmp_path):
    wave(tmp_path / "a.wav", NOISE)
    arguments = [tmp_path / "a.wav", "--exp_dir", world.exp_dir, "-o", tmp_path / "out"]
    check_refused(run, script, [*arguments, "--device", "cpu", *options], says, tmp_path)


BENCHMARK = {
    "meta": (["inference", "--device", "meta"], "--device meta"),
    "one sample": (["training", "--chunk_size", "1"], "--chunk_size 1"),
    "no sample": (["inference", "--chunk_size", "0"], "--chunk_size 0"),
    "repetitions": (["inference", "--repetitions", "-1"], "--repetitions -1"),
    "tag": (["training", "--tag", "smal"], "small"),
    "key": (["training", "--", "net_conf.Q=1"], "net_conf.Q"),
    "peer": (["inference", "--peer", "nowhere"], "nowhere"),
}


@pytest.mark.parametrize(("arguments", "says"), BENCHMARK.values(), ids=BENCHMARK)
def test_benchmark(run, arguments, says, tmp_path):
    check_refused(run, "benchmark", arguments, says, tmp_path)


LOG = {
    "without lr": (without("lr"), "column 'lr' is missing"),
    "without epoch": (without("epoch"), "column 'epoch' is missing"),
    "epoch text": (cells(epoch="one"), ":2: ... epoch"),
    "epoch inf": (cells(epoch="inf"), ":2: ... epoch"),
    "loss text": (cells(loss="low"), ":2: ... loss"),
    "lr empty": (cells(lr=""), ":2: ... lr"),
    **{k: v for k, v in (NO_TABLE | NO_FILE).items() if k not in ("missing", "link to nothing")},
}
SCORES = {
    "without id": (without("mixture_ID"), "column 'mixture_ID' is missing"),
    "id up": (cells(mixture_ID="../../x"), ":2: ... mixture_ID"),
    "score text": (cells(si_sdri="high"), ":2: ... si_sdri"),
    "score inf": (cells(si_sdri="inf"), ":2: ... si_sdri"),
    "doubled": (rewrite(twice), ":3: ... mixture_ID ... twice"),
    **{k: v for k, v in (NO_TABLE | NO_FILE).items() if k not in ("missing", "link to nothing")},
}
ROWS = {
    "no count": (cells(n_mixtures=""), ":2: ... n_mixtures"),
    "infinite count": (cells(n_mixtures="inf"), ":2: ... n_mixtures"),
    "count text": (cells(n_failed="x"), ":2: ... n_failed"),
    "score text": (cells(si_sdri="high"), ":2: ... si_sdri"),
    "no corpus": (cells(corpus=""), ":2: ... corpus"),
    "without tag": (without("tag"), "column 'tag' is missing"),
    "empty": (content(b""), ""),
    **{k: v for k, v in (NO_TABLE | NO_FILE).items() if k not in ("missing", "doubled column")},
}
DAMAGED = {
    **{f"log {k}": ("exp/espeak-2mix_small/training_log.csv", *v) for k, v in LOG.items()},
    **{f"scores {k}": ("exp/espeak-2mix_small/eval_tt/scores.csv", *v) for k, v in SCORES.items()},
    **{f"row {k}": ("results/espeak-2mix_small.csv", *v) for k, v in ROWS.items()},
    "configuration": ("exp/espeak-2mix_small/conf.yaml", content(b"a: ["), "not YAML"),
    "example": ("exp/espeak-2mix_small/eval_tt/examples/*/mix.wav", cut, "cut short"),
    "estimate": ("exp/espeak-2mix_small/eval_tt/examples/*/s2_estimate.wav", cut, "cut short"),
    "estimate text": ("exp/espeak-2mix_small/eval_tt/examples/*/s1.wav", content(b"x"), "audio"),
}


@pytest.fixture(scope="session")
def made_and_reported(made, tmp_path_factory):
    """A world with a second system, ``good``, and the plots of both, which stay where they can."""
    world = World(tmp_path_factory.mktemp("reported") / "world")
    shutil.copytree(made.root, world.root)
    good = world.root / "results" / "espeak-2mix_good.csv"
    good.write_text(world.results.read_text().replace(",small,", ",good,"))
    shutil.copytree(world.exp_dir, world.exp_dir.with_name("espeak-2mix_good"))
    with mock.patch("sys.argv", ["report.py", *map(str, reporting(world))]):
        report.main()
    for name in ("RESULTS.md", "index.html"):
        (world.root / "results" / name).unlink()
    return world


@pytest.fixture
def reported(made_and_reported, tmp_path):
    shutil.copytree(made_and_reported.root, tmp_path / "world")
    return World(tmp_path / "world")


def reporting(world):
    return ["--results_dir", world.root / "results", "--exp_root", world.root / "exp"]


@pytest.mark.parametrize(("pattern", "spoil", "says"), DAMAGED.values(), ids=DAMAGED)
def test_report_names_what_is_damaged_and_reports_the_rest(
    reported, run, pattern, spoil, says, tmp_path
):
    world = reported
    (path,) = world.root.glob(pattern)
    spoil(path)
    before = everything(tmp_path)
    status, line, named = run("report", reporting(world))
    assert (status, len(named)) == (1, 1), named
    assert "1 problem" in line
    for words in (path.name, *says.split(" ... ")):
        assert words in named[0]
    text = (world.root / "results" / "RESULTS.md").read_text()
    assert "| good " in text
    assert ("| small " in text) == (path != world.results)
    page = (world.root / "results" / "index.html").read_text()
    assert "good, source 1" in page
    after = everything(tmp_path)
    assert [p for p in after if p not in before and not p.name.endswith(REPORT)] == []


def test_leftovers_of_killed_runs_are_no_results(reported, run):
    world = reported
    for name in (".partial-abcd1234.csv", ".partial-x.csv", ".hidden.csv"):
        (world.root / "results" / name).write_text("half")
    (world.root / "exp" / ".hidden").mkdir()
    (world.root / "exp" / ".hidden" / "conf.yaml").write_text("half")
    assert run("report", reporting(world)) == (0, "", [])


def test_an_experiment_whose_name_has_a_backslash_is_named(world, run):
    """It is a separator elsewhere, so no name of a file may have one."""
    world.exp_dir.rename(world.exp_dir.with_name("a\\b"))
    status, line, others = run("report", reporting(world))
    assert status == 1 and "1 problems" in line
    assert any("leads to another folder, so it cannot name a file" in text for text in others)


HOSTILE = [
    "a|b",
    "a`b``c",
    "<script>alert(1)</script>",
    "$x_{$",
    "[a](javascript:b)",
    "*a*",
    "&lt;",
]


@pytest.mark.parametrize("tag", HOSTILE)
def test_names_are_shown_as_they_are(reported, run, tag):
    world = reported
    text = world.results.read_text()
    quoted = f'"{tag}"'
    world.results.write_text(text.replace(",small,", f",{quoted},"))
    if "/" not in tag:
        world.exp_dir.rename(world.exp_dir.with_name(f"espeak-2mix_{tag}"))
    assert run("report", reporting(world)) == (0, "", [])
    page = (world.root / "results" / "index.html").read_text()
    assert page.count("<script") == 1  # its own
    table = (world.root / "results" / "RESULTS.md").read_text()
    assert "<script>" not in table
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    bare = [line.replace("\\\\", "").replace("\\|", "") for line in rows]
    assert len({line.count("|") for line in bare}) == 1
