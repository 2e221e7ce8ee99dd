"""Stage 2: write the CSV files of the corpus, checked against the audio."""

from __future__ import annotations

import argparse
from pathlib import Path

from separation.config import load_corpus_config, wav_folder
from separation.corpus.manifest import make_manifests
from separation.corpus.problems import Problems
from separation.errors import run_command


def main() -> None:
    """Parse the command line and write ``{tr,cv,tt}.csv`` and ``fingerprint.txt``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", help="key=value of the YAML")
    arguments = parser.parse_args()
    conf = load_corpus_config(arguments.corpus, arguments.overrides)
    wav_dir = wav_folder(arguments.data_dir, conf)
    facts = conf["corpus"]
    fingerprint = make_manifests(
        arguments.data_dir,
        wav_dir,
        n_src=facts["n_src"],
        sample_rate=facts["sample_rate"],
        nj=conf["nj"] or -1,
        problems=Problems(facts["keep_going"]),
        expected=facts.get("expected"),  # for corpora that have these facts
        mode=facts["mode"],
        allow_partial=facts.get("allow_partial", False),
    )
    print(f"metadata is in {wav_dir}/{{tr,cv,tt}}.csv, fingerprint {fingerprint}")


if __name__ == "__main__":
    run_command(main)
