"""Corpora and bad input: one line, exit status 1, and every file of the user as it was.

The scripts run in this process: a fresh interpreter costs seconds.
"""

import importlib.util
import os
import shutil
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import requests
import soundfile

import mix
import test_espeak
from separation.config import ROOT
from separation.corpus.lists import list_path, read_sources
from separation.process import run_command
from test_folder import make_folder
from test_librimix import make_version
from tiny_corpus import make_sources
from wsj0_tree import LISTS, make_tree

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


@pytest.fixture
def corpus(request, tmp_path, monkeypatch):
    name = request.param if hasattr(request, "param") else "folder-2mix"
    return Corpus(name, tmp_path / "with a space", monkeypatch)


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


# --- nothing is lost


@pytest.mark.parametrize("corpus", [name for name in TINY if name != "espeak-2mix"], indirect=True)
@pytest.mark.parametrize(
    "how", ["is", "inside", "around", "link to it", "its link", "a link in it"]
)
def test_recordings_where_the_corpus_is_written_stay(corpus, how, capfd):
    """As ./run.sh --corpus folder-2mix --corpus_dir data/folder-2mix/sources once deleted them."""
    real, given = corpus.data / "sources", None
    if how == "is":
        real = corpus.data
    elif how == "around":
        real = corpus.given
        version = "Libri2Mix/wav8k/min" if corpus.name == "librimix" else ""
        corpus.data = corpus.given / version / "data"
    elif how == "its link":
        real = corpus.own.parent / "elsewhere"
    if real != corpus.given:
        real.parent.mkdir(exist_ok=True)
        shutil.move(corpus.given, real)
    if how == "its link":
        corpus.data.symlink_to(real)
    elif how == "link to it":
        given = corpus.own.parent / "link"
        given.symlink_to(real)
    elif how == "a link in it":
        given = corpus.data / "link"
        given.symlink_to("sources")
    before = contents(corpus.own.parent)
    said = corpus.prepare(given=given or real)
    assert_one_line(said, capfd)
    assert "this stage writes" in said
    assert contents(corpus.own.parent) == before


def test_a_link_to_the_recordings_in_the_corpus_folder_is_not_written_through(corpus, capfd):
    corpus.data.mkdir()
    (corpus.data / "sources").symlink_to(corpus.own)
    before = contents(corpus.own.parent)
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert f"{corpus.data}/sources: in the way" in said
    assert contents(corpus.own) == {k: v for k, v in before.items() if corpus.own in k.parents}


MINE = ["notes.txt", "sources/mine.wav", "sources/anna/mine.wav", "lists/mine.txt"]
MINE += ["lists/mix_2_spk_dev.txt", "wav8k/min/tr/mix/mine.wav", "wav8k/min/tr/s3/mine.wav"]
MINE += ["mixtures/mine.csv", "archives/mine.zip", ".unpacking/mine", ".mixing-mine/mine"]


@every_corpus
def test_own_files_in_the_corpus_folder_stay(corpus, capfd):
    """Before the first run, and through runs with other settings."""
    mine = [
        n for n in MINE if corpus.name not in ("minilibri-2mix", "librimix") or "sources" not in n
    ]
    for name in mine:
        (corpus.data / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus.data / name).write_text("mine")
    for seed in (0, 1):
        assert corpus.prepare(f"seed={seed}") == 0
        if corpus.name not in ("librimix", "minilibri-2mix"):
            assert corpus.run(mix.main, f"seed={seed}") == 0
    assert all((corpus.data / name).read_text() == "mine" for name in mine)
    told = capfd.readouterr().err
    if "sources/mine.wav" in mine and corpus.name != "wsj0-2mix":
        assert f"note: {corpus.data}/sources/anna/mine.wav and 1 more: not made by this" in told


@every_corpus
def test_a_second_run_leaves_what_a_first_run_does(corpus):
    """Also when an earlier one had other settings, or kept no record."""
    assert corpus.prepare() == 0
    before = contents(corpus.data)
    assert corpus.prepare("seed=1") == 0
    assert corpus.prepare() == 0
    assert contents(corpus.data) == before
    (corpus.data / ".made").unlink()
    assert corpus.prepare("seed=1") == 0
    assert corpus.prepare() == 0
    after = contents(corpus.data)
    if corpus.name == "folder-2mix":  # names that are entered and were not needed
        before.pop(corpus.data / ".made")
        after.pop(corpus.data / ".made")
    assert after == before


