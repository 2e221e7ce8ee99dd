"""What the pages say of the repository is there: links, headings, files, keys and commands."""

import os
import re
import shlex
from pathlib import Path
from unittest import mock

import pytest

from run_here import run_here
from separation import options
from separation.arguments import Parser
from separation.config import BASE, load_config, load_corpus_config, read_yaml
from separation.ranges import ORACLES
from separation.tree import ROOT

PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "egs/*/*.md", "pretrained/*/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
# What is in these folders is committed, so a page that names a file of them can be held to it;
# `mine` is the name of what the reader is to write.
OURS = re.compile(r"(?!.*\bmine\b)(?:conf|docs|egs|local|pretrained|tests)/[\w./*-]+")
KEY = re.compile(r"\b(?:training|optim|data|evaluation)\.(?!md\b|wrapper\b)[a-z_]+(?:\.[a-z_]+)?\b")


def anchor(heading):
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"[`*]|\]\([^)]*\)", "", heading.lstrip("#").strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def headings(page):
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    return {anchor(line) for line in lines if line.startswith("#")}


def test_the_pages_are_found():
    assert {Path("README.md"), Path("docs/live.md"), Path("egs/librimix/README.md")} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://")):
            continue
        name, _, place = link.partition("#")
        path = os.path.normpath(page.parent / name) if name else page
        assert (ROOT / path).exists(), link
        assert not place or place in headings(path), link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_files_and_keys_that_are_named_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for word in CODE.findall(text):
        if OURS.fullmatch(word):
            here = [base for base in (ROOT, ROOT / page.parent) if any(base.glob(word))]
            assert here or "NAME" in word, word
    base = read_yaml(BASE)
    for key in KEY.findall(text):
        place = base
        for part in key.split("."):
            assert part in place, key
            place = place[part]


class ParsedError(Exception):
    """The program has read its command line, and does not go on."""


def commands(page):
    """The command lines of a page that can be read alone: no variables, no files to be written."""
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines() if language in ("", "sh") else []:
            line = re.sub(r"^OMP_NUM_THREADS=1 (taskset -c 1 )?", "", line.strip())
            if line.startswith(("./run.sh", "python local/")) and "$" not in line:
                yield shlex.split(line.replace("[MIX.wav]", "MIX.wav"), comments=True)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_of_run_sh_have_options_and_keys_that_exist(page, tmp_path):
    for words in commands(page):
        if words[0] != "./run.sh" or "mine" in words:
            continue
        with mock.patch.object(options, "_absolute", lambda option, value, caller: value):
            command = options.parse(words[1:], tmp_path)
        corpus, tag = command.get("corpus", "espeak-2mix"), command.get("tag")
        conf = load_corpus_config(corpus, command.overrides())
        if tag not in ORACLES:
            file = ROOT / command.get("conf", f"conf/{tag or conf['corpus']['default_tag']}.yaml")
            load_config(corpus, tag, file, command.overrides())


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_of_programs_have_options_that_exist(page, monkeypatch):
    read = Parser.parse_args

    def stop(self, *arguments):
        read(self, *arguments)
        raise ParsedError

    monkeypatch.setattr(Parser, "parse_args", stop)
    for words in commands(page):
        if words[0] == "python" and "--list_models" not in words:
            with pytest.raises(ParsedError):
                run_here(ROOT / words[1], *words[2:])
