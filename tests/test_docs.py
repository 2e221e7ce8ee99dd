"""What the pages say of the repository is there: links, headings that they lead to, files, keys."""

import os
import re
from pathlib import Path

import pytest

from separation.config import BASE, read_yaml
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