OWN_NAMES = {
    "folder-2mix": ["sources.csv", "sources/ben/ben_000.flac", "lists/mix_2_spk_tr.txt"],
    "espeak-2mix": ["sources/trf01/trf01-001.wav", "voices.csv"],
    "minilibri-2mix": ["sources.csv", "sources/mine.wav", "lists/mix_2_spk_cv.txt"],
    "librimix": ["sources.csv", "sources/mine.wav", "mixtures/cv.csv"],
    "wsj0-2mix": ["sources.csv", "sources/wsj0/si_tr_s/40n/40no031a.wav", "lists/mix_2_spk_tt.txt"],
}


@pytest.mark.parametrize(
    ("corpus", "name"),
    [(corpus, name) for corpus, names in OWN_NAMES.items() for name in names],
    indirect=["corpus"],
)
def test_own_files_under_names_of_the_recipe_are_in_the_way(corpus, name, capfd):
    path = corpus.data / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    said = corpus.prepare()
    assert said.endswith(
        "in the way, and not made by this recipe: move it elsewhere, or remove it if you do not"
        " need it"
    )
    assert "\n" not in said
    assert path.read_text() == "mine"
    path.unlink()
    if name == "sources/mine.wav":
        path.parent.rmdir()
    assert corpus.prepare() == 0


def test_a_folder_of_recordings_is_remade_after_a_kill_at_any_file(corpus, monkeypatch):
    """Every place between two files: what the next run leaves is what one run leaves."""
    assert corpus.prepare() == 0
    whole = contents(corpus.data)
    prepare = load("folder-2mix")
    for last in (1, 5, 16):
        shutil.rmtree(corpus.data)
        assert corpus.prepare("seed=1") == 0
        recordings = sys.modules["separation.corpus.recordings"]
        original, calls = recordings.place_recording, []

        def killed(*arguments, last=last, original=original, calls=calls):
            calls.append(1)
            if len(calls) == last:
                raise ZeroDivisionError  # nothing that the script would handle
            return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(recordings, "place_recording", killed)
            with pytest.raises(ZeroDivisionError):
                corpus.run(prepare.main, f"corpus.corpus_dir='{corpus.own}'")
        assert not (corpus.data / "sources.csv").exists()
        assert corpus.prepare() == 0
        after = contents(corpus.data)
        assert after.pop(corpus.data / ".made")
        assert after == {path: text for path, text in whole.items() if path.name != ".made"}


def test_lists_that_lie_in_the_corpus_folder_are_refused(tmp_path, monkeypatch, capfd):
    corpus = Corpus("wsj0-2mix", tmp_path / "a", monkeypatch)
    shutil.move(corpus.lists, corpus.data / "lists")
    corpus.lists = corpus.data / "lists"
    before = contents(corpus.data)
    said = corpus.prepare("corpus.allow_partial=true")
    assert_one_line(said, capfd)
    assert f"{corpus.lists} is where this stage writes" in said
    assert contents(corpus.data) == before


def test_a_longer_earlier_list_of_another_number_of_speakers_is_removed_and_no_other(tmp_path):
    make_sources(tmp_path, {"tr": 2, "cv": 1, "tt": 1})
    mine = tmp_path / "lists" / "mix_3_spk_tt.txt"
    mine.write_text("mine")
    make_sources(tmp_path, {"tr": 2, "cv": 1, "tt": 0})
    assert not list_path(tmp_path, 2, "tt").exists()
    assert mine.read_text() == "mine"


def test_mixtures_of_a_user_below_the_data_folder_are_not_removed(tmp_path, monkeypatch, capsys):
    """--data_dir at a LibriMix tree: its wav8k/min/<part>/mix_clean/*.wav and so on."""
    corpus = Corpus("folder-2mix", tmp_path, monkeypatch)
    make_sources(corpus.data, {"tr": 2, "cv": 1, "tt": 1})
    version = make_version(corpus.data)
    version.rename(corpus.data / "min")
    (corpus.data / "wav8k").mkdir()
    (corpus.data / "min").rename(corpus.data / "wav8k" / "min")
    (corpus.data / "wav8k" / "min" / "dev").rename(corpus.data / "wav8k" / "min" / "cv")
    before = contents(corpus.data / "wav8k")
    assert corpus.run(mix.main) == 0
    after = contents(corpus.data / "wav8k")
    assert all(after[path] == before[path] for path in before)
    assert "not made by this recipe, so left and not used" in capsys.readouterr().err


