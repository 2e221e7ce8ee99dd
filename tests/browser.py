"""A headless Chromium, and the page of local/web.py in it."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import soundfile

from separation.config import ROOT
from separation.errors import RecipeError
from separation.inference.runtime import fetch_runtime

PATIENCE = 120  # seconds; a busy machine compiles ONNX Runtime for ten of them
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which root does not get
    "--window-size=1280,1000",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP elsewhere.test 127.0.0.1",
)


def need_chromium():
    """Skip a test where there is no Chromium with its driver, or no selenium."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no Chromium with its driver (Debian: apt install chromium chromium-driver)")


def need_browser():
    """Skip a test where there is no Chromium with its driver, no selenium, or no ONNX Runtime."""
    need_chromium()
    try:
        fetch_runtime()
    except RecipeError as error:
        pytest.skip(str(error))


@contextmanager
def serving(system, *options):
    """Run local/web.py; yields its process and the page's address."""
    command = [sys.executable, str(ROOT / "local" / "web.py"), "--exp_dir", str(system)]
    process = subprocess.Popen(
        [*command, "--port", "0", *options], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), line
        yield process, line.split()[0]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        process.stdout.close()


class Browser:
    """Chromium; its microphone hears a wav file over and over, its downloads are in a folder."""

    def __init__(self, downloads, heard=None):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for option in OPTIONS:
            options.add_argument(option)
        if heard:
            options.add_argument(f"--use-file-for-fake-audio-capture={heard}")
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(PATIENCE)
        self.downloads = downloads

    def open(self, address, ready=True):
        self.driver.get(address)
        if ready:
            self.wait_for("status", "Ready.")

    def find(self, name):
        return self.driver.find_element("css selector", name if " " in name else f"#{name}")

    def text(self, name):
        return self.find(name).text

    def wait(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, PATIENCE).until(lambda _: condition())

    def wait_for(self, name, text):
        self.wait(lambda: text in self.text(name))

    def choose(self, path):
        """Give the page a recording."""
        self.find("file").send_keys(str(path))

    def saved(self, name):
        """Click on "Save wav" of all tracks; returns their samples."""
        for button in self.driver.find_elements("css selector", ".save"):
            button.click()
        paths = [self.downloads / f"{name}_{track}.wav" for track in ("mix", "s1", "s2")]
        self.wait(lambda: all(path.is_file() for path in paths))
        return [soundfile.read(path, dtype="float32") for path in paths]

    def run(self, script):
        """Run the body of an asynchronous function in the page; returns what it returns."""
        function = f"(async () => {{ {script} }})()"
        return self.driver.execute_async_script(f"{function}.then(arguments[0], arguments[0])")

    def errors(self):
        return [entry for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def close(self):
        self.driver.quit()
