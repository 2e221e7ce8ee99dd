"""librimix: stages 0 and 2 on a small folder made the way LibriMix's own scripts make it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from run_here import run_here
from separation.config import ROOT
from separation.corpus.lists import read_sources
from separation.corpus.manifest import read_manifest
from tiny_corpus import syllables

SCRIPTS = ROOT / "egs" / "librimix" / "local"
SPEAKERS = {
    "train-100": ["103", "1034", "27"],
    "dev": ["84", "174", "251"],
    "test": ["61", "121", "8"],
}
GENDERS = {
    "103": "F",
    "1034": "M",
    "27": "F",
    "84": "M",
    "174": "F",
    "251": "M",
    "61": "F",
    "121": "M",
}


def make_version(storage, n_src=2, rate=8000, mode="min", paths=str):
    """Write one version of LibriMix; ``paths`` makes of a file what is in the tables."""
    folder = storage / f"Libri{n_src}Mix" / f"wav{rate // 1000}k" / mode
    (folder / "metadata").mkdir(parents=True)
    for part, speakers in SPEAKERS.items():
        tables = {"mix_clean": [], "mix_both": []}
        for number in range(2):
            voices = [speakers[(number + i) % 3] for i in range(n_src)]
            name = "_".join(f"{voice}-{100 + number}-0{i}" for i, voice in enumerate(voices))
            seconds = [0.6 + 0.1 * i for i in range(n_src)]
            signals = [
                0.3 * syllables(s * rate / 8000, 90 + int(v) % 90, number)
                for s, v in zip(seconds, voices, strict=True)
            ]
            rng = np.random.default_rng(number)
            signals.append(0.05 * rng.standard_normal(max(map(len, signals))))
            lengths = [len(s) for s in signals]
            length = min(lengths) if mode == "min" else max(lengths)
            signals = [np.pad(s[:length], (0, max(0, length - len(s)))) for s in signals]
            files = {f"s{i + 1}": signals[i] for i in range(n_src)}
            files |= {
                "noise": signals[-1],
                "mix_clean": sum(signals[:-1]),
                "mix_both": sum(signals),
            }
            for place, signal in files.items():
                (folder / part / place).mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / part / place / f"{name}.wav", signal, rate)
            for mix, rows in tables.items():
                row = {
                    "mixture_ID": name,
                    "mixture_path": paths(folder / part / mix / f"{name}.wav"),
                }
                for i in range(n_src):
                    row[f"source_{i + 1}_path"] = paths(folder / part / f"s{i + 1}" / f"{name}.wav")
                if mix == "mix_both":
                    row["noise_path"] = paths(folder / part / "noise" / f"{name}.wav")
                rows.append(row | {"length": length})
        for mix, rows in tables.items():
            table = pd.DataFrame(rows)
            table.to_csv(folder / "metadata" / f"mixture_{part}_{mix}.csv", index=False)
            table.to_csv(folder / "metadata" / f"metrics_{part}_{mix}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("with a space")
    make_version(folder)
    (folder / "LibriSpeech").mkdir()
    lines = [";ID |SEX| SUBSET |MINUTES| NAME"]
    lines += [f"{s}  | {g} | train-clean-100 | 5.0 | A Name" for s, g in GENDERS.items()]
    (folder / "LibriSpeech" / "SPEAKERS.TXT").write_text("\n".join(lines))
    return folder


def run(script, data_dir, *overrides):
    options = ("--corpus", "librimix", "--data_dir", data_dir)
    return run_here(SCRIPTS / script, *options, "--", "nj=1", *overrides)


def stages(data_dir, corpus_dir, *overrides):
    """Run stages 0 and 2; returns the result of the first that fails, or of the last."""
    overrides = (f"corpus.corpus_dir='{corpus_dir}'", *overrides)
    result = run("prepare.py", data_dir, *overrides)
    return result if result.returncode else run("manifest.py", data_dir, *overrides)


def failure(result):
    assert (result.returncode, result.stderr.count("error: ")) == (1, 1), result.stderr
    return result.stderr.strip().splitlines()[-1]


def test_sep_clean(tmp_path, storage):
    result = stages(tmp_path, storage)
    assert result.returncode == 0, result.stderr
    wav_dir = tmp_path / "wav8k" / "min"
    table = read_manifest(wav_dir / "tr.csv", 2)
    assert table["mixture_ID"].tolist() == ["103-100-00_1034-100-01", "1034-101-00_27-101-01"]
    assert table["length"].tolist() == [4800, 4800]
    assert table["speaker_1_ID"].tolist() == ["103", "1034"]
    assert table["gender_1"].tolist() == ["F", "M"]
    assert read_manifest(wav_dir / "tt.csv", 2)["gender_2"].tolist() == ["M", ""]  # 8 is not listed
    made = storage / "Libri2Mix" / "wav8k" / "min" / "train-100"
    assert Path(table["mixture_path"][0]) == made / "mix_clean" / f"{table['mixture_ID'][0]}.wav"
    assert Path(table["source_2_path"][1]) == made / "s2" / f"{table['mixture_ID'][1]}.wav"
    assert len((wav_dir / "fingerprint.txt").read_text().strip()) == 16
    # Dynamic mixing finds the sources.
    utterances = read_sources(tmp_path)
    assert [u.speaker for u in utterances if u.split == "cv"] == ["84", "174", "174", "251"]
    assert all((tmp_path / "sources" / u.path).is_file() for u in utterances)


def test_sep_noisy(tmp_path, storage):
    result = stages(tmp_path, storage, "corpus.task=sep_noisy")
    assert result.returncode == 0, result.stderr
    table = read_manifest(tmp_path / "wav8k" / "min" / "tr.csv", 2)
    assert "/mix_both/" in table["mixture_path"][0]
    assert "noise_path" not in table
    assert not (tmp_path / "sources.csv").exists()


def test_the_fingerprint_is_that_of_the_samples(tmp_path, storage):
    texts = []
    for name, overrides in (("a", ()), ("b", ()), ("c", ("corpus.task=sep_noisy",))):
        stages(tmp_path / name, storage, *overrides)
        texts.append((tmp_path / name / "wav8k" / "min" / "fingerprint.txt").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_three_speakers_at_16_khz_with_padding(tmp_path):
    make_version(tmp_path / "storage", n_src=3, rate=16000, mode="max")
    result = stages(
        tmp_path / "data",
        tmp_path / "storage" / "Libri3Mix",
        *("corpus.n_src=3", "corpus.sample_rate=16000", "corpus.mode=max"),
    )
    assert result.returncode == 0, result.stderr
    table = read_manifest(tmp_path / "data" / "wav16k" / "max" / "cv.csv", 3)
    assert table["length"].tolist() == [12800, 12800]
    assert table["speaker_3_ID"].tolist() == ["251", "84"]


@pytest.mark.parametrize("kind", ["relative to the table", "relative to its folder", "moved"])
def test_paths_of_every_kind(tmp_path, kind):
    storage = tmp_path / "storage"
    folder = storage / "Libri2Mix" / "wav8k" / "min"
    paths = {
        "relative to the table": lambda path: f"../{path.relative_to(folder)}",
        "relative to its folder": lambda path: str(path.relative_to(folder)),
        "moved": lambda path: f"/elsewhere/{path.relative_to(storage)}",
    }[kind]
    make_version(storage, paths=paths)
    result = stages(tmp_path / "data", folder)
    assert result.returncode == 0, result.stderr
    table = read_manifest(tmp_path / "data" / "wav8k" / "min" / "tr.csv", 2)
    name = f"{table['mixture_ID'][0]}.wav"
    assert table["source_1_path"][0] == str(folder / "train-100" / "s1" / name)
    result = run("prepare.py", tmp_path / "data", f"corpus.corpus_dir={folder}")
    assert "no SPEAKERS.TXT" in result.stdout
    assert "Warning" not in result.stderr


def test_what_is_not_there_is_said(tmp_path, storage):
    assert "github.com/JorisCos/LibriMix" in failure(stages(tmp_path, ""))
    line = failure(stages(tmp_path, storage, "corpus.mode=max"))
    assert "no Libri2Mix/wav8k/max/metadata below it; there is Libri2Mix/wav8k/min" in line
    line = failure(stages(tmp_path, storage, "corpus.parts.tr=train-360"))
    assert "mixture_train-360_mix_clean.csv: not there, but " in line
    assert "mixture_train-100_mix_clean.csv" in line
    assert "must be sep_clean or sep_noisy" in failure(stages(tmp_path, storage, "corpus.task=sep"))
    assert "stage 0 makes it" in failure(run("manifest.py", tmp_path))


def edit(csv, column, change):
    table = pd.read_csv(csv)
    table.loc[1, column] = change(table.loc[1, column])
    table.to_csv(csv, index=False)


@pytest.mark.parametrize("fault", ["gone", "length", "rate", "sum", "column", "speakers", "itself"])
def test_a_bad_mixture_is_named(tmp_path, fault):
    folder = make_version(tmp_path / "storage")
    csv = folder / "metadata" / "mixture_dev_mix_clean.csv"
    name = pd.read_csv(csv)["mixture_ID"][1]
    source = folder / "dev" / "s2" / f"{name}.wav"
    expected = {
        "gone": f"{csv}:3: source_2_path {source} does not exist",
        "length": f"cv.csv:3: {folder / 'dev' / 'mix_clean' / name}.wav has 4800 samples,"
        " but the table says 4801",
        "rate": f"cv.csv:3: {source}: 16000 Hz, but 8000 Hz is needed",
        "sum": "its sources do not add up to it",
        "column": f"{csv}: column 'length' is missing",
        "speakers": "mixtures of more than 2 speakers",
        "itself": f"{csv}:3: a speaker is mixed with itself: ",
    }[fault]
    if fault == "gone":
        source.unlink()
    elif fault == "length":
        edit(csv, "length", lambda value: value + 1)
    elif fault in ("rate", "sum"):
        samples, rate = soundfile.read(source)
        loudness = 0.99 if fault == "sum" else 1
        soundfile.write(source, samples * loudness, 2 * rate if fault == "rate" else rate)
    elif fault == "column":
        pd.read_csv(csv).drop(columns="length").to_csv(csv, index=False)
    elif fault == "itself":
        edit(csv, "mixture_ID", lambda value: "_".join([value.split("_")[0]] * 2))
    else:
        pd.read_csv(csv).assign(source_3_path="x").to_csv(csv, index=False)
    assert expected in failure(stages(tmp_path / "data", tmp_path / "storage"))


def test_keep_going_tells_all_that_is_bad(tmp_path):
    folder = make_version(tmp_path / "storage")
    for path in (folder / "train-100" / "s1").iterdir():
        soundfile.write(path, np.zeros(4800), 8000)
    result = stages(tmp_path / "data", tmp_path / "storage", "corpus.keep_going=true")
    assert "2 problems, see above" in failure(result)
    assert result.stderr.count(".wav is silent") == 2
    assert not (tmp_path / "data" / "wav8k" / "min" / "tr.csv").exists()
