"""Bad input of every kind: one line that names it, exit status 1, and nothing else happens.

A row of a table is a bad input: who reads it, how it is made, and words of the line. Names of a
script are those of ``local/``; all of them run in this process, through ``run_command``.
"""

import importlib
import os
import pickle
import shutil
import sys

import numpy as np
import pytest
import soundfile
import torch

from separation.process import run_command
from tiny_experiment import World, make_world

REPORT = ("RESULTS.md", "index.html", ".png", "plots")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("made") / "world")


@pytest.fixture
def world(made, tmp_path):
    shutil.copytree(made.root, tmp_path / "world")
    return World(tmp_path / "world")


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Run a script; returns its exit status, error line and what else it printed as an error."""

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


def progress(line):
    return "mixture" in line and ("it/s" in line or "%|" in line or "mixture/s" in line)


def everything(folder):
    """Each file below a folder with its content; all but files that are for locks only."""
    return {
        path: path.read_bytes() if path.is_file() else "no file"
        for path in folder.rglob("*")
        if not path.name.endswith(".lock")
    }


def check_refused(run, script, arguments, says, root):
    """The command ends with one line that has these words, and leaves all as it was."""
    before = everything(root)
    status, line, others = run(script, arguments)
    assert status == 1, (status, others)
    assert line.startswith("error: ")
    assert "\n" not in line
    assert len(line) < 3000
    for words in says.split(" ... "):
        assert words in line
    assert others == []
    after = everything(root)
    assert sorted(after.keys() ^ before.keys()) == []
    assert [path for path in before if after[path] != before[path]] == []


def rewrite(change):
    """Change the text of a file."""

    def spoil(path):
        path.write_text(change(path.read_text()))

    return spoil


def encode(encoding):
    def spoil(path):
        path.write_bytes(path.read_text().replace(",", "ë,", 1).encode(encoding))

    return spoil


def cells(**values):
    """Set cells of the first row of a CSV file."""

    def change(text):
        header, first, *rest = text.splitlines()
        row = dict(zip(header.split(","), first.split(","), strict=True))
        return "\n".join([header, ",".join((row | values).values()), *rest, ""])

    return rewrite(change)


def without(column):
    """Drop a column of a CSV file."""

    def change(text):
        rows = [line.split(",") for line in text.splitlines()]
        place = rows[0].index(column)
        return "".join(",".join(row[:place] + row[place + 1 :]) + "\n" for row in rows)

    return rewrite(change)


def longer(text):
    header, first, *rest = text.splitlines()
    return "\n".join([header, first + ",extra", *rest, ""])


def shorter(text):
    header, first, *rest = text.splitlines()
    return "\n".join([header, first.rpartition(",")[0], *rest, ""])


def twice(text):
    header, first, *rest = text.splitlines()
    return "\n".join([header, first, first, *rest, ""])


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def loop(path):
    path.unlink()
    path.symlink_to(path)


def dangling(path):
    path.unlink()
    path.symlink_to("nowhere")


def content(data):
    return lambda path: path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# What may be wrong with any file, and words of the line.
NO_FILE = {
    "missing": (lambda path: path.unlink(), "no such file"),
    "folder": (folder, "a folder"),
    "pipe": (pipe, "a pipe"),
    "loop of links": (loop, "oo many levels of symbolic links"),
    "link to nothing": (dangling, "a link to no"),
}
# What may be wrong with any CSV file.
NO_TABLE = {
    "Latin-1": (encode("latin-1"), "not a text file"),
    "UTF-16": (encode("utf-16"), "not a text file"),
    "UTF-16 without a mark": (encode("utf-16-le"), "not a text file"),
    "NUL": (rewrite(lambda text: text[:-9] + "\0" + text[-9:]), "NUL"),
    "huge field": (rewrite(lambda text: text + "x" * 200_000 + "\n"), "field larger than"),
    "too long a row": (rewrite(longer), ":2: ... cells, but"),
    "too short a row": (rewrite(shorter), ":2: ... cells, but"),
    "doubled column": (
        rewrite(lambda text: "\n".join(f"{x},{x.split(',')[0]}" for x in text.splitlines())),
        "is there twice",
    ),
}

MANIFEST = {
    **NO_FILE,
    **NO_TABLE,
    **{
        f"length {value}": (cells(length=value), f":2: ... length ... '{value}' ... whole number")
        for value in ("inf", "nan", "-1", "0", "1.5", "1e999", "long")
    },
    "no length": (cells(length=""), ":2: ... length"),
    "empty": (content(b""), "tt.csv"),
    "no mixture": (rewrite(lambda text: text.splitlines()[0] + "\n"), "no mixture"),
    "no id": (cells(mixture_ID=""), ":2: ... mixture_ID ... empty"),
    "no path": (cells(mixture_path=""), ":2: ... mixture_path ... empty"),
    "path of a folder": (cells(source_2_path="tt"), ":2: ... source_2_path"),
    "path of nothing": (cells(source_2_path="tt/x.wav"), ":2: ... source_2_path ... x.wav"),
    "id up": (cells(mixture_ID="../../x"), ":2: ... mixture_ID ... leads to another folder"),
    "id of dots": (cells(mixture_ID=".."), ":2: ... mixture_ID ... leads to another folder"),
    "id absolute": (cells(mixture_ID="/tmp/x"), ":2: ... mixture_ID ... another folder"),
    "id with ESC": (cells(mixture_ID="a\x1b[2J"), ":2: ... mixture_ID ... control characters"),
    "id too long": (cells(mixture_ID="x" * 300), ":2: ... mixture_ID ... longer than"),
    "doubled id": (rewrite(twice), ":3: ... mixture_ID ... twice"),
    "no column": (without("source_1_path"), "column 'source_1_path' is missing"),
}


@pytest.mark.parametrize(("spoil", "says"), MANIFEST.values(), ids=MANIFEST)
def test_manifest(world, run, spoil, says, tmp_path):
    spoil(world.wav_dir / "tt.csv")
    check_refused(run, "evaluate", world.evaluate(), f"tt.csv ... {says}", tmp_path)


def test_manifest_of_a_training(world, run, tmp_path):
    cells(length="inf")(world.wav_dir / "tr.csv")
    check_refused(run, "train", world.train(), "tr.csv:2: ... length", tmp_path)


SOURCES = {
    **NO_FILE,
    **NO_TABLE,
    "empty": (content(b""), "sources.csv"),
    "no column": (without("gender"), "column 'gender' is missing"),
    "no path": (cells(path=""), ":2: ... path ... empty"),
    "path up": (cells(path="../x.wav"), ":2: ... path ... out of"),
    "path absolute": (cells(path="/etc/x.wav"), ":2: ... path ... out of"),
    "split": (cells(split="dev"), ":2: ... split ... tr, cv, tt"),
}


@pytest.mark.parametrize(("spoil", "says"), SOURCES.values(), ids=SOURCES)
def test_sources(world, run, spoil, says, tmp_path):
    spoil(world.data_dir / "sources.csv")
    arguments = ["--corpus", "espeak-2mix", "--data_dir", world.data_dir, "--", "nj=1"]
    check_refused(run, "manifest", arguments, f"sources.csv ... {says}", tmp_path)


@pytest.mark.parametrize("text", ["", "xyz", "0" * 17, "a" * 10**6, "0123\n4567"])
def test_fingerprint(world, run, text, tmp_path):
    (world.wav_dir / "fingerprint.txt").write_text(text)
    says = "fingerprint.txt ... not a fingerprint"
    check_refused(run, "evaluate", world.evaluate(), says, tmp_path)


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def saved(value):
    return lambda path: torch.save(value, path)


def package(**changes):
    """Change entries of a model file; those of ``model_args`` are merged."""

    def spoil(path):
        model = torch.load(path)
        arguments = changes.get("model_args")
        merged = (
            {"model_args": model["model_args"] | arguments} if isinstance(arguments, dict) else {}
        )
        torch.save(model | changes | merged, path)

    return spoil


MODEL = {
    **NO_FILE,
    "empty": (content(b""), ""),
    "cut": (cut, ""),
    "text": (content(b"nonsense"), ""),
    "list": (saved([1]), ""),
    "tensor": (saved(torch.zeros(3)), ""),
    "bomb": (saved(Bomb("exploded")), ""),
    "pickled bomb": (lambda path: path.write_bytes(pickle.dumps(Bomb("exploded"))), ""),
    "name": (package(model_name="ConvTasNt"), "ConvTasNt"),
    "name of a function": (package(model_name="save_publishable"), "save_publishable"),
    "no name": (package(model_name=None), "model_name"),
    "arguments": (package(model_args=None), "model_args"),
    "filters": (package(model_args={"n_filters": -3}), ""),
    "huge": (package(model_args={"kernel_size": 10**12}), ""),
    "activation": (package(model_args={"mask_act": "x"}), ""),
    "weights": (package(state_dict=[]), "state_dict"),
    "no weights": (package(state_dict={}), ""),
    **{
        f"rate {rate}": (package(model_args={"sample_rate": rate}), f"sample rate is ... {rate}")
        for rate in (None, 0, -8000, "8000", float("nan"), 10**12)
    },
}


@pytest.mark.parametrize(("spoil", "says"), MODEL.values(), ids=MODEL)
def test_model(world, run, spoil, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil(world.exp_dir / "best_model.pth")
    recording = next((world.wav_dir / "tt" / "mix").iterdir())
    arguments = [recording, "--exp_dir", world.exp_dir, "-o", tmp_path / "out", "--device", "cpu"]
    check_refused(run, "separate", arguments, f"best_model.pth ... {says}", tmp_path)


def key(text, new):
    """Replace a line of the configuration."""

    def change(conf):
        assert text in conf
        return conf.replace(text, new, 1)

    return rewrite(change)


def block(name, new):
    """Replace a block of the configuration."""

    def change(conf):
        lines = conf.splitlines()
        start = lines.index(f"{name}:")
        depth = len(name) - len(name.lstrip())
        end = start + 1
        inside = (" " * (depth + 1), " " * depth + "- ")  # items of a list are not indented
        while end < len(lines) and lines[end].startswith(inside):
            end += 1
        return "\n".join([*lines[:start], new, *lines[end:], ""])

    return rewrite(change)


CONFIGURATION = {
    **NO_FILE,
    "empty": (content(b""), "missing"),
    "a part": (content(b"corpus: {name: toy, sample_rate: 8000, n_src: 2}\n"), "missing"),
    "no seed": (key("seed: 0\n", ""), "'seed' is missing"),
    "a list": (content(b"- 1\n"), "keys and values"),
    "not YAML": (content(b"a: ["), "not YAML"),
    "Latin-1": (content("a: ë\n".encode("latin-1")), "not a text file"),
    "a date": (content(b"a: 2001-99-99\n"), "not YAML"),
    "deep": (content(b"[" * 100_000), "not YAML"),
    "corpus null": (block("corpus", "corpus: null"), "corpus"),
    "corpus a list": (block("corpus", "corpus: [1]"), "corpus"),
    "net_conf a text": (block("net_conf", "net_conf: small"), "net_conf"),
    "metrics empty": (block("  metrics", "  metrics: []"), "evaluation.metrics"),
    "metrics of lists": (block("  metrics", "  metrics: [[1], {}]"), "evaluation.metrics"),
    "splits": (block("  splits", "  splits: [null]"), "evaluation.splits"),
    "max_mixtures null": (block("  max_mixtures", "  max_mixtures: null"), "max_mixtures"),
    "max_mixtures text": (block("  max_mixtures", "  max_mixtures: {tt: x}"), "max_mixtures.tt"),
    "max_mixtures less": (block("  max_mixtures", "  max_mixtures: {tt: -1}"), "max_mixtures"),
    "rate text": (key("sample_rate: 8000", "sample_rate: fast"), "corpus.sample_rate"),
    "rate null": (key("sample_rate: 8000", "sample_rate: null"), "corpus.sample_rate"),
    "rate 0": (key("sample_rate: 8000", "sample_rate: 0"), "corpus.sample_rate"),
    "filters text": (key("N: 16", "N: many"), "net_conf.N"),
    "filters a list": (key("N: 16", "N: [16]"), "net_conf.N"),
    "model null": (key("model: convtasnet", "model: null"), "model"),
    "model unknown": (key("model: convtasnet", "model: x"), "model is 'x'"),
    "mode": (key("mode: min", "mode: [1]"), "corpus.mode"),
    "name up": (key("name: espeak-2mix", "name: ../../x"), "corpus.name"),
    "name a list": (key("name: espeak-2mix", "name: [x]"), "corpus.name"),
    "bomb": (content(b"!!python/object/apply:os.mkdir [exploded]\n"), "not YAML"),
}


@pytest.mark.parametrize(("spoil", "says"), CONFIGURATION.values(), ids=CONFIGURATION)
def test_configuration(world, run, spoil, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil(world.exp_dir / "conf.yaml")
    where = "" if says.startswith("model is") else "conf.yaml ... "
    check_refused(run, "evaluate", world.evaluate(), where + says, tmp_path)


CHECKPOINT = {
    "folder": NO_FILE["folder"],
    "pipe": NO_FILE["pipe"],
    "loop of links": NO_FILE["loop of links"],
    "empty": (content(b""), ""),
    "cut": (cut, ""),
    "text": (content(b"nonsense"), ""),
    "a model": (lambda path: shutil.copy(path.parents[1] / "best_model.pth", path), ""),
    "list": (saved([1]), ""),
    "bomb": (saved({"callbacks": Bomb("exploded")}), ""),
    "pickled bomb": (lambda path: path.write_bytes(pickle.dumps(Bomb("exploded"))), ""),
}


@pytest.mark.parametrize(("spoil", "says"), CHECKPOINT.values(), ids=CHECKPOINT)
def test_checkpoint(world, run, spoil, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil(world.exp_dir / "checkpoints" / "last.ckpt")
    check_refused(run, "train", world.train("--resume"), f"last.ckpt ... {says}", tmp_path)


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


@pytest.mark.parametrize(("pattern", "spoil", "says"), DAMAGED.values(), ids=DAMAGED)
def test_report_names_what_is_damaged_and_reports_the_rest(
    world, run, pattern, spoil, says, tmp_path
):
    good = world.root / "results" / "espeak-2mix_good.csv"
    good.write_text(world.results.read_text().replace(",small,", ",good,"))
    shutil.copytree(world.exp_dir, world.exp_dir.with_name("espeak-2mix_good"))
    (path,) = world.root.glob(pattern)
    spoil(path)
    before = everything(tmp_path)
    arguments = ["--results_dir", world.root / "results", "--exp_root", world.root / "exp"]
    status, line, named = run("report", arguments)
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


def test_leftovers_of_killed_runs_are_no_results(world, run):
    for name in (".partial-abcd1234.csv", ".partial-x.csv", ".hidden.csv"):
        (world.root / "results" / name).write_text("half")
    (world.root / "exp" / ".hidden").mkdir()
    (world.root / "exp" / ".hidden" / "conf.yaml").write_text("half")
    arguments = ["--results_dir", world.root / "results", "--exp_root", world.root / "exp"]
    assert run("report", arguments) == (0, "", [])


def test_an_experiment_whose_name_has_a_backslash_is_named(world, run):
    """It is a separator elsewhere, so no name of a file may have one."""
    world.exp_dir.rename(world.exp_dir.with_name("a\\b"))
    results, experiments = world.root / "results", world.root / "exp"
    status, line, others = run("report", ["--results_dir", results, "--exp_root", experiments])
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
def test_names_are_shown_as_they_are(world, run, tag):
    text = world.results.read_text()
    quoted = f'"{tag}"'
    world.results.write_text(text.replace(",small,", f",{quoted},"))
    if "/" not in tag:
        world.exp_dir.rename(world.exp_dir.with_name(f"espeak-2mix_{tag}"))
    arguments = ["--results_dir", world.root / "results", "--exp_root", world.root / "exp"]
    assert run("report", arguments) == (0, "", [])
    page = (world.root / "results" / "index.html").read_text()
    assert "<script>" not in page
    table = (world.root / "results" / "RESULTS.md").read_text()
    assert "<script>" not in table
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    bare = [line.replace("\\\\", "").replace("\\|", "") for line in rows]
    assert len({line.count("|") for line in bare}) == 1
