"""Short trainings of small networks, in this process."""

import pandas as pd
import torch

from separation.corpus.layout import Corpus
from separation.training.trainer import Training
from small_networks import SMALL, small_conf

NET = [f"net_conf.{item}" for item in SMALL["convtasnet"]]
QUICK = [
    "data.chunk_size=2000",
    "data.min_length=1000",
    "data.batch_size=2",
    "data.dynamic_mixing=false",
    "data.epoch_size=0",
    "data.speed_range=0",
    "training.accelerator=cpu",
    "training.precision=fp32",
    "training.max_minutes=0",
    "optim.schedule=plateau",
    "nj=1",
]


def conf_of(*overrides, tag="small"):
    return small_conf(tag, *QUICK, *overrides, corpus="minilibri-2mix")


def run(conf, data_dir, exp_dir, resume=False):
    Training(conf, Corpus.of(conf, data_dir), exp_dir).run(resume)
    return pd.read_csv(exp_dir / "training_log.csv")


def weights(exp_dir, name="last"):
    state = torch.load(exp_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return state["state_dict"]
