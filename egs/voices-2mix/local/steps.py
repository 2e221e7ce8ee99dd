"""Find out how many training steps a processor does in a given time, and print them as settings.

Counted is the processor's own time, on one thread, so that other work on the machine does not
matter much. Printed are ``training.max_epochs`` and ``data.epoch_size``.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from pathlib import Path

import torch

from separation.config import load_config, wav_folder
from separation.errors import RecipeError, run_command
from separation.models.bfloat16 import in_bfloat16
from separation.training.trainer import Training

WARM_UP, MEASURED = 2, 6  # steps


def main() -> None:
    """Parse the command line, take some steps, print how many the time is enough for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of one thread, for all steps")
    parser.add_argument("--epochs", type=int, default=5, help="validations, which are not counted")
    parser.add_argument("overrides", nargs="*", help="key=value of the YAML")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    conf = load_config(arguments.corpus, arguments.tag, None, arguments.overrides)
    wav_dir = wav_folder(arguments.data_dir, conf)
    # Nothing is written: a training touches its folder only when it runs.
    training = Training(conf, arguments.data_dir, wav_dir, arguments.data_dir / "unused")
    seconds = seconds_of_a_step(training)
    steps = int(60 * arguments.minutes / seconds / arguments.epochs)
    if not steps:
        raise RecipeError(f"--minutes {arguments.minutes}: a step takes {seconds:.1f} s")
    print(f"training.max_epochs={arguments.epochs} data.epoch_size={steps * batch_size(training)}")


def batch_size(training: Training) -> int:
    """Mixtures of a step."""
    return training.system.train_loader.batch_size or 1


def seconds_of_a_step(training: Training) -> float:
    """Processor seconds of a training step: drawing, mixing, network, loss, optimizer."""
    system, start = training.system, 0.0
    device = torch.device("cpu")
    batches = iter(system.train_loader)
    for step in range(WARM_UP + MEASURED):
        if step == WARM_UP:
            start = time.process_time()
        with in_bfloat16(device) if training.precision == "bf16" else nullcontext():
            batch = system.on_after_batch_transfer(next(batches), 0)
            system.common_step(batch, step).backward()
        system.configure_gradient_clipping(system.optimizer)
        system.optimizer.step()
        system.optimizer.zero_grad()
    return (time.process_time() - start) / MEASURED


if __name__ == "__main__":
    run_command(main)