# --- bad input is one line


def latin_1(path):
    path.write_bytes(path.read_bytes() + "Müller".encode("latin-1"))


def utf_16(path):
    path.write_bytes(path.read_text().encode("utf-16"))


def utf_16_without_mark(path):
    path.write_bytes(path.read_text().encode("utf-16-le"))


def nul(path):
    path.write_bytes(path.read_bytes() + b"\0\0")


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def loop(path):
    path.unlink()
    path.symlink_to(path.name)


def dangling(path):
    path.unlink()
    path.symlink_to("gone")


SPOILS = {
    latin_1: "not a text file in UTF-8",
    utf_16: "not a text file in UTF-8",
    utf_16_without_mark: "not a text file in UTF-8",
    nul: "NUL bytes",
    folder: "a folder, not a file",
    pipe: "a pipe, not a file",
    loop: "too many levels of symbolic links",
    dangling: "a link to nothing",
}


def speakers_csv(corpus):
    path = corpus.own / "speakers.csv"
    names = [p.name for p in corpus.own.iterdir()]
    path.write_text("speaker,gender\n" + "".join(f"{name},F\n" for name in names))
    return path


def speakers_txt(corpus):
    return corpus.own / "SPEAKERS.TXT"


def librimix_speakers(corpus):
    path = corpus.own / "SPEAKERS.TXT"
    path.write_text("103 | F | x | 1 | A Name\n")
    return path


def librimix_table(corpus):
    return corpus.own / "Libri2Mix/wav8k/min/metadata/mixture_dev_mix_clean.csv"


def mixing_list(corpus):
    return corpus.lists / "mix_2_spk_cv.txt"


TEXTS = {
    speakers_csv: "folder-2mix",
    speakers_txt: "minilibri-2mix",
    librimix_speakers: "librimix",
    librimix_table: "librimix",
    mixing_list: "wsj0-2mix",
}


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize(
    ("corpus", "text"),
    [pytest.param(corpus, text, id=text.__name__) for text, corpus in TEXTS.items()],
    indirect=["corpus"],
)
def test_a_text_of_another_kind_is_named(corpus, text, spoil, capfd):
    path = text(corpus)
    spoil(path)
    said = corpus.prepare()
    assert_one_line(said, capfd)
    known = {f"/{path.name}: {SPOILS[spoil]}", f"/{path.name}: not a text file"}
    known |= {f"no {path.name} in it"} if spoil in (loop, dangling) else set()
    assert any(words in said for words in known), said
    assert not (corpus.data / "sources.csv").exists()


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_a_file_of_levels_of_another_kind_is_named(tmp_path, monkeypatch, spoil, capfd):
    corpus = Corpus("espeak-2mix", tmp_path, monkeypatch)
    make_sources(corpus.data, {"tr": 2, "cv": 1, "tt": 1})
    path = tmp_path / "levels.txt"
    path.write_text("f1-0 0.001\n")
    spoil(path)
    said = corpus.run(mix.main, f"corpus.levels_file={path}")
    assert_one_line(said, capfd)
    assert f"{path}: " in said
    assert not (corpus.data / "wav8k").exists()


@pytest.mark.parametrize(
    "text",
    ["utterance,seconds\nx,1\n", "utterance,seconds,level\nx,long,1\n", "é", "\0", "utterance\n",
     "utterance,seconds,level\nx,1,nan\n", "utterance,seconds,level\nx,1\n"],
)  # fmt: skip
def test_a_damaged_table_of_known_levels_is_named(tmp_path, text):
    genuine = load("wsj0-2mix", "genuine")
    path = tmp_path / "known_levels.csv"
    path.write_bytes(text.encode("latin-1"))
    if text == "utterance\n":
        assert genuine.read_known(path) == {}
        return
    with pytest.raises(genuine.RecipeError, match="known_levels.csv: not ") as error:
        genuine.read_known(path)
    assert "\n" not in str(error.value)


