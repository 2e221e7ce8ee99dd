"""Mixing lists: format, determinism, who is mixed with whom."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from separation.corpus.drawing import make_lists, split_speakers
from separation.corpus.lists import (
    ListLine,
    Utterance,
    list_path,
    parse_line,
    read_list,
    read_sources,
    read_split,
    write_lists,
)
from separation.corpus.problems import Problems
from separation.errors import RecipeError


def utterances(n_speakers=6, takes=4):
    return [
        Utterance(f"{split}{s}/{split}{s}-{t}.wav", f"{split}{s}", "FM"[s % 2], split)
        for split in ("tr", "cv", "tt")
        for s in range(n_speakers)
        for t in range(takes)
    ]


def test_official_line_is_read():
    line = parse_line(
        "wsj0/si_tr_s/40n/40na010x.wav 1.9857 wsj0/si_tr_s/01x/01xo031a.wav -1.9857 ", "l"
    )
    assert line.paths == ("wsj0/si_tr_s/40n/40na010x.wav", "wsj0/si_tr_s/01x/01xo031a.wav")
    assert line.gains == (1.9857, -1.9857)
    assert line.mixture_id == "40na010x_1.9857_01xo031a_-1.9857"


def test_scientific_gain_stays_in_the_name():
    assert parse_line("a/x.wav 5.2094e-07 b/y.wav -5.2094e-07", "l").mixture_id == (
        "x_5.2094e-07_y_-5.2094e-07"
    )


def test_nothing_has_no_sign():
    assert parse_line("a/x.wav -0 b/y.wav 0.0", "l").mixture_id == "x_0_y_0"


def test_gains_of_ten_and_more_keep_four_decimals():
    """As MATLAB's num2str(12.345678), num2str(-99.99999) and num2str(9.87654321)."""
    line = parse_line("a/x.b.wav 12.345678 y -99.99999 z.wav 9.87654321", "l")
    assert line.mixture_id == "x.b_12.3457_y_-100_z_9.8765"


names = st.text("abcxyz0123456789", min_size=1, max_size=8)
gains = st.floats(-2.5, 2.5).map(lambda g: float(f"{g:.5g}"))


@given(st.lists(st.tuples(names, gains), min_size=2, max_size=3, unique_by=lambda pair: pair[0]))
def test_a_line_written_is_read_back(pairs):
    line = ListLine(tuple(f"s/{n}.wav" for n, _ in pairs), tuple(g for _, g in pairs))
    assert parse_line(str(line), "l") == line


words = st.one_of(
    st.text(min_size=1, max_size=6),
    st.floats().map(str),
    st.sampled_from(["a/x.wav", "b/y.wav", "1.5", "-1.5e-07", "nan", "-inf", "0", "1e999"]),
)


@given(st.lists(words, max_size=7).map(" ".join))
def test_any_line_is_read_or_refused(text):
    try:
        line = parse_line(text, "here:7")
    except RecipeError as error:
        assert str(error).startswith("here:7: ")
        return
    found = text.split()
    assert line.paths == tuple(found[0::2])
    assert line.gains == tuple(map(float, found[1::2]))
    assert len(line.paths) == len(set(line.paths)) == len(line.gains) >= 1
    assert all(abs(gain) <= 100 for gain in line.gains)
    assert line.where == "here:7"


@given(st.lists(gains, min_size=2, max_size=3))
def test_a_gain_in_the_name_has_five_digits_at_most(values):
    line = ListLine(tuple(f"s/{n}x.wav" for n in range(len(values))), tuple(values))
    for number, value in enumerate(line.mixture_id.split("_")[1::2]):
        assert float(value) == pytest.approx(values[number], rel=5e-5)
        assert len(value.split("e")[0].lstrip("-0.").replace(".", "")) <= 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.wav", "1 columns"),
        ("a.wav 1 b.wav", "3 columns"),
        ("a.wav 1 b.wav loud", "not a number"),
        ("a.wav nan b.wav 1", "not finite"),
        ("a.wav inf b.wav 1", "not finite"),
        ("a.wav 101 b.wav 1", "beyond 100 dB"),
        ("a.wav 1 a.wav -1", "a.wav is mixed with itself"),
        ("/a.wav 1 b.wav -1", "/a.wav leads out of the sources"),
        ("s/../a.wav 1 b.wav -1", "s/../a.wav leads out of the sources"),
        ("a.wav 1 b.wav -1 c.wav 0", "3 sources, but n_src is 2"),
        ("", "0 columns"),
    ],
)
def test_bad_line_is_named(tmp_path, text, says):
    path = tmp_path / "mix_2_spk_tr.txt"
    path.write_text(f"x.wav 1 y.wav -1\n{text}\n")
    with pytest.raises(RecipeError, match=says) as error:
        read_list(path, 2)
    assert f"{path}:2" in str(error.value)


def test_one_id_twice_is_named(tmp_path):
    path = tmp_path / "l.txt"
    path.write_text("x.wav 1 y.wav -1\nz.wav 1 y.wav -1\nd/x.wav 1 d/y.wav -1\n")
    with pytest.raises(RecipeError, match=r":3: mixture x_1_y_-1 is in line 1"):
        read_list(path, 2)


