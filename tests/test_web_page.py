"""The page in a real browser: it gives what Python gives, from files and from the microphone."""

import numpy as np
import pytest
import soundfile

from browser import Browser, need_browser, serving
from separation.inference.onnx import export_streaming, load_onnx
from separation.inference.streaming import Streamer
from small_networks import small_network

TOLERANCE = 1e-3  # of the peak


def noise(length, seed=0):
    """Bursts of noise, so that levels have something to follow."""
    rng = np.random.default_rng(seed)
    bursts = np.repeat(rng.uniform(0.05, 1, length // 800 + 1), 800)[:length]
    return (0.3 * bursts * rng.uniform(-1, 1, length)).astype(np.float32)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """A network whose masks wait for three frames."""
    need_browser()
    path = tmp_path_factory.mktemp("stream") / "toys.onnx"
    facts = {"licence": "CC0", "trained_on": "toys"}
    export_streaming(small_network("causal", "net_conf.lookahead=3"), path, facts)
    return path


@pytest.fixture(scope="module")
def served(stream):
    with serving(stream) as (_, address):
        yield address


@pytest.fixture
def browser(tmp_path):
    need_browser()
    soundfile.write(tmp_path / "heard.wav", noise(4 * 48000, seed=1), 48000, "PCM_16")
    (tmp_path / "downloads").mkdir()
    opened = Browser(tmp_path / "downloads", tmp_path / "heard.wav")
    try:
        yield opened
        assert not opened.errors()
    finally:
        opened.close()


@pytest.fixture
def page(browser, served):
    browser.open(served)
    return browser


def separated(stream, mixture):
    streamer = Streamer(load_onnx(stream))
    return np.concatenate([streamer.feed(mixture), streamer.flush()], -1)[0]


def assert_separated(tracks, stream):
    """Whether saved tracks are the mixture and what Python makes of it."""
    (mixture, _), *sources = tracks
    expected = separated(stream, mixture)
    for (source, rate), wanted in zip(sources, expected, strict=True):
        assert rate == 8000
        assert source.shape == wanted.shape
        assert np.abs(source - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("length", [19, 10413, 24000])
def test_a_file_is_separated_as_in_python(length, page, stream, tmp_path):
    mixture = noise(length)
    soundfile.write(tmp_path / "talk.wav", mixture, 8000, "FLOAT")
    page.choose(tmp_path / "talk.wav")
    page.wait_for("status", "talk is separated")
    tracks = page.saved("talk")
    np.testing.assert_allclose(tracks[0][0], mixture, atol=1e-6)
    assert_separated(tracks, stream)


def test_the_page_says_what_network_it_has_and_fits_a_narrow_screen(page):
    assert page.text("network") == (
        "toys: 2 speakers, 8 kHz, 12.5 ms of latency, trained on toys, licence of the weights: CC0"
    )
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.run("return document.documentElement.scrollWidth") == 390


def test_the_microphone_streams_until_it_is_stopped(page, stream):
    page.find("microphone").click()
    page.wait_for("status", "The microphone is on")
    page.wait(lambda: float(page.text("progress").partition(" s")[0] or 0) > 1)
    assert float(page.find("level").get_attribute("aria-valuenow")) > -50
    page.find("microphone").click()
    page.wait_for("status", "is separated")
    name = page.text("status").partition(" is separated")[0]
    tracks = page.saved(name)
    assert np.sqrt(np.mean(tracks[0][0] ** 2)) > 0.01
    assert_separated(tracks, stream)


def test_another_file_takes_the_place_of_one_that_is_still_separated(page, stream, tmp_path):
    soundfile.write(tmp_path / "long.wav", noise(8000 * 300), 8000, "PCM_16")
    soundfile.write(tmp_path / "talk.wav", noise(9000), 8000, "PCM_16")
    page.choose(tmp_path / "long.wav")
    page.wait(lambda: page.text("progress"))
    page.choose(tmp_path / "talk.wav")
    page.wait_for("status", "talk is separated")
    assert_separated(page.saved("talk"), stream)


def test_stereo_of_another_rate_is_resampled_and_said(page, tmp_path):
    soundfile.write(tmp_path / "talk.flac", noise(2 * 44100).reshape(-1, 2), 44100)
    page.choose(tmp_path / "talk.flac")
    page.wait_for("status", "talk is separated")
    assert page.text("problem") == "talk.flac: 2 channels; the first one is taken."
    assert {len(samples) for samples, _ in page.saved("talk")} == {8000}


def test_keys_choose_and_play(page, tmp_path):
    soundfile.write(tmp_path / "talk.wav", noise(32000), 8000, "PCM_16")
    page.choose(tmp_path / "talk.wav")
    page.wait_for("status", "talk is separated")
    body = page.find("html body")
    for key in "120":
        body.send_keys(key)
        chosen = page.find("figure.chosen .number").text
        assert chosen == key
    body.send_keys(" ")
    page.wait(lambda: page.text("play") == "Pause" and float(page.text("position").split()[0]) > 0)
    body.send_keys("2")
    page.wait(lambda: page.text("play") == "Play")  # at the end
    assert page.text("position") == "0.0 of 4.0 s"


def test_what_is_no_recording_is_named(page, tmp_path):
    (tmp_path / "notes.wav").write_text("no sound")
    page.choose(tmp_path / "notes.wav")
    page.wait_for("problem", "notes.wav: no recording that this browser can read.")


def test_without_permission_there_is_no_microphone(page):
    page.run("""
        navigator.mediaDevices.getUserMedia = async () => {
          throw new DOMException("Permission denied", "NotAllowedError");
        };
    """)
    page.find("microphone").click()
    page.wait_for("problem", "This page may not use the microphone")
    assert page.find("microphone").is_enabled()


def test_an_address_without_https_has_recordings_and_no_microphone(browser, served, tmp_path):
    browser.open(served.replace("127.0.0.1", "elsewhere.test"))
    assert browser.text("problem").startswith("No microphone: browsers give it to pages of https")
    assert not browser.find("microphone").is_enabled()
    soundfile.write(tmp_path / "talk.wav", noise(9000), 8000, "PCM_16")
    browser.choose(tmp_path / "talk.wav")
    browser.wait(lambda: "talk is separated" in browser.text("status"))


def test_without_simd_the_page_says_so(browser, served):
    source = {"source": "WebAssembly.validate = () => false"}
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", source)
    browser.open(served, ready=False)
    browser.wait_for("problem", "WebAssembly has no SIMD")


def test_the_page_works_without_its_server_afterwards(browser, stream, tmp_path):
    with serving(stream) as (_, address):
        browser.open(address)
        browser.wait_for("kept", "works without the server")
    browser.driver.refresh()
    browser.wait_for("status", "Ready.")
    soundfile.write(tmp_path / "talk.wav", noise(9000), 8000, "PCM_16")
    browser.choose(tmp_path / "talk.wav")
    browser.wait_for("status", "talk is separated")
    assert_separated(browser.saved("talk"), stream)


@pytest.mark.parametrize(("rate", "to"), [(48000, 8000), (44100, 8000), (8000, 48000)])
def test_the_resampler_keeps_a_sine(rate, to, browser, served):
    browser.open(served, ready=False)
    error, length = browser.run(f"""
        const {{ Resampler }} = await import("./resampler.js");
        const sine = (rate) => Float32Array.from({{ length: rate }}, (_, i) =>
            Math.sin(2 * Math.PI * 1234 * i / rate));
        const resampler = new Resampler({rate}, {to});
        const input = sine({rate});
        const found = [];
        for (let at = 0, size = 1; at < input.length; at += size, size = (size * 7) % 997)
          found.push(...resampler.feed(input.slice(at, at + size)));
        found.push(...resampler.flush());
        const wanted = sine({to});
        const edge = {to} / 50; // where there is silence on one side
        let error = 0;
        for (let i = edge; i < wanted.length - edge; i++)
          error = Math.max(error, Math.abs(found[i] - wanted[i]));
        return [error, found.length];
    """)
    assert length == to
    assert error < 1e-3
