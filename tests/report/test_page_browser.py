"""The page of the report in a real browser, opened from disk."""

import csv

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.stats import binomtest

from browser import Browser, need_chromium
from report_files import RATE, result_file
from separation.report import media
from separation.report.listening import Listening
from separation.report.page import SystemPage, write_page
from separation.report.tables import load_results

SECONDS = 4
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}


def mixture(folder, loudness):
    """Write an example of noise; the estimates are as loud as asked."""
    rng = np.random.default_rng(len(folder.name))
    folder.mkdir(parents=True)
    for name in ("s1", "s2", "mix", "s1_estimate", "s2_estimate"):
        gain = loudness if name.endswith("estimate") else 0.1
        soundfile.write(
            folder / f"{name}.wav", gain * rng.uniform(-1, 1, SECONDS * RATE), RATE, "PCM_16"
        )
    return folder


@pytest.fixture
def page(results_dir, tmp_path):
    """The page's file: two systems that kept two mixtures each."""
    ends = {"si_sdri_low": 12.05, "si_sdri_high": 14.25}
    result_file(results_dir / "o.csv", "toy", "oracle_ibm", {("tt", "all"): 13.2}, **ends)
    systems = []
    for tag, loudness in (("small", 0.05), ("oracle_ibm", 0.5)):
        examples = [
            Listening(name, mixture(tmp_path / tag / name, loudness), score, subset, rank, 2)
            for rank, (name, score, subset) in enumerate((("a", 9.0, "FF"), ("bb", 5.0, "FM")), 1)
        ]
        scores = pd.DataFrame({"si_sdri": [9.0, 5.0], "input_si_sdr": [0.0, 1.0]})
        systems.append(SystemPage("toy", tag, scores, examples=examples))
    write_page(load_results(results_dir), systems, tmp_path / "page.html")
    return tmp_path / "page.html"


@pytest.fixture
def browser(page, tmp_path):
    need_chromium()
    (tmp_path / "downloads").mkdir()
    opened = Browser(tmp_path / "downloads")
    try:
        opened.open(page.as_uri(), ready=False)
        yield opened
        assert not opened.errors()
    finally:
        opened.close()


def column(browser, number):
    """Texts of a column of the rows that are seen."""
    return browser.run(f"""
        return [...find("table").tBodies[0].rows].filter((row) => !row.hidden)
            .map((row) => row.cells[{number}].innerText.trim());
    """)


def heading(browser, number):
    return browser.driver.find_elements("css selector", "#table thead th")[number]


def test_the_table_is_sorted_by_its_headings(browser):
    assert column(browser, 1)[:3] == ["13.20", "11.00", "6.51"]
    score = heading(browser, 1)
    for expected in ("descending", "ascending"):
        score.find_element("css selector", "button").send_keys("\n")  # by the keyboard
        assert score.get_attribute("aria-sort") == expected
        numbers = [float(text) for text in column(browser, 1)]
        assert numbers == sorted(numbers, reverse=expected == "descending")
        assert len(numbers) == 9
    for _ in range(2):  # rows without an interval come last both ways
        heading(browser, 2).find_element("css selector", "button").click()
        assert column(browser, 2)[0] == "12.05 to 14.25"
    assert score.get_attribute("aria-sort") is None
    heading(browser, 0).find_element("css selector", "button").click()
    names = [text.split("\n")[0].lower() for text in column(browser, 0)]
    assert names == sorted(names) and names[0] == "big"


def test_the_table_is_filtered(browser):
    assert browser.text("count") == "9 of 14 rows"  # all of tt
    browser.find("search").send_keys("SMALL trio")
    assert browser.text("count") == "1 of 14 rows"
    browser.find("search").clear()
    browser.find("search").send_keys("small")
    browser.run('find("subset").value = ""; filter();')
    assert browser.text("count") == "5 of 14 rows"
    browser.run('find("search").value = ""; find("kind").value = "published"; filter();')
    assert browser.text("count") == "5 of 14 rows"
    assert all("published, not measured here" in text for text in column(browser, 0))


