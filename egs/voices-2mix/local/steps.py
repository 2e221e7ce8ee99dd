"""Find out how many steps one training takes in the time of another's, and print them as settings.

Steps of both are taken in turn, on one thread, and the medians of the processor's own time for them
compared: what else the machine does slows down both. Printed are ``training.max_epochs`` and
``data.epoch_size``.
"""

from __future__ import annotations

from separation.process import run_command  # isort: split

import time
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median

import torch

from separation.arguments import make_parser
from separation.config import load_config
from separation.corpus.layout import Corpus
from separation.errors import RecipeError
from separation.models.bfloat16 import in_bfloat16
from separation.training.trainer import Training

WARM_UP, MEASURED = 2, 9  # steps


def main() -> None:
    """Parse the command line, take some steps of both, print how many the time is enough for."""
    parser = make_parser(__doc__, "corpus", "tag", "data_dir", "overrides")
    parser.add_argument("--steps", type=int, required=True, help="of the training without changes")
    parser.add_argument("--epochs", type=int, default=5, help="validations, which are not counted")
    parser.add_argument("--change", action="append", default=[], help="key=value, of the other one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trainings = []
    for overrides in (arguments.overrides, [*arguments.overrides, *arguments.change]):
        conf = load_config(arguments.corpus, arguments.tag, None, overrides)
        corpus = Corpus.of(conf, arguments.data_dir)
        # Nothing is written: a training touches its folder only when it runs.
        training = Training(conf, corpus, arguments.data_dir / "unused")
        trainings.append(training)
    base, changed = seconds_of_steps(trainings) if arguments.change else (1.0, 1.0)
    steps = round(arguments.steps * base / changed / arguments.epochs)
    if not steps:
        raise RecipeError(f"--steps {arguments.steps}: not enough for {arguments.epochs} epochs")
    mixtures = steps * (trainings[1].system.train_loader.batch_size or 1)
    print(f"training.max_epochs={arguments.epochs} data.epoch_size={mixtures}")


def seconds_of_steps(trainings: list[Training]) -> list[float]:
    """Processor seconds of a training step of each: drawing, mixing, network, loss, optimizer."""
    steps = [stepper(training) for training in trainings]
    seconds: list[list[float]] = [[] for _ in steps]
    for _ in range(WARM_UP + MEASURED):
        for step, taken in zip(steps, seconds, strict=True):
            start = time.process_time()
            step()
            taken.append(time.process_time() - start)
    return [median(taken[WARM_UP:]) for taken in seconds]


def stepper(training: Training) -> Callable[[], None]:
    """Make a function that takes the next step of a training."""
    system, batches = training.system, iter(training.system.train_loader)
    bf16 = training.precision == "bf16"

    def step() -> None:
        with in_bfloat16(torch.device("cpu")) if bf16 else nullcontext():
            batch = system.on_after_batch_transfer(next(batches), 0)
            system.common_step(batch, 0).backward()
        system.configure_gradient_clipping(system.optimizer)
        system.optimizer.step()
        system.optimizer.zero_grad()

    return step


if __name__ == "__main__":
    run_command(main)
