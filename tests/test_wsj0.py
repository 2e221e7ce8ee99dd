"""wsj0-2mix: stage 0 on a small tree of discs, stages 1 and 2 after it, and the lists."""

import os
import stat
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import soundfile

from separation.config import ROOT
from separation.corpus.lists import list_path, read_sources
from sphere_writer import write_sphere
from wsj0_tree import (
    CORPUS,
    FILES,
    LISTS,
    SAMPLES,
    decoded,
    failure,
    make_lists,
    make_tree,
    prepare,
    recordings,
    run,
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A tree that tests leave as it is."""
    return make_tree(tmp_path_factory.mktemp("with a space"))


def test_stages_0_to_2_from_the_discs(tmp_path, tree):
    result = prepare(tmp_path, tree)
    assert result.returncode == 0, result.stderr
    assert "tr: 2 mixtures of 4 recordings, 4 speakers" in result.stdout.splitlines()
    for split, text in LISTS[2].items():
        assert list_path(tmp_path, 2, split).read_text() == text
    rows = read_sources(tmp_path)
    assert {(u.path, u.speaker, u.gender) for u in rows if u.split == "tt"} == {
        ("wsj0/si_dt_05/050/050c0201.wav", "050", "F"),
        ("wsj0/si_et_05/440/440o031a.wav", "440", "M"),
        ("wsj0/si_et_05/441/441c0201.wav", "441", ""),
        ("wsj0/si_dt_05/051/051o031a.wav", "051", "M"),
    }
    for row in rows:
        rate, samples = decoded(tmp_path, row.path)
        assert rate == 16000
        np.testing.assert_array_equal(samples, SAMPLES[row.path])
    # What no list names is not converted, and the second microphone is nowhere.
    made = {p.relative_to(tmp_path / "sources").as_posix() for p in tmp_path.rglob("*.wav")}
    assert made == {row.path for row in rows}

    for stage in ("mix.py", "manifest.py"):
        result = run(ROOT / "local" / stage, tmp_path)
        assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "wav8k" / "min" / "tr.csv").fillna("")
    assert table["mixture_ID"].tolist() == [
        "40no031a_1.9857_01xc0201_-1.9857",
        "011o031a_5.2094e-07_40po031a_-5.2094e-07",
    ]
    assert table["speaker_1_ID"].tolist() == ["40n", "011"]
    assert table["gender_2"].tolist() == ["F", "F"]
    shorter = min(len(SAMPLES[f"wsj0/si_tr_s/{p}.wav"]) for p in ("40n/40no031a", "01x/01xc0201"))
    assert table["length"][0] == -(-shorter // 2)


def test_three_speakers(tmp_path, tree):
    for script in (
        CORPUS / "local" / "prepare.py",
        ROOT / "local/mix.py",
        ROOT / "local/manifest.py",
    ):
        result = run(
            script,
            tmp_path,
            f"corpus.corpus_dir='{tree / 'csr_1'}'",
            f"corpus.lists='{tree / 'lists'}'",
            "corpus.n_src=3",
        )
        assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "wav8k" / "min" / "tt.csv")
    assert table["mixture_ID"].tolist() == ["050c0201_2_440o031a_-2_441c0201_0"]
    assert (tmp_path / "wav8k" / "min" / table["source_3_path"][0]).is_file()


def test_a_second_run_converts_nothing_and_mends_what_is_not_the_disc_s(tmp_path, tree):
    prepare(tmp_path, tree)
    kept = [tmp_path / "sources" / u.path for u in read_sources(tmp_path)]
    good, stale, half = kept[:3]
    times = {path: path.stat().st_mtime_ns for path in kept}
    samples, _ = soundfile.read(stale, dtype="int16")
    soundfile.write(stale, samples // 2, 16000, subtype="PCM_16")
    half.write_bytes(half.read_bytes()[:1000])
    killed = half.with_name(".partial-abc.wav")
    killed.write_bytes(b"half")
    assert prepare(tmp_path, tree).returncode == 0
    assert good.stat().st_mtime_ns == times[good]
    assert not killed.exists()
    for path in (stale, half):
        listed = path.relative_to(tmp_path / "sources").as_posix()
        np.testing.assert_array_equal(decoded(tmp_path, listed)[1], SAMPLES[listed])


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_converted_recordings_are_referred_to(tmp_path, suffix):
    make_lists(tmp_path / "lists")
    for listed, samples in SAMPLES.items():
        # One flat wsj0/, with the parts below it.
        path = (tmp_path / "csr_1" / listed).with_suffix(suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 16000, subtype="PCM_16")
    data_dir = tmp_path / "data"
    result = prepare(data_dir, tmp_path)
    assert result.returncode == 0, result.stderr
    listed = "wsj0/si_tr_s/40n/40no031a.wav"
    link = data_dir / "sources" / listed
    assert link.resolve() == (tmp_path / "csr_1" / listed).with_suffix(suffix)
    np.testing.assert_array_equal(decoded(data_dir, listed)[1], SAMPLES[listed])
    assert run(ROOT / "local" / "mix.py", data_dir).returncode == 0


def test_recordings_in_one_heap_and_behind_links(tmp_path, tree):
    heap = tmp_path / "heap"
    heap.mkdir()
    for file in FILES.values():
        (heap / file.name).symlink_to(tree / "csr_1" / file)
    (tmp_path / "csr_1").mkdir()
    (tmp_path / "csr_1" / "wsj0").symlink_to(heap)
    (heap / "up").symlink_to(tmp_path)  # a loop
    make_lists(tmp_path / "lists")
    result = prepare(tmp_path / "data", tmp_path)
    assert result.returncode == 0, result.stderr
    listed = "wsj0/si_et_05/440/440o031a.wav"
    np.testing.assert_array_equal(decoded(tmp_path / "data", listed)[1], SAMPLES[listed])


def test_lists_from_the_zip_are_taken_as_they_are(tmp_path, tree):
    archive = tmp_path / "create-speaker-mixtures.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for split, text in LISTS[2].items():
            file.writestr(f"create-speaker-mixtures/mix_2_spk_{split}.txt", text)
            file.writestr(f"__MACOSX/create-speaker-mixtures/._mix_2_spk_{split}.txt", "shadow")
    result = prepare(tmp_path / "data", tree, f"corpus.lists='{archive}'")
    assert result.returncode == 0, result.stderr
    assert list_path(tmp_path / "data", 2, "tr").read_text() == LISTS[2]["tr"]
    line = failure(prepare(tmp_path / "data", tree, f"corpus.lists='{archive}'", "corpus.n_src=3"))
    assert f"{archive}: no mix_3_spk_tr.txt in it" in line


def test_too_few_downloaded_mixtures_are_refused_before_anything_is_converted(tmp_path, tree):
    archive = tmp_path / "data" / "archives" / "create-speaker-mixtures.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        for split, text in LISTS[2].items():
            file.writestr(f"mix_2_spk_{split}.txt", text)
    line = failure(prepare(tmp_path / "data", tree, "corpus.lists=''"))
    assert f"{archive}: these are not the official lists: tr has 2 mixtures, not 20000" in line
    assert "tt has 4 speakers, not 18" in line
    assert not (tmp_path / "data" / "sources").exists()


def test_what_is_not_there_is_said(tmp_path, tree):
    result = run(CORPUS / "local" / "prepare.py", tmp_path)
    assert "LDC93S6A or LDC93S6B" in failure(result)
    assert "gone/csr_1: no such folder" in failure(prepare(tmp_path, tmp_path / "gone"))
    empty = tmp_path / "empty"
    empty.mkdir()
    line = failure(prepare(tmp_path / "data", tree, f"corpus.lists='{empty}'"))
    assert f"--lists {empty}: no mix_2_spk_tr.txt in it" in line
    line = failure(
        prepare(tmp_path, tree, "corpus.lists=''", "corpus.lists_urls=['http://127.0.0.1:9/a.zip']")
    )
    assert "the mixing lists cannot be downloaded" in line


def test_sph2pipe_is_used_where_it_is_on_the_path(tmp_path):
    """A stand-in for it, which says that it was there and decodes nothing but plain files."""
    own_tree = make_tree(tmp_path)
    program = tmp_path / "bin" / "sph2pipe"
    program.parent.mkdir()
    script = tmp_path / "sph2pipe.py"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -S '{script}' \"$@\"\n")
    script.write_text(
        "import array, io, sys, wave\n"
        f"print(sys.argv[3], file=open({str(tmp_path / 'asked')!r}, 'a'))\n"
        "assert sys.argv[1:3] == ['-f', 'wav']\n"
        "data = open(sys.argv[3], 'rb').read()\n"
        "if b'shorten' in data[:1024]: sys.exit('no shorten here')\n"
        "samples = array.array('h', data[1024:])\n"
        "if (b'_format -s2 10' in data[:1024]) != (sys.byteorder == 'big'): samples.byteswap()\n"
        "out = io.BytesIO()\n"
        "with wave.open(out, 'wb') as file:\n"
        "    file.setparams((1, 2, 16000, 0, 'NONE', ''))\n"
        "    file.writeframes(samples.tobytes())\n"
        "sys.stdout.buffer.write(out.getvalue())\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join([str(program.parent), "/usr/bin", "/bin"])
    line = failure(prepare(tmp_path / "data", own_tree, path=path))
    assert "sph2pipe cannot decode it: no shorten here" in line
    for file, _, samples in recordings():
        write_sphere(own_tree / "csr_1" / file, samples)
    result = prepare(tmp_path / "data", own_tree, path=path)
    assert result.returncode == 0, result.stderr
    asked = (tmp_path / "asked").read_text()
    for row in read_sources(tmp_path / "data"):
        assert str(FILES[row.path]) in asked
        np.testing.assert_array_equal(decoded(tmp_path / "data", row.path)[1], SAMPLES[row.path])