def state(browser):
    """Which sounds of the shown mixture play, the one that is heard, and where."""
    return browser.run("""
        const { player } = shown;
        return { playing: player.sounds.flatMap((sound, k) => sound.paused ? [] : [k]),
                 heard: player.heard, position: player.position };
    """)


def test_sounds_play_and_another_one_goes_on_at_the_same_place(browser):
    article = "article:not([hidden])"
    browser.find(f"{article} .play").click()
    browser.wait(lambda: state(browser)["position"] > 0.3)
    cursor = browser.run("return shown.tracks[0].cursor.style.left")
    assert 100 * 0.3 / SECONDS < float(cursor.rstrip("%")) < 100
    before, place, after = browser.run("""
        const before = shown.player.position;
        shown.tracks[4].radio.click();
        const place = shown.player.sounds[4].currentTime;
        await new Promise((done) => setTimeout(done, 300));
        return [before, place, shown.player.position];
    """)
    assert place == pytest.approx(before, abs=0.02)
    assert before < after < before + 2
    assert state(browser)["playing"] == [4]
    browser.wait(lambda: browser.text(f"{article} .play") == "Play")  # at the end
    assert state(browser)["position"] == 0


def test_by_the_keyboard_and_into_the_picture(browser):
    radio = browser.driver.find_elements("css selector", "article:not([hidden]) [type=radio]")[0]
    radio.send_keys("\ue015")  # arrow down: the next sound
    assert state(browser)["heard"] == 1
    browser.run("document.activeElement.blur(); return 0")
    browser.find("html body").send_keys(" ")
    browser.wait(lambda: state(browser)["playing"] == [1])
    browser.find("html body").send_keys(" ")
    assert state(browser)["playing"] == []
    seen = "article:not([hidden]) .track:last-child .picture"
    browser.driver.execute_script("document.querySelector(arguments[0]).scrollIntoView()", seen)
    browser.driver.find_elements("css selector", seen)[-1].click()  # its middle
    found = state(browser)
    assert found["heard"] == 6
    assert found["position"] == pytest.approx(SECONDS / 2, abs=0.1)


def test_another_mixture_ends_the_one_before(browser):
    browser.find("article:not([hidden]) .play").click()
    browser.wait(lambda: state(browser)["playing"] == [0])
    browser.run('find("mixture").value = 1; find("mixture").onchange();')
    assert browser.run("return mixtures.map(({ article }) => article.hidden)") == [True, False]
    assert browser.run("return mixtures[0].tracks.every(({ audio }) => audio.paused)")


def blind(browser, test, right):
    """Take a test; ``right`` says of each answer whether it is right, or for the second system."""
    browser.run(f"""
        find("kind-of-test").value = "{test}";
        find("first").value = "small";
        find("second").value = "oracle_ibm";
        find("answers").value = {len(right)};
        find("begin").click();
    """)
    for answer in right:
        letter = browser.run(f"""
            const wanted = {str(answer).lower()};
            const right = trial.x || (trial.swapped ? "A" : "B"); // oracle_ibm for AB
            return wanted ? right : right === "A" ? "B" : "A";
        """)
        browser.find(f"#trial [data-answer={letter}]").click()
    return [cell.text for cell in browser.driver.find_elements("css selector", "#verdicts td")]


def test_a_blind_test_is_kept_and_exported_with_its_p_value(browser):
    right = [True] * 7 + [False]
    cells = blind(browser, "ABX", right)
    p = binomtest(7, 8, alternative="greater").pvalue
    assert cells == ["ABX", "small", "oracle_ibm", "8", "7", f"{p:.4f}"]
    cells = blind(browser, "AB", [False, True, False, False, False])
    p = binomtest(1, 5).pvalue
    assert cells[6:] == ["AB", "small", "oracle_ibm", "5", "1", f"{p:.4f}"]
    browser.driver.refresh()  # they are in the browser's storage
    assert len(browser.driver.find_elements("css selector", "#verdicts tbody tr")) == 2
    browser.find("export").click()
    path = browser.downloads / "blind_test.csv"
    browser.wait(path.is_file)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["right"] for row in rows[:8]] == ["1"] * 7 + ["0"]
    for row in rows[:8]:
        assert (row["answer"] == row["x"]) == (row["right"] == "1")
    for row in rows[8:]:
        preferred = (
            row["a"] if row["answer"] == "A" else ({"small", "oracle_ibm"} - {row["a"]}).pop()
        )
        assert (preferred == "oracle_ibm") == (row["right"] == "1")
    assert {row["mixture"] for row in rows} <= {"a", "bb"}
    browser.find("forget").click()
    browser.driver.switch_to.alert.accept()
    assert browser.run('return localStorage.getItem("separation-blind-test")') == "[]"


