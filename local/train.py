"""Stage 3: train a system."""

from __future__ import annotations

from separation.process import run_command  # isort: split

import shutil
from pathlib import Path

from separation.arguments import make_parser
from separation.config import Conf, load_config, load_resolved, save_resolved
from separation.corpus.layout import Corpus
from separation.corpus.manifest import read_fingerprint
from separation.inference.separator import pick_device
from separation.models.registry import RULE_FILE
from separation.options import location_keys
from separation.provenance import write_environment
from separation.ranges import ONE_AND_REST
from separation.stages import Stage, train_settings
from separation.tables import TRAINING_LOGS
from separation.training.resume import check_resume


def main() -> None:
    """Parse the command line, train, and say where the model is."""
    names = ("corpus", "tag", "conf", "data_dir", "exp_dir", "resume", "overrides")
    arguments = make_parser(
        __doc__, *names, exp_dir={"help": "the folder of the experiment, which is made"}
    ).parse_args()
    conf = load_config(arguments.corpus, arguments.tag, arguments.conf, arguments.overrides)
    exp_dir, corpus = arguments.exp_dir, Corpus.of(conf, arguments.data_dir)
    settings = train_settings(conf, location_keys(arguments.corpus))
    stage = Stage(3, exp_dir, settings, reads=arguments.data_dir)
    if arguments.resume:
        check_resume(conf, exp_dir)
        keep_precision(conf, exp_dir)
    # Lightning takes seconds; a wrong option or value is told before.
    from separation.evaluation.speakers import choose_stop_rule
    from separation.training.progress import is_first_process, set_up_logging
    from separation.training.trainer import Training

    training = Training(conf, corpus, exp_dir)
    # Nothing of an earlier training is touched before all that this one needs is there.
    if is_first_process():  # Lightning starts this script once more for every other device
        stage.begin()
        if not arguments.resume:
            remove_earlier(exp_dir)
        set_up_logging(exp_dir / "train.log")
        save_resolved(conf, exp_dir / "conf.yaml")
        write_environment(exp_dir / "environment.txt", read_fingerprint(corpus.wav_dir))
    training.run(arguments.resume)
    if is_first_process():
        if conf["training"]["assignment"] == ONE_AND_REST:
            print(choose_stop_rule(exp_dir, corpus, pick_device(None)))
        stage.finish()
    print(f"the model is {exp_dir}/best_model.pth")


def keep_precision(conf: Conf, exp_dir: Path) -> None:
    """Resume in the precision that the training chose when it began, unless one is asked for."""
    if conf["training"]["precision"] == "auto":
        conf["training"]["precision"] = load_resolved(exp_dir)["training"]["precision"]


def remove_earlier(exp_dir: Path) -> None:
    """Remove what an earlier training left, which would pass for this one's if it were stopped."""
    shutil.rmtree(exp_dir / "checkpoints", ignore_errors=True)
    shutil.rmtree(exp_dir / "tensorboard", ignore_errors=True)
    for name in ("best_model.pth", *TRAINING_LOGS, "train.log", RULE_FILE):
        (exp_dir / name).unlink(missing_ok=True)


if __name__ == "__main__":
    run_command(main)
