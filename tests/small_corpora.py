"""Small corpora of every kind, with recordings of a user, and their stages in this process."""

import importlib.util
import sys

import numpy as np
import pytest
import soundfile

import test_espeak
from separation.config import ROOT
from separation.process import run_command
from test_folder import make_folder
from test_librimix import make_version
from wsj0_tree import make_tree

TINY = {
    "folder-2mix": ["corpus.n_mixtures={tr: 6, cv: 2, tt: 2}"],
    "minilibri-2mix": ["corpus.n_mixtures={tr: 6, cv: 2, tt: 3}"],
    "espeak-2mix": [
        "corpus.n_voices={tr: 2, cv: 2, tt: 2}",
        "corpus.n_utterances={tr: 1, cv: 1, tt: 1}",
        "corpus.n_mixtures={tr: 1, cv: 1, tt: 1}",
    ],
    "librimix": [],
    "wsj0-2mix": [],
}
SPEAKERS = {str(100 + number): "FM"[number % 2] for number in range(12)}


def load(corpus, name="prepare"):
    """A script of a corpus as a module."""
    folder = ROOT / "egs" / corpus / "local"
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location(f"{corpus}_{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Corpus:
    """Recordings of a user in ``own``, and the corpus' stages on ``data``."""

    def __init__(self, name, folder, monkeypatch):
        self.name, self.monkeypatch = name, monkeypatch
        self.own, self.data, self.lists = folder / "own", folder / "data", folder / "own" / "lists"
        self.given = self.own
        if name == "folder-2mix":
            make_folder(self.own)
        elif name == "minilibri-2mix":
            make_librispeech(self.own)
        elif name == "librimix":
            make_version(self.own)
        elif name == "wsj0-2mix":
            self.own.mkdir(parents=True)
            make_tree(self.own)
            self.given = self.own / "csr_1"

    def run(self, main, *overrides):
        """Run a stage; its exit status (0, or what it says)."""
        arguments = ["x", "--corpus", self.name, "--data_dir", str(self.data), "--", "nj=1"]
        self.monkeypatch.setattr(sys, "argv", [*arguments, *TINY[self.name], *overrides])
        try:
            run_command(main)
        except SystemExit as ended:
            return ended.code
        return 0

    def prepare(self, *overrides, given=None):
        if self.name == "espeak-2mix":  # its processes import the script by its name
            done = test_espeak.prepare(self.data, *TINY[self.name], "nj=1", *overrides)
            sys.stderr.write(done.stderr)
            return done.returncode and done.stderr.rstrip("\n").rpartition("\n")[2]
        own = [f"corpus.corpus_dir='{given or self.given}'"]
        if self.name == "wsj0-2mix":
            own.append(f"corpus.lists='{self.lists}'")
        return self.run(load(self.name).main, *own, *overrides)


def make_librispeech(folder):
    rng = np.random.default_rng(0)
    for speaker in SPEAKERS:
        chapter = folder / "train-clean-5" / speaker / "7"
        chapter.mkdir(parents=True)
        for number in range(2):
            samples = rng.uniform(-0.1, 0.1, 4000)
            soundfile.write(chapter / f"{speaker}-7-{number:04}.flac", samples, 16000)
    rows = [f"{speaker} | {gender} | x | 1 | A Name" for speaker, gender in SPEAKERS.items()]
    (folder / "SPEAKERS.TXT").write_text("\n".join([";ID|SEX", *rows]))


def contents(folder):
    """Every file below a folder, with its bytes, and every link, with its target."""
    return {
        path: path.readlink() if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def assert_one_line(said, capfd):
    """What a stage ended with is one line, and nothing else was said but by progress bars."""
    assert isinstance(said, str), said
    assert said.startswith("error: ")
    assert "\n" not in said
    told = [line for line in capfd.readouterr().err.splitlines() if line and "|" not in line]
    assert not [line for line in told if not line.startswith(("warning: ", said))], told


every_corpus = pytest.mark.parametrize("corpus", TINY, indirect=True)
