"""Bad texts, rows and names of a corpus: one line names them, exit status 1."""

import os

import numpy as np
import pandas as pd
import pytest
import soundfile

import mix
from separation.corpus.lists import read_sources
from small_corpora import Corpus, assert_one_line, contents, load
from spoiling import dangling, folder, loop, pipe
from tiny_corpus import make_sources
from wsj0_tree import LISTS

# --- bad input is one line


def latin_1(path):
    path.write_bytes(path.read_bytes() + "Müller".encode("latin-1"))


def utf_16(path):
    path.write_bytes(path.read_text().encode("utf-16"))


def utf_16_without_mark(path):
    path.write_bytes(path.read_text().encode("utf-16-le"))


def nul(path):
    path.write_bytes(path.read_bytes() + b"\0\0")


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
    microphone = load("wsj0-2mix", "microphone")
    path = tmp_path / "known_levels.csv"
    path.write_bytes(text.encode("latin-1"))
    if text == "utterance\n":
        assert microphone.read_known(path) == {}
        return
    with pytest.raises(microphone.RecipeError, match="known_levels.csv: not ") as error:
        microphone.read_known(path)
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