def test_blind_sounds_are_equally_loud_and_x_is_one_of_them(browser):
    browser.run("""
        find("kind-of-test").value = "ABX";
        find("first").value = "small";
        find("second").value = "oracle_ibm";
        find("begin").click();
    """)
    volumes, same, labels = browser.run("""
        const { sounds } = trial.player;
        const number = trial.x === "A" ? 0 : 1;
        return [sounds.map(({ volume }) => volume), sounds[2].src === sounds[number].src,
                find("trial").innerText];
    """)
    assert sorted(volumes)[-1] == 1
    assert min(volumes) == pytest.approx(0.1, rel=0.05)  # amplitudes of 0.05 and 0.5
    assert same
    assert "small" not in labels and "oracle" not in labels
    browser.find("html body").send_keys("b")
    browser.wait(lambda: browser.run("return trial.player.sounds[1].currentTime") > 0.1)
    pressed = browser.driver.find_elements("css selector", ".hear[aria-pressed=true]")
    assert [button.text for button in pressed] == ["B"]
    browser.find("end").click()
    assert browser.find("setup").is_displayed()


def test_p_values_are_those_of_scipy(browser):
    for n, right in ((1, 1), (16, 12), (200, 120), (10, 0)):
        found = browser.run(f"return [guessed({right}, {n}), preferred({right}, {n})]")
        expected = [binomtest(right, n, alternative=a).pvalue for a in ("greater", "two-sided")]
        assert found == pytest.approx(expected, rel=1e-9)


def test_it_fits_a_phone_and_all_controls_have_names(browser):
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    assert browser.run("return document.documentElement.scrollWidth") == 360
    nameless = browser.run("""
        const all = "button, input, select, img, [role=img], [role=region]";
        return [...document.querySelectorAll(all)]
            .filter((one) => one.checkVisibility() && !one.ariaLabel && !one.alt &&
                !one.textContent.trim() && !one.labels?.length)
            .map((one) => one.outerHTML);
    """)
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_the_contrast_of_level_aa(scheme, browser):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    low = browser.run("""
        const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const luminance = (colour) => {
          const [r, g, b] = numbers(colour).map((v) =>
            v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const backOf = (one) => {
          for (; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if ((numbers(colour)[3] ?? 1) > 0) return colour;
          }
        };
        const found = [];
        for (const one of document.querySelectorAll("main *")) {
          const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
          if (!own || !one.checkVisibility()) continue;
          const style = getComputedStyle(one);
          const colour = one.closest("svg") ? style.fill : style.color;
          const two = [luminance(colour), luminance(backOf(one))].sort((a, b) => b - a);
          const ratio = (two[0] + 0.05) / (two[1] + 0.05);
          if (ratio < 4.5) found.push([one.outerHTML.slice(0, 80), ratio]);
        }
        return found;
    """)
    assert low == []


def test_it_plays_sounds_that_lie_beside_it(page, results_dir, tmp_path, monkeypatch):
    need_chromium()
    monkeypatch.setattr(media, "MOST_INLINE", 0)
    folder = tmp_path / "small" / "a"
    systems = [SystemPage("toy", "small", examples=[Listening("a", folder, 9.0, "", 1, 1)])]
    write_page(load_results(results_dir), systems, page)
    opened = Browser(tmp_path)
    try:
        opened.open(page.as_uri(), ready=False)
        assert opened.run('return shown.tracks[0].audio.src.startsWith("file:")')
        opened.find("article:not([hidden]) .play").click()
        opened.wait(lambda: state(opened)["position"] > 0.2)
        assert not opened.errors()
    finally:
        opened.close()
