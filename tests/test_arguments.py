"""Command lines of the programs: a mistake is one line that names it and what was meant."""

import pytest

from separation.arguments import make_parser
from separation.errors import RecipeError


def parser_of_two():
    parser = make_parser("Separates.", "exp_dir", "overrides")
    parser.add_argument("--mixdown", action="store_true")
    return parser


def refusal(parser, *words):
    with pytest.raises(RecipeError) as caught:
        parser.parse_args(words)
    return str(caught.value)


def test_a_mistyped_option_is_named_before_the_required_one_that_it_stands_for():
    line = refusal(parser_of_two(), "--expdir", "exp/a")
    assert line == "unknown option --expdir (did you mean '--exp_dir'?); --help lists them"
    assert refusal(parser_of_two(), "--expdir=exp/a") == line
    assert refusal(parser_of_two(), "--exp_dir", "a", "--zzz").startswith("unknown option --zzz; ")


def test_other_mistakes_are_one_line():
    line = refusal(parser_of_two(), "--mixdown")
    assert line == "the following arguments are required: --exp_dir; --help lists what there is"
    assert "expected one argument" in refusal(parser_of_two(), "--exp_dir")


def test_what_is_right_is_read():
    words = ["--exp=a", "--mixd", "--", "training.loss=snr", "--odd"]
    arguments = parser_of_two().parse_args(words)
    assert (str(arguments.exp_dir), arguments.mixdown) == ("a", True)
    assert arguments.overrides == ["training.loss=snr", "--odd"]


def test_a_command_of_a_program_knows_its_own_options():
    parser = make_parser("Measures.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("training").add_argument("--chunk_size", type=int)
    assert parser.parse_args(["training", "--chunk_size", "8"]).chunk_size == 8
    line = refusal(parser, "training", "--chunk", "8", "--chunksize", "9")
    assert line.startswith("unknown option --chunksize (did you mean '--chunk_size'?)")
    assert "invalid choice: 'train'" in refusal(parser, "train")
