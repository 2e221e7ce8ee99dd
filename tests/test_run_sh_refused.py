"""run.sh: what it refuses, in one line, before anything is run."""

import shutil
import subprocess

import pytest

from recorded_recipe import STAGES
from separation.config import ROOT


@pytest.mark.parametrize(
    ("stage", "missing", "maker"),
    [
        (1, "data/toy-2mix/lists", 0),
        (2, "data/toy-2mix/wav8k/min/tr/mix", 1),
        (3, "data/toy-2mix/wav8k/min/tr.csv", 2),
        (4, "exp/toy-2mix_small/best_model.pth", 3),
    ],
)
def test_missing_input_names_the_stage_that_makes_it(recipe, stage, missing, maker):
    assert recipe("--stage", str(stage)) == (1, [])
    assert recipe.err.startswith(f"error: {missing} is missing: stage {maker} makes it")
    assert len(recipe.err.splitlines()) == 1
    assert not (recipe.root / "exp").exists() and not (recipe.root / "data").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--stgae", "3"], ["--stgae", "'--stage'"]),
        (["--stop-stag=3"], ["'--stop_stage'"]),
        (["--n-scr", "3"], ["'--n_src'"]),
        (["--stage", "six"], ["--stage six", "0 to 5"]),
        (["--stage", "3", "--stop_stage", "2"], ["--stop_stage 2"]),
        (["--seed"], ["--seed needs a value"]),
        (["--seed", "--nj", "2"], ["--seed needs a value"]),
        (["--tag="], ["--tag needs a value"]),
        (["--resume=yes"], ["--resume takes no value"]),
        (["optim.lr=1"], ["optim.lr=1", "after a --"]),
        (["--tag", "smal"], ["conf/smal.yaml", "'small'", "paper small", "--conf FILE"]),
        (["--tag", "oracle_wfn"], ["'oracle_wfm'", "oracle_mixture"]),
        (["--tag", "oracle_ibm", "--conf", "a recipe/conf/small.yaml"], ["leave --conf out"]),
        (["--tag", "oracle_ibm", "--stage", "4"], ["wav8k/min/tt.csv is missing: stage 2"]),
        (
            ["--tag", "oracle_ibm", "--", "evaluation.oracle_hop_ms=50"],
            ["evaluation.oracle_hop_ms"],
        ),
        (["--tag", "../small"], ["'../small'"]),
        (["--corpus", "toy-2mx"], ["'toy-2mix'", "other toy-2mix"]),
        (["--conf", "a recipe/conf/small.yaml"], ["--conf needs --tag"]),
        (["--tag", "new", "--conf", "none.yaml"], ["--conf none.yaml: no such file"]),
        (["--tag", "paper", "--conf", "a recipe/conf/small.yaml"], ["means conf/paper.yaml"]),
        (["--corpus_dir", "nowhere"], ["--corpus_dir nowhere: no such folder"]),
        (["--", "optim.lrr=1"], ["optim.lrr", "'lr'"]),
        (["--n_src", "many"], ["'corpus.n_src' must be a whole number, not 'many'"]),
    ],
)
def test_errors_are_one_line_and_nothing_is_run(recipe, options, words):
    assert recipe(*options) == (1, [])
    assert len(recipe.err.splitlines()) == 1, recipe.err
    for word in words:
        assert word in recipe.err
    assert not (recipe.root / "data").exists() and not (recipe.root / "exp").exists()


def test_a_new_tag_takes_its_file_from_the_callers_folder(recipe):
    mine = recipe.root.parent / "my system.yaml"
    mine.write_text("net_conf: {N: 4}\n")
    assert recipe("--tag", "mine", "--conf", mine.name) == (0, STAGES)
    line = recipe.arguments("train")
    assert line[line.index("--conf") + 1] == str(mine)
    assert line[line.index("--exp_dir") + 1] == "exp/toy-2mix_mine"


def test_a_system_does_not_change_the_corpus(recipe):
    (recipe.root / "conf" / "wide.yaml").write_text("corpus: {sample_rate: 16000}\n")
    assert recipe("--tag", "wide") == (1, [])
    assert recipe.err.startswith("error: conf/wide.yaml: 'corpus'")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_option_corpus_and_tag(recipe, option):
    assert recipe(option) == (0, [])
    names = "stage stop_stage corpus corpus_dir tag conf n_src sample_rate mode nj devices"
    for name in [*names.split(), "precision", "num_nodes", "seed", "resume", "help"]:
        assert f"  --{name} " in recipe.out
    assert "other toy-2mix" in recipe.out
    assert "paper small" in recipe.out


@pytest.mark.parametrize("corpus", ["espeak-2mix", "minilibri-2mix"])
def test_the_run_sh_of_a_corpus_forwards_to_the_driver(recipe, corpus):
    folder = recipe.root / "egs" / corpus
    folder.mkdir()
    shutil.copy(ROOT / "egs" / corpus / "run.sh", folder)
    (recipe.root / "run.sh").write_text("printf '%s\\n' \"$@\"\n")
    result = subprocess.run(
        [folder / "run.sh", "--tag", "a b"], cwd="/", capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == ["--corpus", corpus, "--tag", "a b"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--precision", "fp64"], "training.precision is 'fp64'"),
        (["--precision", "x: y"], "training.precision is 'x: y'"),
        (["--seed", "-1"], "seed is -1: must be 0 or more"),
        (["--devices", "0"], "training.devices is 0: must be 1 or more"),
        (["--num_nodes", "0"], "training.num_nodes is 0: must be 1 or more"),
        (["--", "optim.lr=-1"], "optim.lr is -1.0: must be more than 0"),
        (["--", "evaluation.splits=[zz]"], "evaluation.splits is ['zz']: known: tr, cv, tt"),
        (["--", "evaluation.metrics=[loudness]"], "evaluation.metrics: unknown 'loudness'"),
        (["--corpus", "toy-2mix/"], "--corpus toy-2mix/: there is no such corpus"),
        (["--corpus", "../egs/toy-2mix"], "--corpus ../egs/toy-2mix: there is no such corpus"),
        (["--help=x"], "--help takes no value"),
    ],
)
def test_a_wrong_value_touches_nothing(ran, options, says):
    for stage in ((), ("--stage", "0"), ("--stage", "3")):
        assert ran(*stage, *options) == (1, [])
        assert says in ran.err and len(ran.err.splitlines()) == 1, ran.err
    assert ran() == (0, ["report"])


def test_a_marker_of_an_earlier_version_counts_as_other_settings(ran):
    data, exp = ran.root / "data" / "toy-2mix", ran.root / "exp" / "toy-2mix_small"
    (data / ".done.stage1").write_text("0123456789abcdef||\n")
    (exp / ".done.stage3").write_text("0123456789abcdef\n")
    assert ran() == (0, ["mix", "manifest", "report"])  # the model is compared by its conf.yaml
    assert ran("--", "optim.lr=0.1") == (1, [])
    assert "optim.lr=0.001, not 0.1" in ran.err