@pytest.mark.parametrize("n_src", [2, 3])
def test_lists_are_deterministic_and_never_pair_a_speaker_with_itself(n_src):
    n_mixtures = {"tr": 40, "cv": 5, "tt": 7}
    lists = make_lists(utterances(), n_src, n_mixtures, seed=3)
    assert lists == make_lists(utterances(), n_src, n_mixtures, seed=3)
    assert lists != make_lists(utterances(), n_src, n_mixtures, seed=4)
    for split, lines in lists.items():
        assert len(lines) == len(set(lines)) == n_mixtures[split]
        for line in (parse_line(text, "l") for text in lines):
            speakers = [path.split("/")[0] for path in line.paths]
            assert len(set(speakers)) == n_src
            assert all(speaker.startswith(split) for speaker in speakers)
            assert line.gains[0] == -line.gains[1]
            assert 0 <= line.gains[0] <= 2.5


def test_genders_are_a_quarter_a_half_a_quarter():
    lists = make_lists(utterances(10, 20), 2, {"tr": 2000, "cv": 1, "tt": 1}, seed=0)
    kinds = Counter()
    for text in lists["tr"]:
        speakers = [path.split("/")[0] for path in parse_line(text, "l").paths]
        kinds["".join(sorted("FM"[int(s[2:]) % 2] for s in speakers))] += 1
    for kind, share in {"FF": 0.25, "FM": 0.5, "MM": 0.25}.items():
        assert math.isclose(kinds[kind] / 2000, share, abs_tol=0.05)


def test_too_few_speakers_is_an_error():
    with pytest.raises(RecipeError, match="tr: 2 speakers, but a mixture needs 3"):
        make_lists(utterances(2), 3, {"tr": 1, "cv": 0, "tt": 0}, seed=0)


def test_too_few_different_mixtures_is_an_error():
    fixed = [Utterance("a.wav", "a", "F", "tr")]
    with pytest.raises(RecipeError, match="1 speakers"):
        make_lists(fixed, 2, {"tr": 5, "cv": 0, "tt": 0}, seed=0)


def test_split_keeps_voices_apart_and_balances_genders():
    speakers = {f"w{i}": "F" for i in range(14)} | {f"m{i}": "M" for i in range(10)}
    splits = split_speakers(speakers, {"cv": 0.12, "tt": 0.15}, seed=0)
    assert set(splits) == set(speakers)
    counts = Counter((splits[s], speakers[s]) for s in speakers)
    assert counts[("tt", "F")] == counts[("tt", "M")] == 2
    assert counts[("cv", "F")] == counts[("cv", "M")] == 2
    assert splits == split_speakers(dict(reversed(speakers.items())), {"cv": 0.12, "tt": 0.15}, 0)


def test_files_come_back(tmp_path):
    all_utterances = utterances(4)
    lists = make_lists(all_utterances, 2, {"tr": 6, "cv": 2, "tt": 2}, seed=0)
    write_lists(tmp_path, all_utterances, lists)
    assert read_sources(tmp_path) == all_utterances
    assert [str(line) for line in read_list(list_path(tmp_path, 2, "tr"), 2)] == lists["tr"]


def make_list(data_dir, lines):
    write_lists(data_dir, utterances(3), {})
    path = list_path(data_dir, 2, "tr")
    path.parent.mkdir()
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


GOOD = "tr0/tr0-0.wav 1 tr1/tr1-0.wav -1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tr0/tr0-1.wav 1 tr0/tr0-2.wav -1", "speaker tr0 is mixed with itself in tr0/tr0-1.wav"),
        ("tr0/tr0-1.wav 1 tr1/none.wav -1", "tr1/none.wav has no row in .*sources.csv"),
    ],
)
def test_lines_that_sources_csv_forbids_are_named(tmp_path, text, says):
    path = make_list(tmp_path, [GOOD, text])
    with pytest.raises(RecipeError, match=f"^{path}:2: {says}"):
        read_split(tmp_path, (2,), "tr")


def test_keep_going_gives_the_good_lines_and_tells_the_others(tmp_path, capsys):
    bad = ["tr0/tr0-1.wav 1", "tr0/tr0-1.wav 1 tr0/tr0-2.wav -1", GOOD, ""]
    other = "tr2/tr2-0.wav 0 tr1/tr1-3.wav 0"
    path = make_list(tmp_path, [GOOD, *bad, other])
    problems = Problems(keep_going=True)
    lines = read_split(tmp_path, (2,), "tr", problems)
    assert [str(line) for line in lines] == [GOOD, other]
    assert [line.where for line in lines] == [f"{path}:1", f"{path}:6"]
    told = capsys.readouterr().err.splitlines()
    assert sorted(text.split(" ")[0] for text in told) == [f"{path}:{n}:" for n in range(2, 6)]
    with pytest.raises(RecipeError, match="4 problems"):
        problems.finish("corpus")


def test_unknown_speakers_may_be_mixed(tmp_path):
    write_lists(tmp_path, [Utterance(f"{n}.wav", "", "", "tr") for n in "ab"], {})
    list_path(tmp_path, 2, "tr").parent.mkdir()
    list_path(tmp_path, 2, "tr").write_text("a.wav 1 b.wav -1\r\n")
    assert len(read_split(tmp_path, (2,), "tr")) == 1


def test_a_list_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "l.txt"
    path.write_bytes(b"RIFF\xff\xfe\x00\x80")
    with pytest.raises(RecipeError, match=f"{path}: not a text file"):
        read_list(path, 2)
    path.write_text("")
    with pytest.raises(RecipeError, match="no mixture in it"):
        read_list(path, 2)
