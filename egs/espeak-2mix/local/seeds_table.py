"""The table of a comparison: a row a system, the mean over its seeds, best first."""

from __future__ import annotations

from separation.process import run_command  # isort: split

from pathlib import Path

import pandas as pd

from separation.arguments import make_parser
from separation.files import atomic_path
from separation.report.tables import load_results, markdown

COLUMNS = ["system", "SI-SDRi tt", "each seed", "SI-SDRi tr", "parameters", "GMAC/s", "epochs"]


def main() -> None:
    """Parse the command line, write RESULTS.md beside the results, print it."""
    parser = make_parser(__doc__)
    parser.add_argument("results_dir", type=Path, help="folder of the result files")
    parser.add_argument("title", help="of the table")
    arguments = parser.parse_args()
    results = load_results(arguments.results_dir)
    text = "\n\n".join(
        [
            f"# {arguments.title}",
            "Means over seeds, dB; tt: voices that training never heard, tr: voices that it heard.",
            "\n".join(["```sh", *results["command"].unique(), "```"]),
            seeds_table(results),
        ]
    )
    with atomic_path(arguments.results_dir / "RESULTS.md") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(text)


def seeds_table(results: pd.DataFrame) -> str:
    """Make the table from rows whose tags are ``<system>-seed<number>``."""
    rows = results[results["subset"] == "all"].copy()
    rows[["system", "seed"]] = rows["tag"].str.rsplit("-seed", n=1, expand=True)
    table = []
    for system, of_system in rows.groupby("system"):
        seeds = of_system[of_system["split"] == "tt"].sort_values("seed")
        seen = of_system[of_system["split"] == "tr"]
        facts = seeds.iloc[0]
        cells = [
            str(system),
            f"{seeds['si_sdri'].mean():.2f}",
            ", ".join(f"{value:.2f}" for value in seeds["si_sdri"]),
            f"{seen['si_sdri'].mean():.2f}",
            f"{facts['parameters'] / 1e6:.2f} M",
            f"{facts['macs_per_second'] / 1e9:.2f}",
            f"{seeds['epochs'].mean():.0f}",
        ]
        table.append((seeds["si_sdri"].mean(), cells))
    table.sort(key=lambda row: row[0], reverse=True)
    return markdown(COLUMNS, [cells for _, cells in table])


if __name__ == "__main__":
    run_command(main)
