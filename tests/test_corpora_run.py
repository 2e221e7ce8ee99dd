"""./run.sh from a user's discs and folders to checked mixtures, as the README says it."""

import pandas as pd
import pytest
import soundfile

from recipe_copy import copy_recipe, run
from test_folder import make_folder
from wsj0_tree import FILES, LISTS, SAMPLES, damage, make_tree


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return copy_recipe(tmp_path_factory.mktemp("a recipe") / "speech separation")


def one_line(result):
    assert result.returncode == 1, result.stdout + result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr
    return last


def test_wsj0_2mix_from_the_discs(recipe, tmp_path):
    """Relative paths with spaces, two processes; keep_going, then mended; three speakers after."""
    make_tree(tmp_path / "my discs")
    arguments = ["--corpus", "wsj0-2mix", "--nj", "2", "--stop_stage", "2"]
    shown = ["--corpus_dir", "my discs/csr_1", "--lists", "my discs/lists"]
    cv = tmp_path / "my discs" / "lists" / "mix_2_spk_cv.txt"
    cv.write_text(LISTS[2]["cv"] + "wsj0/si_tr_s/40n/40nc0201.wav 1 wsj0/x/40no031a.wav -1\n")
    bad = "wsj0/si_et_05/441/441c0201.wav"
    damage(tmp_path / "my discs" / "csr_1" / FILES[bad], "checksum")
    wrong = run(recipe, *arguments, *shown, "--keep_going", cwd=tmp_path)
    assert "2 problems, see above; --allow_partial continues" in one_line(wrong)
    assert "mix_2_spk_cv.txt:2: speaker 40n is mixed with itself" in wrong.stderr
    assert f"mix_2_spk_tt.txt:2: {bad} is bad: " in wrong.stderr

    cv.write_text(LISTS[2]["cv"])
    partial = run(recipe, *arguments, *shown, "--allow_partial", cwd=tmp_path)
    assert partial.returncode == 0, partial.stdout + partial.stderr
    assert "tt: 1 of 2 mixtures are left out" in partial.stdout
    make_tree(tmp_path / "whole")
    shown = ["--corpus_dir", "whole/csr_1", "--lists", "whole/lists"]
    for n_src in (2, 3):
        done = run(recipe, *arguments, *shown, "--n_src", str(n_src), cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        folder = recipe / "data" / ("wsj0-2mix" if n_src == 2 else "wsj0-2mix-3spk")
        for split in ("tr", "cv", "tt"):
            table = pd.read_csv(folder / "wav8k" / "min" / f"{split}.csv")
            lines = LISTS[n_src][split].splitlines()
            assert len(table) == len(lines)
            for length, line in zip(table["length"], lines, strict=True):
                assert length == min(-(-len(SAMPLES[path]) // 2) for path in line.split()[::2])
        # lists as short as these are a trial, and no whole corpus
        assert (folder / "wav8k" / "min" / "fingerprint.txt").read_text().endswith("-partial\n")
    again = run(recipe, *arguments, cwd=tmp_path)  # what it was shown is remembered
    assert again.returncode == 0, again.stdout + again.stderr
    assert "stage 1: done before" in again.stdout + again.stderr


def test_folder_2mix_from_recordings(recipe, tmp_path):
    make_folder(tmp_path / "my own")
    counts = "corpus.n_mixtures={tr: 6, cv: 2, tt: 2}"
    arguments = ["--corpus", "folder-2mix", "--corpus_dir", "my own", "--nj", "2"]
    done = run(recipe, *arguments, "--stop_stage", "2", "--", counts, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(recipe / "data" / "folder-2mix" / "wav8k" / "min" / "tr.csv")
    assert len(table) == 6
    mixture = recipe / "data" / "folder-2mix" / "wav8k" / "min" / table["mixture_path"][0]
    assert soundfile.info(mixture).frames == table["length"][0]


def test_recordings_in_the_corpus_folder_are_refused_and_stay(tmp_path):
    """The same, given from another folder, through a link, and as a folder that holds the data."""
    recipe = copy_recipe(tmp_path / "recipe")
    sources = make_folder(recipe / "data" / "folder-2mix" / "sources")
    (tmp_path / "link").symlink_to(sources)
    before = {path: path.read_bytes() for path in sources.rglob("*.*")}
    assert len(before) == 16
    for place, cwd in (
        ("data/folder-2mix/sources", recipe),
        ("link", tmp_path),
        (recipe / "data", tmp_path),
    ):
        options = ["--corpus", "folder-2mix", "--corpus_dir", place]
        # Stage 0 refuses; what is checked of a network before takes seconds.
        wrong = run(recipe, *options, "--stop_stage", "2", cwd=cwd)
        assert "this stage writes, and nothing of yours may be replaced there" in one_line(wrong)
        assert {path: path.read_bytes() for path in sources.rglob("*.*")} == before
