"""What is in the page of the report, without a browser."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from report_files import RATE, example, result_file
from separation.corpus.problems import Problems
from separation.report import media as media_module
from separation.report.listening import Listening, choose, find_examples, loudest
from separation.report.media import Media
from separation.report.page import STYLES, SystemPage, write_page
from separation.report.plots import spectrogram, subsets
from separation.report.rows import table_rows, with_published
from separation.report.tables import load_results
from separation.tree import ROOT


def text_of(results_dir, systems, tmp_path):
    write_page(load_results(results_dir), systems, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text()


def shades(picture):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("L")).astype(int)


def sine(hertz, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)


def test_players_hold_the_samples(results_dir, exp_root, tmp_path):
    folder = exp_root / "toy_small" / "eval_tt" / "examples" / "c"
    page = text_of(
        results_dir, [SystemPage("toy", "small", examples=[Listening("c", folder, 1.0)])], tmp_path
    )
    players = re.findall(r'src="data:audio/flac;base64,([^"]*)"', page)
    for player, name in zip(
        players, ("mix", "s1", "s2", "s1_estimate", "s2_estimate"), strict=True
    ):
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(player)), dtype="int16")
        assert rate == RATE
        expected = soundfile.read(folder / f"{name}.wav", dtype="int16")[0]
        np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize("same", [True, False])
def test_systems_share_a_mixture_only_if_it_is_the_same(same, results_dir, exp_root, tmp_path):
    folder = exp_root / "toy_small" / "eval_tt" / "examples" / "c"
    example(tmp_path / "other" / "c", 7)
    other = folder if same else tmp_path / "other" / "c"
    systems = [
        SystemPage("toy", "small", examples=[Listening("c", folder, 1.0, "FM", 1, 1)]),
        SystemPage("toy", "big", examples=[Listening("c", other, 2.0, "FM", 1, 1)]),
    ]
    page = text_of(results_dir, systems, tmp_path)
    assert page.count("<audio ") == (3 + 2 * 2 if same else 5)
    assert page.count("small, source 1</label>") == same
    # The best system comes first.
    assert page.count("big, source 1</label>") == 1


def kept(scores, leader, subsets="FM FF FM MM FM FF"):
    """Groups of a leader that kept mixtures a, b, c, ... with these scores."""
    order = sorted(scores, reverse=True)
    return {
        (name, b""): [(leader, Listening(name, None, s, subset, 1 + order.index(s), 100))]
        for name, s, subset in zip("abcdef", scores, subsets.split(), strict=False)
    }


def test_best_median_worst_and_every_gender_pair_are_chosen_once():
    groups = kept([3.0, 9.0, 5.0, 1.0, 7.0], "small")
    chosen = {members[0][1].mixture_id: why for why, members in choose(groups)}
    assert chosen == {
        "b": "best of 5 kept (rank 1 of 100, small); FF",
        "c": "median of 5 kept (rank 3 of 100, small)",
        "d": "worst of 5 kept (rank 5 of 100, small); MM",
        "a": "FM",
    }


def test_the_ranks_are_of_the_system_whose_mixtures_most_others_kept():
    groups = kept([3.0, 9.0], "alone")
    for name in "xyz":
        groups[(name, b"")] = [
            (system, Listening(name, None, score, "", ord(name) - ord("w"), 3))
            for system, score in (("one", 2.0), ("two", 1.0))
        ]
    chosen = choose(groups)
    assert [members[0][1].mixture_id for _, members in chosen] == ["x", "y", "z"]
    assert "one" in chosen[0][0]
    assert [system for system, _ in chosen[0][1]] == ["one", "two"]
    assert choose({}) == []


def test_ranks_count_all_mixtures_and_those_without_a_score_have_none(exp_root):
    table = pd.DataFrame({"mixture_ID": ["c", "x", "a&b"], "si_sdri": [2.0, 5.0, np.nan]})
    folder = exp_root / "toy_small" / "eval_tt"
    found = find_examples(folder, table.assign(gender_1="M", gender_2="F"), Problems())
    assert [(one.mixture_id, one.rank, one.ranked, one.subset) for one in found] == [
        ("c", 2, 2, "FM"),
        ("a&b", 0, 2, "FM"),
    ]


def test_spectrogram_shows_the_tone_where_it_is():
    rows = shades(spectrogram(sine(1000), RATE, 0.0)).sum(axis=1)
    # 0 Hz is the lowest row, 4000 Hz the highest.
    assert rows.argmax() / rows.size == pytest.approx(0.75, abs=0.03)


def test_pictures_that_share_limits_show_which_sound_is_louder():
    top = loudest([sine(1000, 0.5), sine(1000, 0.05)], RATE)
    assert top == -5.0  # a sine of half of full scale has -6 dB, and limits are multiples of 5
    palette = {}
    for amplitude in (0.5, 0.05):
        image = Image.open(io.BytesIO(spectrogram(sine(1000, amplitude), RATE, top)))
        palette[amplitude] = np.asarray(image)[:, 50:-50].max()
    # 20 dB of the 70 that 63 steps show.
    assert palette[0.5] == pytest.approx(63 * (1 - 1 / 70), abs=1)
    assert palette[0.5] - palette[0.05] == pytest.approx(63 * 20 / 70, abs=1)


def test_spectrogram_of_silence_and_of_a_moment():
    for samples in (np.zeros(RATE), np.array([0.5])):
        assert spectrogram(samples, RATE, -10.0).startswith(b"\x89PNG")
    assert shades(spectrogram(np.zeros(RATE), RATE, loudest([np.zeros(RATE)], RATE))).max() < 10


def test_large_media_lie_beside_the_page_and_old_ones_go(
    results_dir, exp_root, tmp_path, monkeypatch
):
    folder = exp_root / "toy_small" / "eval_tt" / "examples" / "c"
    systems = [SystemPage("toy", "small", examples=[Listening("c", folder, 1.0)])]
    monkeypatch.setattr(media_module, "MOST_INLINE", 1000)
    beside = tmp_path / "page_media"
    beside.mkdir()
    (beside / f"{'0' * 20}.flac").write_bytes(b"of an earlier page")
    (beside / "notes.txt").write_text("not ours")
    page = text_of(results_dir, systems, tmp_path)
    sources = set(re.findall(r'src="([^"]*)"', page))
    assert len(sources) == 10
    assert {f"page_media/{path.name}" for path in beside.iterdir()} == sources | {
        "page_media/notes.txt"
    }
    monkeypatch.undo()
    text_of(results_dir, systems, tmp_path)
    assert [path.name for path in beside.iterdir()] == ["notes.txt"]


def test_the_same_sound_is_kept_once(tmp_path):
    media = Media(tmp_path / "page.html")
    assert media.add(b"sound", ".flac") == media.add(b"sound", ".flac")
    assert media.source(media.add(b"sound", ".flac")) == "data:audio/flac;base64,c291bmQ="


def test_every_row_of_the_results_and_the_published_ones_are_in_the_table(results_dir):
    ends = {"si_sdri_low": 12.05, "si_sdri_high": 14.25}
    result_file(results_dir / "o.csv", "toy", "oracle_ibm", {("tt", "all"): 13.2}, **ends)
    headings, rows = table_rows(with_published(load_results(results_dir)))
    assert headings[:2] == ["SI-SDRi, dB", "95 %"]
    kinds = [row.kind for row in rows]
    assert (kinds.count("trained"), kinds.count("oracle"), kinds.count("published")) == (8, 1, 5)
    oracle = next(row for row in rows if row.kind == "oracle")
    assert [cell.text for cell in oracle.cells[:2]] == ["13.20", "12.05 to 14.25"]
    # The bar: from 0 at 4 to the largest value, 15.3 of a paper, at 116.
    assert oracle.bar.zero == 4
    for place, value in (
        (oracle.bar.mean, 13.2),
        (oracle.bar.low, 12.05),
        (oracle.bar.high, 14.25),
    ):
        assert place == pytest.approx(4 + 112 * value / 15.3, abs=0.06)
    small = next(row for row in rows if (row.system, row.subset) == ("small", "FF"))
    assert (small.bar.low, small.cells[1].value) == (None, "")
    assert small.cells[headings.index("parameters, M")].text == "1.70"
    assert small.cells[headings.index("GMAC/s")].value == "1.25"


def test_published_figures_are_marked_in_the_page(results_dir, tmp_path):
    page = text_of(results_dir, [], tmp_path)
    rows = re.findall(r'<tr class="published".*?</tr>', page, re.DOTALL)
    assert len(rows) == 5
    for row in rows:
        assert "published, not measured here" in row
        assert "Luo and Mesgarani" in row
    assert sum(">15.30<" in row for row in rows) == 1
    assert "13.40" in next(row for row in rows if "Wiener-like" in row)


def test_names_are_escaped_everywhere(results_dir, exp_root, tmp_path):
    evil = "</script><img src=x onerror=alert(1)>\"'&"
    result_file(results_dir / "odd.csv", evil, evil, {("tt", evil): 1, ("tt", "all"): 2})
    folder = exp_root / "toy_small" / "eval_tt" / "examples" / "c"
    scores = pd.DataFrame({"si_sdri": [1.0, 2.0], "input_si_sdr": [0.0, 0.5]})
    epochs = pd.DataFrame({"epoch": [0, 1], "loss": [1.0, 2], "val_loss": [1.0, 2], "lr": 1.0})
    system = SystemPage(
        evil, evil, scores, epochs, evil, [Listening(evil, folder, 1.0, "", 1, 1)], [(evil, b"x")]
    )
    page = text_of(results_dir, [system], tmp_path)
    assert "<img src=x" not in page
    assert page.count("</script>") == 1
    assert page.count("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;") > 15


def test_mixtures_whose_genders_are_unknown_are_called_so():
    table = pd.DataFrame({"gender_1": ["F", "", "M"], "gender_2": ["M", "F", "M"]})
    assert subsets(table) == ["FM", "gender not known", "MM"]
    assert subsets(table[1:2]) == ["all"]
    assert subsets(pd.DataFrame({"si_sdri": [1.0, 2.0]})) == ["all", "all"]


def test_every_row_names_its_corpus_beside_its_system(results_dir, tmp_path):
    result_file(results_dir / "m.csv", "other", "pretrained/a<b", {("tt", "all"): 1.0})
    page = text_of(results_dir, [], tmp_path)
    assert 'pretrained/<wbr>a&lt;b<span class="source">on other</span></th>' in page
    assert page.count('<span class="source">on toy</span>') == 6


def test_the_page_of_many_mixtures_is_small(results_dir, tmp_path):
    rng = np.random.default_rng(0)
    systems = []
    for number in range(10):
        inputs, gains = rng.normal(0, 2.5, 3000), rng.normal(10, 3, 3000)
        genders = rng.choice(["F", "M"], (2, 3000))
        scores = {"input_si_sdr": inputs, "si_sdri": gains}
        scores |= {"gender_1": genders[0], "gender_2": genders[1]}
        systems.append(SystemPage("toy", f"system{number}", pd.DataFrame(scores)))
    page = text_of(results_dir, systems, tmp_path)
    assert len(page) < 1_000_000
    dots = re.findall(r'class="dots c\d" d="(M[^"]+)"', page)
    assert sum(path.count("h0") for path in dots) >= 30000


WEB = ROOT / "local" / "web"


@pytest.mark.parametrize("paths", [STYLES, (WEB / "colours.css", WEB / "style.css")])
def test_every_colour_of_a_page_is_defined_in_both_themes(paths):
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", text))
    defined = re.findall(r"(--[a-z0-9-]+):", text)
    assert {"--page", "--text", "--accent"} <= used
    assert used - {"--c"} <= set(defined)  # --c: one of the colours of curves
    assert {name for name in used - {"--c"} if defined.count(name) != 2} == set()


def test_the_page_has_all_its_styles(results_dir, tmp_path):
    page = text_of(results_dir, [], tmp_path)
    assert all(path.read_text(encoding="utf-8") in page for path in STYLES)
