"""wsj0-2mix: what stage 0 refuses, and what it says."""

from pathlib import Path

import pytest
import soundfile

from separation.config import ROOT
from separation.corpus.lists import list_path
from sphere_writer import write_sphere
from wsj0_tree import (
    COMPRESSED,
    FILES,
    LISTS,
    SAMPLES,
    damage,
    failure,
    make_lists,
    make_tree,
    prepare,
    run,
)


@pytest.fixture
def own_tree(tmp_path):
    """A tree to be damaged."""
    return make_tree(tmp_path)


def test_a_missing_disc_is_named(tmp_path, own_tree):
    for path in (own_tree / "csr_1" / "11-14.1").rglob("*.wv?"):
        path.unlink()
    line = failure(prepare(tmp_path / "data", own_tree))
    assert "mix_2_spk_tt.txt:1: wsj0/si_et_05/440/440o031a.wav is not below" in line
    assert "missing are 2 of 2 of si_et_05: is a disc not there?" in line
    assert not (tmp_path / "data" / "sources.csv").exists()


def test_the_second_microphone_does_not_take_the_place_of_the_first(tmp_path, own_tree):
    first = own_tree / "csr_1" / FILES["wsj0/si_tr_s/01x/01xc0201.wav"]
    first.unlink()
    line = failure(prepare(tmp_path / "data", own_tree))
    assert "mix_2_spk_tr.txt:1: wsj0/si_tr_s/01x/01xc0201.wav" in line
    assert "second microphone (.wv2) only" in line


def test_files_converted_from_the_second_microphone_are_refused(tmp_path):
    make_lists(tmp_path / "lists")
    for listed, samples in SAMPLES.items():
        path = tmp_path / "csr_1" / Path(listed).with_suffix(".wv2.wav")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 16000, subtype="PCM_16")
    assert "second microphone (.wv2) only" in failure(prepare(tmp_path / "data", tmp_path))


def test_a_bad_sphere_file_is_named_with_list_and_line(tmp_path, own_tree):
    file = own_tree / "csr_1" / FILES[COMPRESSED]
    damage(file, "checksum")
    line = failure(prepare(tmp_path / "data", own_tree))
    place = list_path(tmp_path / "data", 2, "tr")
    assert line.startswith(f"error: {place}:1: {COMPRESSED} is bad: {file}: damaged; ")
    assert not (tmp_path / "data" / "sources" / COMPRESSED).exists()
    assert not (tmp_path / "data" / "sources.csv").exists()


def test_a_recording_shorter_than_a_tenth_of_a_second_is_named(tmp_path, own_tree):
    file = own_tree / "csr_1" / FILES[COMPRESSED]
    write_sphere(file, SAMPLES[COMPRESSED][:1599])
    line = failure(prepare(tmp_path / "data", own_tree))
    assert f"mix_2_spk_tr.txt:1: {COMPRESSED} is bad: {file}: 1599 samples, shorter" in line


def test_keep_going_tells_all_that_is_bad_and_allow_partial_leaves_it_out(tmp_path, own_tree):
    bad = ["wsj0/si_tr_s/40n/40no031a.wav", "wsj0/si_dt_05/051/051o031a.wav"]
    for listed, how in zip(bad, ("checksum", "channels"), strict=True):
        damage(own_tree / "csr_1" / FILES[listed], how)
    gone = "wsj0/si_et_05/441/441c0201.wav"
    (own_tree / "csr_1" / FILES[gone]).unlink()
    result = prepare(tmp_path / "data", own_tree, "corpus.keep_going=true")
    assert "3 problems, see above; --allow_partial continues" in failure(result)
    for listed, place in zip([*bad, gone], ["tr.txt:1", "tt.txt:2", "tt.txt:2"], strict=True):
        assert f"mix_2_spk_{place}: {listed} is " in result.stderr

    result = prepare(tmp_path / "data", own_tree, "corpus.allow_partial=true")
    assert result.returncode == 0, result.stderr
    assert "tr: 1 of 2 mixtures are left out" in result.stdout
    for split, kept in {"tr": [1], "cv": [0], "tt": [0]}.items():
        lines = LISTS[2][split].splitlines()
        text = list_path(tmp_path / "data", 2, split).read_text()
        assert text.splitlines() == [lines[i] for i in kept]
    for stage in ("mix.py", "manifest.py"):
        result = run(ROOT / "local" / stage, tmp_path / "data", "corpus.allow_partial=true")
        assert result.returncode == 0, result.stderr


def test_a_converted_tree_at_another_rate_is_refused(tmp_path):
    make_lists(tmp_path / "lists")
    for listed, samples in SAMPLES.items():
        path = tmp_path / "csr_1" / listed
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples[::2], 8000, subtype="PCM_16")
    line = failure(prepare(tmp_path / "data", tmp_path))
    assert "mix_2_spk_tr.txt:1: wsj0/si_tr_s/40n/40no031a.wav" in line
    assert "8000 Hz, but 16000 Hz is needed" in line


