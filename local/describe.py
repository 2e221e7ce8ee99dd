"""Describe systems: parameters, work, receptive field and latency, as a table.

Without --tag every system of conf/ is described. The receptive field is that of the convolutions;
a global norm (gln) sees the whole utterance on top, and such a system has no latency to speak of.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

from separation.arguments import make_parser
from separation.config import load_config
from separation.models.architecture import architecture
from separation.models.complexity import count_macs, count_parameters, in_ms
from separation.models.registry import build_model
from separation.report.tables import markdown
from separation.tree import tags

COLUMNS = ["system", "parameters", "GMAC/s", "receptive field, ms", "latency, ms"]


def main() -> None:
    """Parse the command line and print the table."""
    arguments = make_parser(
        __doc__,
        *("tag", "corpus", "overrides"),
        tag={"required": False, "nargs": "+", "default": tags(), "help": "systems of conf/"},
        corpus={"required": False, "default": "espeak-2mix", "help": "whose settings to use"},
    ).parse_args()
    rows = [row(arguments.corpus, tag, arguments.overrides) for tag in arguments.tag]
    print(markdown(COLUMNS, rows))


def row(corpus: str, tag: str, overrides: list[str]) -> list[str]:
    """The cells of one system."""
    conf = load_config(corpus, tag, None, overrides)
    settings, rate = architecture(conf), conf["corpus"]["sample_rate"]
    model = build_model(conf)
    field, delay = in_ms(settings.receptive_field, rate), in_ms(settings.latency, rate)
    return [
        tag,
        f"{count_parameters(model) / 1e6:.2f} M",
        f"{count_macs(model, rate) / 1e9:.2f}",
        "whole utterance" if field is None else f"{field:.0f}",
        "whole utterance" if delay is None else f"{delay:g}",
    ]


if __name__ == "__main__":
    run_command(main)
