"""run.sh: what it runs, in which order, and what it refuses.

A copy of run.sh drives recorders in place of the stages: they note their arguments and make what
the stage would leave, so that a whole run takes a fraction of a second.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from separation.config import ROOT

RECORDER = """
from separation.process import run_command
import json, os, pathlib, signal, sys
from separation.config import load_config, load_corpus_config, load_resolved, save_resolved
from separation.stages import (
    Stage, data_settings, evaluation_settings, train_settings
)
name, line = pathlib.Path(__file__).stem, sys.argv[1:]
with open("log", "a") as log:
    log.write(json.dumps([name, line, os.environ["RECIPE_COMMAND"]]) + "\\n")
value = lambda option: pathlib.Path(line[line.index(option) + 1])
changes = line[line.index("--") + 1 :] if "--" in line else []
def make(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
def stage_and_result():
    if name in ("prepare", "mix", "manifest"):
        data = value("--data_dir")
        made = ["lists/mix_2_spk_tr.txt", "wav8k/min/tr/mix/a.wav", "wav8k/min/tr.csv"]
        number = ["prepare", "mix", "manifest"].index(name)
        conf = load_corpus_config(str(value("--corpus")), changes)
        return Stage(number, data, data_settings(conf)), data / made[number]
    exp = value("--exp_dir")
    if name == "train":
        file = value("--conf") if "--conf" in line else None
        conf = load_config(str(value("--corpus")), str(value("--tag")), file, changes)
        stage = Stage(3, exp, train_settings(conf, {"corpus.corpus_dir"}))
        stage.begin()
        make(exp / "checkpoints" / "last.ckpt")
        save_resolved(conf, exp / "conf.yaml")
        return stage, exp / "best_model.pth"
    return Stage(4, exp, evaluation_settings(load_resolved(exp, changes))), value("--results")
def main():
    if name == "report":
        stage = result = None
    else:
        stage, result = stage_and_result()
        if name != "train":
            stage.begin()
    if os.path.exists("hang_" + name):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with open("ready", "w") as ready:  # a fifo: whoever reads it knows that this runs
            ready.write(str(os.getpid()))
        signal.pause()
    if os.path.exists("fail_" + name):
        sys.exit(f"error: {name} fails")
    if name == "report":
        print("the table")
        return
    make(result)
    stage.finish()
run_command(main)
"""
BASE = """
seed: 0
nj: 0
model: convtasnet
corpus: {name: "", default_tag: small, corpus_dir: "", levels_file: "", keep_going: false,
  sample_rate: 8000, mode: min, n_src: 2}
net_conf: {}
optim: {lr: 1.0e-3}
training: {max_epochs: 2, precision: auto, accelerator: auto, devices: 1, num_nodes: 1}
evaluation: {splits: [tt], metrics: [si_sdr]}
"""
CHECK = """  # the toy network is none of the project's
from separation.errors import RecipeError
def check_system(conf):
    if conf["evaluation"]["metrics"] == ["loudness"]:
        raise RecipeError("evaluation.metrics: unknown 'loudness'")
"""
STAGES = ["prepare", "mix", "manifest", "train", "evaluate", "report"]


class Recipe:
    """A copy of run.sh with recorders for stages."""

    def __init__(self, root):
        self.root = root
        for folder in ("conf", "egs/toy-2mix/local", "egs/other/local"):
            (root / folder).mkdir(parents=True)
        shutil.copy(ROOT / "run.sh", root)
        shutil.copytree(
            ROOT / "local", root / "local", ignore=shutil.ignore_patterns("__pycache__")
        )
        training = root / "local" / "separation" / "training"
        (training / "check.py").write_text(CHECK)
        resume = (training / "resume.py").read_text()
        (training / "resume.py").write_text(
            resume.replace("read_checkpoint(checkpoint, build_model(conf))", "pass")
        )
        (root / "path.sh").write_text(
            f'export PATH="{Path(sys.executable).parent}:$PATH" PYTHONPATH="$PWD/local"\n'
        )
        (root / "conf" / "base.yaml").write_text(BASE)
        (root / "conf" / "small.yaml").write_text("net_conf: {N: 8}\n")
        (root / "conf" / "paper.yaml").write_text("net_conf: {N: 512}\n")
        for corpus in ("toy-2mix", "other"):
            text = f"corpus:\n  name: {corpus}\n" + "  default_tag: small # x\n"
            (root / "egs" / corpus / "conf.yaml").write_text(text)
            (root / "egs" / corpus / "local" / "prepare.py").write_text(RECORDER)
        for name in STAGES[1:]:
            (root / "local" / f"{name}.py").write_text(RECORDER)

    def start(self, *options, cwd=None):
        """Start run.sh on toy-2mix in the background."""
        return subprocess.Popen(
            ["bash", str(self.root / "run.sh"), *self.corpus(options)],
            cwd=cwd or self.root.parent,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # pytest may have been started with Ctrl-C ignored, which children would inherit.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def corpus(self, options):
        return options if "--corpus" in options else ("--corpus", "toy-2mix", *options)

    def __call__(self, *options, cwd=None):
        """Run run.sh to its end: exit status, what it printed, and the stages it ran."""
        (self.root / "log").unlink(missing_ok=True)
        process = self.start(*options, cwd=cwd)
        self.out, self.err = process.communicate()
        return process.returncode, [name for name, _, _ in self.calls()]

    def calls(self):
        log = self.root / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []

    def arguments(self, stage):
        return next(line for name, line, _ in self.calls() if name == stage)


@pytest.fixture
def recipe(tmp_path):
    return Recipe(tmp_path / "a recipe")


def test_all_stages_in_order_with_their_arguments(recipe):
    assert recipe() == (0, STAGES)
    data, exp = "data/toy-2mix", "exp/toy-2mix_small"
    for stage in ("prepare", "mix", "manifest"):
        assert recipe.arguments(stage) == ["--corpus", "toy-2mix", "--data_dir", data, "--"]
    assert recipe.arguments("train") == [
        *("--corpus", "toy-2mix", "--tag", "small", "--data_dir", data, "--exp_dir", exp, "--"),
    ]
    assert recipe.arguments("evaluate") == [
        *("--exp_dir", exp, "--data_dir", data, "--results", "results/toy-2mix_small.csv", "--"),
    ]
    assert recipe.arguments("report") == ["--results_dir", "results", "--exp_root", "exp"]
    assert "the table" in recipe.out
    assert "results/toy-2mix_small.csv" in recipe.out.splitlines()[-1]


def test_a_second_call_only_reports(recipe):
    recipe()
    assert recipe("--nj", "7", "--devices", "2") == (0, ["report"])
    told = [line for line in recipe.out.splitlines() if "done before" in line]
    assert [line[:16] for line in told] == [f"run.sh: stage {n}:" for n in range(5)]


@pytest.mark.parametrize("stage", STAGES)
def test_going_on_after_a_failure_starts_at_the_unfinished_stage(recipe, stage):
    (recipe.root / f"fail_{stage}").touch()
    n = STAGES.index(stage)
    assert recipe() == (1, STAGES[: n + 1])
    assert recipe.err == f"error: {stage} fails\n"
    (recipe.root / f"fail_{stage}").unlink()
    assert recipe() == (0, STAGES[n:])
    if stage == "train":  # it left a checkpoint
        assert "--resume" in recipe.arguments("train")


def test_an_explicit_stage_runs_again_from_there(recipe):
    recipe()
    assert recipe("--stage", "2", "--stop_stage", "3") == (0, ["manifest", "train"])
    assert "--resume" not in recipe.arguments("train")
    assert recipe() == (0, ["evaluate", "report"])  # of the model trained anew
    assert recipe("--stage=4", "--stop-stage=4") == (0, ["evaluate"])
    assert recipe("--stop_stage", "4") == (0, [])


def test_options_and_overrides_are_forwarded_in_order(recipe):
    code, _ = recipe(
        *("--n_src", "3", "--sample-rate=8000", "--mode", "min", "--nj", "4", "--seed", "5"),
        *("--devices", "2", "--num_nodes", "1", "--tag", "paper", "--precision=bf16", "--"),
        *("optim.lr=5e-4", "evaluation.splits=[tt, cv]"),
    )
    assert code == 0
    forwarded = [
        *("--", "corpus.n_src=3", "corpus.sample_rate=8000", 'corpus.mode="min"', "nj=4"),
        *('training.precision="bf16"', "training.devices=2", "training.num_nodes=1", "seed=5"),
        *("optim.lr=5e-4", "evaluation.splits=[tt, cv]"),
    ]
    for stage in STAGES[:5]:
        line = recipe.arguments(stage)
        assert line[line.index("--") :] == forwarded
    assert recipe.arguments("evaluate")[:6] == [
        *("--exp_dir", "exp/toy-2mix-3spk_paper", "--data_dir", "data/toy-2mix-3spk"),
        *("--results", "results/toy-2mix-3spk_paper.csv"),
    ]


def test_the_command_line_is_recorded_so_that_a_shell_reads_it_back(recipe):
    recipe("--seed", "5", "--", "evaluation.splits=[tt, cv]")
    command = recipe.calls()[0][2]
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert words[0] == "./run.sh"
    assert words[-4:] == ["--seed", "5", "--", "evaluation.splits=[tt, cv]"]


def test_other_corpus_settings_spare_the_model_and_its_corpus(recipe):
    recipe()
    code, ran = recipe("--seed", "1")
    assert (code, ran) == (1, [])
    assert "exp/toy-2mix_small was trained with other settings" in recipe.err
    assert len(recipe.err.splitlines()) == 1
    assert recipe("--seed", "1", "--stop_stage", "2") == (0, STAGES[:3])
    assert recipe.out.count("was done with other settings; doing it again") == 1


def test_other_training_settings_never_overwrite_a_model_silently(recipe):
    recipe()
    assert recipe("--", "optim.lr=0.1") == (1, [])
    assert "--resume" in recipe.err and "--tag" in recipe.err and "--stage 3" in recipe.err
    assert recipe("--resume", "--", "optim.lr=0.1") == (0, STAGES[3:])
    assert "--resume" in recipe.arguments("train")
    assert recipe("--", "optim.lr=0.1") == (0, ["report"])
    assert recipe("--stage", "3") == (0, STAGES[3:])


def test_resuming_what_cannot_be_resumed_leaves_everything_as_it_is(recipe):
    assert recipe("--resume", "--stage", "3") == (1, [])
    assert "nothing to --resume from" in recipe.err
    recipe()
    assert recipe("--resume", "--", "net_conf.N=16") == (1, [])
    assert "was trained with net_conf.N=8, not 16" in recipe.err
    assert recipe() == (0, ["report"])


def test_options_that_a_corpus_has_no_use_for(recipe):
    options = '[{"name": "lists", "takes": "PATH", "key": "corpus.lists", "help": "lists"}]'
    other = recipe.root / "egs" / "other"
    (other / "options.json").write_text(options)
    (other / "conf.yaml").write_text('corpus: {default_tag: small, lists: ""}\n')
    assert recipe("--lists", str(recipe.root)) == (1, [])
    assert recipe.err == "error: --lists is an option of --corpus other only\n"
    assert recipe("--corpus", "other", "--lists", "nowhere") == (1, [])
    assert recipe.err == "error: --lists nowhere: no such folder or file\n"
    assert recipe("--levels_file", "nowhere.txt") == (1, [])
    assert recipe.err == "error: --levels_file nowhere.txt: no such folder or file\n"
    assert recipe("--corpus", "other", "--lists", str(recipe.root)) == (0, STAGES)
    assert recipe("--corpus", "other", "--stage", "0", "--stop_stage", "0") == (0, ["prepare"])
    assert recipe.arguments("prepare")[-1] == f'corpus.lists="{recipe.root}"'


def test_a_relative_path_is_relative_to_the_caller_whatever_cdpath_says(
    recipe, monkeypatch, tmp_path
):
    (recipe.root.parent / "here").mkdir()
    (tmp_path / "elsewhere" / "here").mkdir(parents=True)
    monkeypatch.setenv("CDPATH", str(tmp_path / "elsewhere"))
    assert recipe("--corpus_dir", "here", "--stop_stage", "0") == (0, ["prepare"])
    assert f'corpus.corpus_dir="{recipe.root.parent / "here"}"' in recipe.arguments("prepare")


def test_several_folders_of_recordings(recipe):
    for name in ("a", "b, c"):
        (recipe.root.parent / name).mkdir()
    for given, folders in (("a,b, c", None), ("a,a", ["a", "a"]), ("b, c", ["b, c"])):
        if folders is None:
            assert recipe("--corpus_dir", given) == (1, [])
            assert recipe.err == "error: --corpus_dir b: no such folder\n"
        else:
            assert recipe("--corpus_dir", given, "--stop_stage", "0") == (0, ["prepare"])
            paths = ",".join(str(recipe.root.parent / folder) for folder in folders)
            assert recipe.arguments("prepare")[-1] == f'corpus.corpus_dir="{paths}"'


def test_an_edited_system_counts_as_other_settings_and_a_comment_does_not(recipe):
    recipe()
    file = recipe.root / "conf" / "small.yaml"
    file.write_text("# the same\n" + file.read_text())
    assert recipe() == (0, ["report"])
    file.write_text("net_conf: {N: 9}\n")
    assert recipe() == (1, [])


def test_other_evaluation_settings_only_evaluate_again(recipe):
    recipe()
    assert recipe("--", "evaluation.splits=[tr]") == (0, ["evaluate", "report"])


def test_an_unfinished_training_with_other_settings_is_not_overwritten(recipe):
    (recipe.root / "fail_train").touch()
    recipe()
    (recipe.root / "fail_train").unlink()
    assert recipe("--", "optim.lr=0.1") == (1, [])
    assert recipe() == (0, STAGES[3:])


def test_recordings_are_remembered(recipe):
    recordings = recipe.root.parent / 'it\'s: #1|"2"'
    recordings.mkdir()
    assert recipe("--corpus_dir", recordings.name) == (0, STAGES)
    expected = f"corpus.corpus_dir={json.dumps(str(recordings))}"
    assert recipe.arguments("prepare")[-1] == expected
    assert recipe() == (0, ["report"])
    recipe("--stage", "0", "--stop_stage", "0")
    assert recipe.arguments("prepare")[-1] == expected
    code, ran = recipe("--corpus_dir", str(recipe.root), "--stop_stage", "2")
    assert (code, ran) == (0, STAGES[:3])


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


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "TERM"]
)
def test_a_signal_stops_the_stage_and_the_next_call_goes_on(recipe, number, code):
    os.mkfifo(recipe.root / "ready")
    (recipe.root / "hang_train").touch()
    process = recipe.start()
    stage = int((recipe.root / "ready").read_text())  # blocks until the stage runs
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code
    assert "stopped" in err.splitlines()[-1]
    with pytest.raises(ProcessLookupError):
        os.kill(stage, 0)
    (recipe.root / "hang_train").unlink()
    assert recipe() == (0, ["train", "evaluate", "report"])


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
def test_a_wrong_value_touches_nothing(recipe, options, says):
    recipe()
    for stage in ((), ("--stage", "0"), ("--stage", "3")):
        assert recipe(*stage, *options) == (1, [])
        assert says in recipe.err and len(recipe.err.splitlines()) == 1, recipe.err
    assert recipe() == (0, ["report"])


def test_a_marker_of_an_earlier_version_counts_as_other_settings(recipe):
    recipe()
    data, exp = recipe.root / "data" / "toy-2mix", recipe.root / "exp" / "toy-2mix_small"
    (data / ".done.stage1").write_text("0123456789abcdef||\n")
    (exp / ".done.stage3").write_text("0123456789abcdef\n")
    assert recipe() == (0, ["mix", "manifest", "report"])  # the model is compared by its conf.yaml
    assert recipe("--", "optim.lr=0.1") == (1, [])
    assert "optim.lr=0.001, not 0.1" in recipe.err


def ends(process):
    """Whether a process ends within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def hanging(recipe, stage="train"):
    """A run whose stage hangs; returns run.sh and the process of the stage."""
    if not (recipe.root / "ready").exists():
        os.mkfifo(recipe.root / "ready")
    (recipe.root / f"hang_{stage}").touch()
    run = recipe.start()
    return run, int((recipe.root / "ready").read_text())  # blocks until the stage runs


def test_a_stage_ends_with_a_run_that_was_killed_and_leaves_no_lock(recipe):
    run, stage = hanging(recipe)
    run.kill()
    run.stderr.read()  # its other end closes when the stage has ended, too
    assert ends(stage)
    (recipe.root / "hang_train").unlink()
    assert recipe() == (0, ["train", "evaluate", "report"])
    assert "--resume" in recipe.arguments("train")


@pytest.mark.parametrize("stage", ["mix", "train"])
def test_a_second_run_at_the_same_time_is_refused(recipe, stage):
    run, process = hanging(recipe, stage)
    (recipe.root / f"hang_{stage}").unlink()
    assert recipe() == (1, [stage])
    folder = "data/toy-2mix" if stage == "mix" else "exp/toy-2mix_small"
    assert recipe.err.startswith(f"error: {folder}: in use by process {process} on ")
    assert "./run.sh --corpus toy-2mix" in recipe.err and len(recipe.err.splitlines()) == 1
    run.terminate()
    run.communicate()
    assert recipe()[0] == 0