ROWS = {
    f"speaker,gender\n{'x' * 200_000},F\n": "speakers.csv:2: not a CSV file: field larger",
    "speaker,gender\nanna,F\nanna,M\n": "speakers.csv:3: anna had another gender before",
    "gender,speaker\nF\n": "speakers.csv: no speaker ",
    'speaker,gender\n"anna,F\n': "is not F or M",
}


@pytest.mark.parametrize("text", ROWS, ids=range(len(ROWS)))
def test_a_bad_row_of_speakers_is_named(corpus, text, capfd):
    (corpus.own / "speakers.csv").write_text(text)
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert ROWS[text] in said


LINES = {
    f"wsj0/{'x' * 130}.wav 1 wsj0/{'y' * 130}.wav -1": "is longer than 255 bytes",
    f"wsj0/{'é' * 128}.wav 1 b.wav -1": "is longer than 255 bytes",
    f"{'d' * 256}/a.wav 1 b.wav -1": "is longer than 255 bytes",
    "/etc/a.wav 1 b.wav -1": "leads out of the sources",
    "../a.wav 1 b.wav -1": "leads out of the sources",
    "wsj0\\si_tr_s\\a.wav 1 b.wav -1": "leads to another folder",
    "wsj0/a\x1b[31m.wav 1 b.wav -1": "has control characters",
    "wsj0//a.wav 1 b.wav -1": "'' is empty",
    "wsj0/. 1 b.wav -1": "'.' leads to another folder",
}


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
@pytest.mark.parametrize("corpus", ["wsj0-2mix"], indirect=True)
def test_a_name_in_a_list_that_cannot_be_a_file_is_named(corpus, line, capfd):
    path = mixing_list(corpus)
    path.write_text(LISTS[2]["cv"] + line + "\n")
    before = contents(corpus.own)
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert "mix_2_spk_cv.txt:2: " in said
    assert LINES[line] in said
    assert contents(corpus.own) == before
    assert not (corpus.data / "sources").exists()


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a\\b", "..", "a\nb", "x" * 256])
@pytest.mark.parametrize("corpus", ["librimix"], indirect=True)
def test_an_id_of_a_table_that_cannot_be_a_file_is_named(corpus, name, capfd):
    path = librimix_table(corpus)
    table = pd.read_csv(path)
    table.loc[1, "mixture_ID"] = name
    table.to_csv(path, index=False)
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert "mixture_dev_mix_clean.csv:3: mixture_ID: " in said
    assert not (corpus.data / "mixtures").exists()


def test_file_names_of_every_kind_become_plain_ones(corpus):
    """Backslashes and control characters."""
    for name in ("a\\b.wav", "a\nb.wav", "\x1b[31m.wav"):
        soundfile.write(corpus.own / "new.wav", np.full(4000, 0.1), 8000)
        (corpus.own / "new.wav").rename(corpus.own / "ben" / name)
    assert corpus.prepare() == 0
    names = {u.path.split("/")[1] for u in read_sources(corpus.data) if u.speaker == "ben"}
    assert {
        "ben_a_b.wav",
        "ben_a_b-2.wav",
        "ben__[31m.wav",
    } < names


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"a\\b"])
def test_a_speaker_whose_name_cannot_be_written_is_named(corpus, name, capfd):
    (corpus.own / "ben").rename(corpus.own / os.fsdecode(name))
    said = corpus.prepare()
    assert_one_line(said.encode(errors="replace").decode(), capfd)
    assert "so it cannot name a file; rename it" in said


def test_a_recording_whose_name_is_not_in_utf_8_is_named(corpus, capfd):
    path = corpus.own / "ben" / os.fsdecode(b"caf\xe9.ogg")
    (corpus.own / "ben" / "001.ogg").rename(path)
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert said == f"error: {path}: its name is not in UTF-8; rename it"


@pytest.mark.parametrize("corpus", ["minilibri-2mix"], indirect=True)
@pytest.mark.parametrize(
    ("name", "says"),
    [("a take", "a space in its path"), ("x" * 240, "mix_2_spk_tr.txt:")],
)  # fmt: skip
def test_recordings_that_no_list_can_hold_are_named_by_stage_0(corpus, name, says, capfd):
    for path in corpus.own.rglob("*-0000.flac"):
        path.rename(path.with_stem(f"{name}{path.parent.parent.name}"))
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert says in said
    assert not (corpus.data / "sources.csv").exists()


