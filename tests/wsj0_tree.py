"""A small WSJ0: discs of SPHERE files and mixing lists, and how stage 0 is run on them."""

from pathlib import Path

import numpy as np
import soundfile

from run_here import run_here
from separation.config import ROOT
from sphere_writer import write_sphere
from tiny_corpus import syllables

CORPUS = ROOT / "egs" / "wsj0-2mix"
# A disc, its part of the corpus, its speakers, and how the tree writes that disc's names.
DISCS = [
    ("11-1.1", "si_tr_s", ["011", "01x"], str.lower),
    ("11-2.1", "si_tr_s", ["40n", "40p"], str.upper),
    ("11-6.1", "si_dt_05", ["050", "051"], str.lower),
    ("11-14.1", "si_et_05", ["440", "441"], str.lower),
]
TAKES = ["c0201", "o031a"]
CODINGS = [
    {"coding": "pcm"},
    {"coding": "shorten"},
    {"coding": "shorten", "version": 1},
    {"coding": "pcm", "byte_format": "10"},
]
GENDERS = {"011": "M", "01x": "F", "40n": "M", "40p": "F", "050": "F", "051": "M", "440": "M"}
LISTS = {
    2: {
        "tr": "wsj0/si_tr_s/40n/40no031a.wav 1.9857 wsj0/si_tr_s/01x/01xc0201.wav -1.9857 \n"
        "wsj0/si_tr_s/011/011o031a.wav 5.2094e-07 wsj0/si_tr_s/40p/40po031a.wav -5.2094e-07 \n",
        "cv": "wsj0/si_tr_s/40p/40pc0201.wav 0.059714 wsj0/si_tr_s/40n/40nc0201.wav -0.059714 \n",
        "tt": "wsj0/si_dt_05/050/050c0201.wav 2 wsj0/si_et_05/440/440o031a.wav -2 \n"
        "wsj0/si_et_05/441/441c0201.wav 0.5 wsj0/si_dt_05/051/051o031a.wav -0.5 \n",
    },
    3: {
        "tr": "wsj0/si_tr_s/40n/40no031a.wav 1.5 wsj0/si_tr_s/01x/01xc0201.wav -1.5"
        " wsj0/si_tr_s/011/011o031a.wav 0 \n",
        "cv": "wsj0/si_tr_s/40p/40pc0201.wav 1 wsj0/si_tr_s/40n/40nc0201.wav -1"
        " wsj0/si_tr_s/011/011c0201.wav 0 \n",
        "tt": "wsj0/si_dt_05/050/050c0201.wav 2 wsj0/si_et_05/440/440o031a.wav -2"
        " wsj0/si_et_05/441/441c0201.wav 0 \n",
    },
}


def recordings():
    """Every recording: its disc's file below the tree, its path in the lists, its int16 samples."""
    number = 0
    for disc, part, speakers, case in DISCS:
        for speaker in speakers:
            for take in TAKES:
                seconds, pitch = 1.0 + 0.13 * (number % 5), 70 + 9 * number
                samples = np.round(9000 * syllables(seconds, pitch, number)).astype(np.int16)
                file = Path(disc, case(f"wsj0/{part}/{speaker}/{speaker}{take}.wv1"))
                yield file, f"wsj0/{part}/{speaker}/{speaker}{take}.wav", samples
                number += 1


SAMPLES = {listed: samples for _, listed, samples in recordings()}
FILES = {listed: file for file, listed, _ in recordings()}


def make_discs(folder):
    for number, (file, _, samples) in enumerate(recordings()):
        write_sphere(folder / file, samples, **CODINGS[number % len(CODINGS)])
        other = file.suffix.replace("1", "2")  # the second microphone: never to be used
        write_sphere(folder / file.with_suffix(other), samples[::-1] // 2)
    table = folder / "11-13.1" / "wsj0" / "doc" / "spkrinfo.txt"
    table.parent.mkdir(parents=True)
    rows = [
        f"{speaker.upper()}   {gender}   Midland   native" for speaker, gender in GENDERS.items()
    ]
    table.write_text("\n".join(["; ID  gender  dialect", "---  ---", *rows]))


def make_lists(folder):
    folder.mkdir()
    for n_src, texts in LISTS.items():
        for split, text in texts.items():
            (folder / f"mix_{n_src}_spk_{split}.txt").write_text(text)


def make_tree(folder):
    """Write ``csr_1`` (the discs) and ``lists`` into a folder."""
    make_discs(folder / "csr_1")
    make_lists(folder / "lists")
    return folder


def run(script, data_dir, *overrides, **options):
    given = ("--corpus", "wsj0-2mix", "--data_dir", data_dir, "--", "nj=1", *overrides)
    return run_here(script, *given, **options)


def prepare(data_dir, tree, *overrides, **options):
    return run(
        CORPUS / "local" / "prepare.py",
        data_dir,
        f"corpus.corpus_dir='{tree / 'csr_1'}'",
        f"corpus.lists='{tree / 'lists'}'",
        *overrides,
        **options,
    )


def decoded(data_dir, listed):
    samples, rate = soundfile.read(data_dir / "sources" / listed, dtype="int16")
    return rate, samples


def failure(result):
    """The one line that a failed stage 0 ends with."""
    assert result.returncode == 1, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: "), result.stderr
    return last


def damage(path, how):
    """Make one SPHERE file of the discs bad."""
    samples = SAMPLES[next(listed for listed, file in FILES.items() if file.name == path.name)]
    if how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    elif how == "header":
        path.write_bytes(path.read_bytes()[:300])
    elif how == "checksum":
        write_sphere(path, samples, sample_checksum=12345)
    elif how == "channels":
        write_sphere(path, np.stack([samples, samples]))
    elif how == "rate":
        write_sphere(path, samples, rate=8000)
    elif how == "long":
        write_sphere(path, samples, sample_count=len(samples) - 5)
    elif how == "stream":
        content = bytearray(path.read_bytes())
        content[1024:1030] = bytes(6)
        path.write_bytes(content)


PLAIN, COMPRESSED = "wsj0/si_tr_s/01x/01xc0201.wav", "wsj0/si_tr_s/40n/40no031a.wav"
