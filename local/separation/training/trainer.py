"""Training a system from its configuration. Entry point: :class:`Training`."""

from __future__ import annotations

import logging
import warnings
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, Timer, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader, Dataset

from separation.config import Conf
from separation.corpus.augmentation import Augmentation
from separation.corpus.datasets import (
    ChunkDataset,
    EpochSampler,
    ShardSampler,
    WholeDataset,
    collate,
)
from separation.corpus.dynamic import DynamicMixing, MixDraw, SpeakerDraw, stack
from separation.corpus.layout import Corpus
from separation.corpus.lists import read_sources
from separation.corpus.manifest import read_manifest
from separation.errors import RecipeError
from separation.models.bfloat16 import bfloat16_matmuls
from separation.models.complexity import count_parameters
from separation.models.fast import keep_freed_memory
from separation.models.registry import build_model, save_model
from separation.models.whole import compile_network
from separation.ranges import LOSS_UNITS
from separation.training.acceleration import (
    make_optimizer,
    pick_accelerator,
    pick_compile,
    pick_precision,
)
from separation.training.check import check_system
from separation.training.checkpoints import (
    AtomicCheckpoints,
    StepCheckpoint,
    WeightAverage,
    read_checkpoint,
)
from separation.training.initial import load_initial
from separation.training.losses import make_loss
from separation.training.progress import EpochLog
from separation.training.resume import newest_checkpoint
from separation.training.schedule import BudgetSchedule, PlateauSchedule, Warmup
from separation.training.system import SeparationSystem

log = logging.getLogger("separation")
PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}