def test_a_cut_mp3_is_one_line_and_its_decoder_says_nothing(corpus, capfd):
    path = corpus.own / "dora" / "000.mp3"
    assert path.is_file()
    path.write_bytes(path.read_bytes()[:-3000])
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert f"{path}: cut short; " in said
    damaged = path.read_bytes()
    path.write_bytes(damaged[:600] + bytes(2500) + damaged[600:])
    assert_one_line(corpus.prepare(), capfd)


# --- archives of lists


def archive_of_lists(path, **how):
    with zipfile.ZipFile(path, "w", **how) as file:
        for split, text in LISTS[2].items():
            file.writestr(f"lists/mix_2_spk_{split}.txt", text)


def patch(path, where, content):
    data = bytearray(path.read_bytes())
    data[where : where + len(content)] = content
    path.write_bytes(data)


def damaged(path):
    archive_of_lists(path)
    patch(path, path.read_bytes().index(b"wsj0/si"), b"!")


def damaged_deflate(path):
    archive_of_lists(path, compression=zipfile.ZIP_DEFLATED)
    patch(path, path.read_bytes().index(b"tr.txt") + 6, b"\xff" * 20)


def encrypted(path):
    archive_of_lists(path)
    for place in (path.read_bytes().index(b"PK\3\4") + 6, path.read_bytes().index(b"PK\1\2") + 8):
        patch(path, place, b"\1")


def strange_packing(path):
    archive_of_lists(path)
    for place in (path.read_bytes().index(b"PK\3\4") + 8, path.read_bytes().index(b"PK\1\2") + 10):
        patch(path, place, b"\x63")


def cut(path):
    archive_of_lists(path)
    path.write_bytes(path.read_bytes()[:-30])


def no_zip(path):
    path.write_text("<html>")


def empty(path):
    path.touch()


def bomb(path):
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_DEFLATED) as file:
        for split in LISTS[2]:
            file.writestr(f"mix_2_spk_{split}.txt", bytes((1 << 26) + 1))


def outside(path):
    with zipfile.ZipFile(path, "w") as file:
        for split, text in LISTS[2].items():
            file.writestr(f"../../../mix_2_spk_{split}.txt", text.replace("wsj0/", "/wsj0/"))


ZIPS = {
    damaged: "damaged (Bad CRC-32",
    damaged_deflate: "",
    encrypted: "is encrypted",
    strange_packing: "cannot be unpacked: That compression method is not supported",
    cut: "not a zip file",
    no_zip: "not a zip file",
    empty: "not a zip file",
    bomb: "is larger than any mixing list",
    outside: "leads out of the sources",
    os.mkfifo: "a pipe, not a file; --lists is a folder or a zip file",
}


@pytest.mark.parametrize("make", ZIPS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("corpus", ["wsj0-2mix"], indirect=True)
def test_a_bad_zip_of_lists_is_named(corpus, make, capfd):
    path = corpus.own / "lists.zip"
    make(path)
    corpus.lists = path
    said = corpus.prepare()
    assert_one_line(said, capfd)
    assert (str(path) in said) != (make is outside)
    assert ZIPS[make] in said


class Answer:
    """An answer of a web server, as requests gives it."""

    status_code = 200

    def __init__(self, content, length):
        self.content, self.headers = content, {"Content-Length": length}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def raise_for_status(self):
        pass

    def iter_content(self, size):
        yield self.content


@pytest.mark.parametrize("length", ["abc", "", "-1", "²", "1.5"])
@pytest.mark.parametrize("corpus", ["wsj0-2mix"], indirect=True)
def test_a_length_that_is_no_number_does_not_matter(corpus, length, monkeypatch, tmp_path):
    archive_of_lists(tmp_path / "lists.zip")
    answer = Answer((tmp_path / "lists.zip").read_bytes(), length)
    monkeypatch.setattr(requests, "get", lambda *_, **__: answer)
    official_lists = load("wsj0-2mix", "official_lists")
    archive = tmp_path / "archives" / "lists.zip"
    texts = official_lists.gather("", ["http://somewhere/lists.zip"], 2, archive)
    assert texts == {split: text.encode() for split, text in LISTS[2].items()}
    download = load("minilibri-2mix", "download")
    md5 = download.checksum(archive, "md5")
    download.fetch("http://somewhere/lists.zip", tmp_path / "again.zip", md5)
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()
