"""Damaged tables, models, configurations and checkpoints: one line names it, status 1, no change.

Scripts of ``local/`` are run in this process, through ``run_command``.
"""

import os
import pickle
import shutil

import pytest
import torch

from spoiling import NO_FILE, NO_TABLE, cells, check_refused, content, cut, rewrite, twice, without

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