class Training:
    """A training that has all it needs, and has not begun.

    Making one reads the data and touches no file of the experiment; :meth:`run` trains.

    Args:
        conf: the merged configuration; a precision of ``auto`` is decided here, and set in it.
        corpus: with manifests of tr and cv, and recordings for dynamic mixing.
        exp_dir: the experiment folder.

    Raises:
        RecipeError: a wrong value in the configuration, missing data.
    """

    def __init__(self, conf: Conf, corpus: Corpus, exp_dir: Path) -> None:
        check_system(conf)
        keep_freed_memory()
        pl.seed_everything(conf["seed"], verbose=False)
        conf["training"]["precision"] = pick_precision(conf["training"])
        self.conf, self.exp_dir = conf, exp_dir
        model = build_model(conf)
        load_initial(model, conf)
        self.precision = conf["training"]["precision"]
        self.compiled = pick_compile(conf["training"])
        if self.compiled:
            compile_network(model)
        loader = train_loader(conf, corpus)
        dataset = loader.dataset
        self.system = SeparationSystem(
            model=model,
            optimizer=make_optimizer(conf, model),
            loss_func=make_loss(conf),
            train_loader=loader,
            val_loader=cv_loader(conf, corpus),
            clip_grad_norm=conf["training"]["clip_grad_norm"],
            max_bad_steps=conf["training"]["max_bad_steps"],
            mixer=dataset.mixer() if isinstance(dataset, DynamicMixing) else None,
        )
        try:
            self.average = WeightAverage(conf["training"]["average_epochs"])
            self.trainer, self.best = make_trainer(conf, exp_dir, self.precision, self.average)
        except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
            what = " ".join(str(error).split())
            raise RecipeError(
                f"training.accelerator, devices or num_nodes cannot be had here: {what}"
            ) from error

    def run(self, resume: bool) -> None:
        """Train, and write ``best_model.pth``, checkpoints and logs to the experiment folder.

        Args:
            resume: continue from the newest checkpoint.

        Raises:
            RecipeError: a damaged checkpoint, a training that ended before its first validation,
                or too many steps in a row that were not finite.
        """
        checkpoint = newest_checkpoint(self.exp_dir) if resume else None
        system, trainer, best = self.system, self.trainer, self.best
        log.info(
            "%s with %d parameters in %s, %d training mixtures an epoch",
            self.conf["model"],
            count_parameters(system.model),
            self.precision,
            len(system.train_loader.sampler),
        )
        rounded = self.precision == "bf16" and not self.compiled
        with bfloat16_matmuls(trainer.strategy.root_device) if rounded else nullcontext():
            trainer.fit(system, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
        if trainer.interrupted:
            raise KeyboardInterrupt
        if not best.best_model_path:
            raise RecipeError(
                "training ended before it was validated once; give more training.max_minutes"
            )
        if trainer.is_global_zero:
            state = read_checkpoint(Path(best.best_model_path), system.model)
            score = float(state["callbacks"][best.state_key]["current_score"])
            unit = LOSS_UNITS[self.conf["training"]["loss"]]
            log.info("best epoch %d: cv loss %s", state["epoch"], f"{score:.4g} {unit}".strip())
            weights = state["state_dict"]
            if self.average.kept:
                weights = self.average.mean()
                log.info("the model is the mean of the last %d epochs", len(self.average.kept))
            system.load_state_dict(weights)
            save_model(system.model, self.exp_dir / "best_model.pth")
        trainer.strategy.barrier()  # stage 4 waits for the model


def train_loader(conf: Conf, corpus: Corpus) -> DataLoader:
    """Batches of training chunks, as ``data:`` of the configuration says.

    Raises:
        RecipeError: a manifest or recordings that are missing or bad, or dynamic mixing with noise.
    """
    data, settings = conf["data"], conf["corpus"]
    manifest = read_manifest(corpus.manifest("tr"), corpus.n_src, corpus.numbers[0])
    dataset: Dataset
    if data["dynamic_mixing"]:
        if settings.get("task") == "sep_noisy":
            raise RecipeError(
                "data.dynamic_mixing mixes clean speech, but corpus.task is sep_noisy;"
                " set data.dynamic_mixing=false"
            )
        draw = MixDraw(
            data["chunk_size"],
            data["gain_range"],
            data["speed_range"],
            SpeakerDraw(data["draw_speakers"], settings.get("group_weights", {})),
            Augmentation(**data["augment"]),
        )
        utterances = [u for u in read_sources(corpus.data_dir) if u.split == "tr"]
        size = data["epoch_size"] or len(manifest)
        dataset = DynamicMixing(utterances, corpus, draw, size, conf["seed"], conf["nj"])
    else:
        dataset = ChunkDataset(
            manifest,
            corpus,
            data["chunk_size"],
            min_length=data["min_length"],
            chunking=data["chunking"],
            seed=conf["seed"],
        )
    return DataLoader(
        dataset,
        batch_size=data["batch_size"],
        sampler=EpochSampler(len(dataset), conf["seed"]),
        collate_fn=stack if data["dynamic_mixing"] else collate,
        num_workers=data["num_workers"],
        persistent_workers=data["num_workers"] > 0,
        drop_last=False,
    )


def cv_loader(conf: Conf, corpus: Corpus) -> DataLoader:
    """Whole validation mixtures, one at a time: padding would change a global norm's statistics."""
    manifest = read_manifest(corpus.manifest("cv"), corpus.n_src, corpus.numbers[0])
    dataset = WholeDataset(manifest, corpus.n_src, corpus.sample_rate)
    return DataLoader(
        dataset,
        batch_size=1,
        sampler=ShardSampler(len(dataset)),
        collate_fn=collate,
        num_workers=conf["data"]["num_workers"],
    )


def make_trainer(
    conf: Conf, exp_dir: Path, precision: str, average: WeightAverage
) -> tuple[pl.Trainer, ModelCheckpoint]:
    """Lightning's Trainer with the recipe's callbacks, and the one that keeps the best model."""
    training, optim = conf["training"], conf["optim"]
    minutes = training["max_minutes"]
    timer = Timer({"seconds": minutes * 60} if minutes else None, verbose=False)
    folder = exp_dir / "checkpoints"
    best = ModelCheckpoint(folder, "best", monitor="val_loss", enable_version_counter=False)
    last = ModelCheckpoint(
        folder, "last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    midway = StepCheckpoint(
        folder,
        "midway",
        train_time_interval=timedelta(minutes=training["save_minutes"]),
        enable_version_counter=False,
    )
    if optim["schedule"] == "plateau":
        schedule: pl.Callback = PlateauSchedule(optim["halve_patience"])
    else:
        schedule = BudgetSchedule(optim["lr"], optim["decay_share"], minutes, timer)
    warmup = Warmup(optim["lr"], optim["warmup_steps"])
    epoch_log = EpochLog(exp_dir / "training_log.csv", timer, LOSS_UNITS[training["loss"]])
    # The average comes first: the weights of an epoch are then in that epoch's checkpoints.
    callbacks = [timer, schedule, warmup, epoch_log, average, best, last, midway]
    if training["early_stop"]:
        callbacks.append(EarlyStopping("val_loss", patience=training["early_stop"], verbose=False))
    callbacks.append(TQDMProgressBar(refresh_rate=10))
    quiet_lightning()
    trainer = pl.Trainer(
        accelerator=pick_accelerator(training),
        devices=training["devices"],
        num_nodes=training["num_nodes"],
        strategy="ddp" if training["devices"] * training["num_nodes"] > 1 else "auto",
        precision=PRECISIONS[precision],
        max_epochs=training["max_epochs"],
        accumulate_grad_batches=training["accumulate"],
        callbacks=callbacks,
        plugins=[AtomicCheckpoints()],
        logger=TensorBoardLogger(exp_dir, name="", version="tensorboard"),
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
    )
    return trainer, best


def quiet_lightning() -> None:
    """Keep Lightning's and its dependencies' advertisements and known warnings off the console."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*number of training batches.*smaller than the logging interval.*",
        ".*dataloader is not resumable.*",
        ".*exists and is not empty.*",
        ".*LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message)
