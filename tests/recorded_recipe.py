"""A copy of run.sh that drives recorders in place of the stages.

They note their arguments and make what the stage would leave, so that a whole run takes a fraction
of a second.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from recipe_copy import half_written
from separation.config import ROOT

RECORDER = """
from separation.process import run_command
import json, os, pathlib, signal, sys
from separation.config import load_config, load_corpus_config, load_resolved, save_resolved
from separation.stages import (
    Stage, data_settings, evaluation_settings, oracle_settings, train_settings
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
        if name == "manifest":
            make(data / "wav8k/min/tt.csv")
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
    if "--tag" in line:
        settings = oracle_settings(load_corpus_config(str(value("--corpus")), changes))
    else:
        settings = evaluation_settings(load_resolved(exp, changes))
    return Stage(4, exp, settings), value("--results")
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
training: {assignment: permutation, max_epochs: 2, precision: auto, accelerator: auto, devices: 1,
  num_nodes: 1}
evaluation: {splits: [tt], metrics: [si_sdr], metrics_backend: own, oracle_window_ms: 32.0,
  oracle_hop_ms: 8.0}
"""
CHECK = """  # the toy network is none of the project's
from separation.errors import RecipeError
def check_system(conf):
    if conf["evaluation"]["metrics"] == ["loudness"]:
        raise RecipeError("evaluation.metrics: unknown 'loudness'")
"""
STAGES = ["prepare", "mix", "manifest", "train", "evaluate", "report"]


class Recipe:
    """A copy of run.sh with recorders for stages, or of such a copy as it is by now."""

    def __init__(self, root, earlier=None):
        self.root = root
        if earlier:
            shutil.copytree(earlier.root, root)
        else:
            self.make()

    def make(self):
        root = self.root
        for folder in ("conf", "egs/toy-2mix/local", "egs/other/local"):
            (root / folder).mkdir(parents=True)
        shutil.copy(ROOT / "run.sh", root)
        shutil.copytree(ROOT / "local", root / "local", ignore=half_written)
        training = root / "local" / "separation" / "training"
        (training / "check.py").write_text(CHECK)
        resume = (training / "resume.py").read_text()
        (training / "resume.py").write_text(
            resume.replace("    check_checkpoint(checkpoint, conf)\n", "")
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