def test_two_files_of_one_name_are_not_guessed_between(tmp_path, own_tree):
    for folder in ("a", "b"):
        path = own_tree / "csr_1" / folder / "wsj0" / "si_tr_s" / "40n" / "40no031a.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, SAMPLES["wsj0/si_tr_s/40n/40no031a.wav"], 16000)
    assert prepare(tmp_path / "data", own_tree).returncode == 0  # the disc's own is there
    (own_tree / "csr_1" / FILES["wsj0/si_tr_s/40n/40no031a.wav"]).unlink()
    assert "which of them is wsj0/si_tr_s/40n/40no031a.wav?" in failure(
        prepare(tmp_path / "data", own_tree)
    )


def test_keep_going_tells_all_that_is_wrong_with_lists(tmp_path, own_tree):
    path = own_tree / "lists" / "mix_2_spk_cv.txt"
    path.write_text("a nan b 0\n" + LISTS[2]["cv"] + "a 1 b\n")
    result = prepare(tmp_path / "d", own_tree, "corpus.keep_going=true")
    assert "2 problems, see above" in failure(result)
    for line in ("cv.txt:1: a gain is not finite", "cv.txt:3: "):
        assert line in result.stderr


def test_lists_and_recordings_are_told_in_one_go(tmp_path, own_tree):
    path = own_tree / "lists" / "mix_2_spk_cv.txt"
    path.write_text(LISTS[2]["cv"] + "a 1 b\nwsj0/x/40nc0201.wav 1 wsj0/x/40no031a.wav -1\n")
    damage(own_tree / "csr_1" / FILES[COMPRESSED], "checksum")
    result = prepare(tmp_path / "data", own_tree, "corpus.keep_going=true")
    assert "3 problems, see above" in failure(result)
    for words in (
        "cv.txt:2: 3 columns",
        "cv.txt:3: speaker 40n is mixed with itself",
        f"{COMPRESSED} is bad",
    ):
        assert words in result.stderr


@pytest.mark.parametrize("form", ["absolute", "upwards"])
def test_a_list_cannot_reach_the_user_s_own_recordings(tmp_path, form):
    """A list of absolute paths once had every recording replaced by a link to itself."""
    tree = tmp_path / "csr_1"
    for listed, samples in SAMPLES.items():
        (tree / listed).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tree / listed, samples, 16000, subtype="PCM_16")
    before = {p: p.read_bytes() for p in tree.rglob("*.wav")}
    (tmp_path / "lists").mkdir()
    start = f"{tree}/" if form == "absolute" else "../../csr_1/"
    for split, text in LISTS[2].items():
        path = tmp_path / "lists" / f"mix_2_spk_{split}.txt"
        path.write_text(text.replace("wsj0/", f"{start}wsj0/"))
    line = failure(prepare(tmp_path / "data", tmp_path))
    assert "mix_2_spk_tr.txt:1: " in line
    assert "leads out of the sources" in line
    assert {p: p.read_bytes() for p in tree.rglob("*.wav")} == before
    assert not any(p.is_symlink() for p in tree.rglob("*"))


def test_sources_that_are_the_user_s_own_folder_stay_as_they_are(tmp_path):
    """data/<corpus>/sources may be a link to where the recordings are: nothing is written there."""
    make_lists(tmp_path / "lists")
    for listed, samples in SAMPLES.items():
        path = tmp_path / "csr_1" / listed
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 16000, subtype="PCM_16")
    (tmp_path / "data").mkdir()
    link = tmp_path / "data" / "sources"
    link.symlink_to(tmp_path / "csr_1")
    before = {p: p.read_bytes() for p in (tmp_path / "csr_1").rglob("*.*")}
    assert f"{link}: in the way, and not made by this recipe" in failure(
        prepare(tmp_path / "data", tmp_path)
    )
    assert {p: p.read_bytes() for p in (tmp_path / "csr_1").rglob("*.*")} == before
    assert not any(p.is_symlink() for p in before)


def test_a_link_to_nowhere_is_one_of_the_problems(tmp_path, own_tree):
    file = own_tree / "csr_1" / FILES["wsj0/si_tr_s/40n/40no031a.wav"]
    file.unlink()
    file.symlink_to("gone.wv1")
    other = "wsj0/si_dt_05/051/051o031a.wav"
    damage(own_tree / "csr_1" / FILES[other], "checksum")
    result = prepare(tmp_path / "data", own_tree, "corpus.keep_going=true")
    assert "2 problems, see above" in failure(result)
    assert f"tr.txt:1: wsj0/si_tr_s/40n/40no031a.wav is bad: {file}: No such file" in result.stderr
    assert f"tt.txt:2: {other} is bad" in result.stderr


def test_a_bad_list_line_is_named(tmp_path, own_tree):
    path = own_tree / "lists" / "mix_2_spk_cv.txt"
    path.write_text(LISTS[2]["cv"] + "wsj0/si_tr_s/40p/40pc0201.wav nan wsj0/si_tr_s/011/x.wav 0\n")
    assert "mix_2_spk_cv.txt:2: a gain is not finite" in failure(prepare(tmp_path / "d", own_tree))
