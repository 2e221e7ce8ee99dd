"""Checkpoints: what is in them is never executed, and their paths lead nowhere else."""

import os
import pickle
import zipfile

import pytest
import torch

from separation.errors import RecipeError
from separation.training.checkpoints import AtomicCheckpoints, read_checkpoint


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def checkpoint(**changes):
    """The least that passes for a checkpoint."""
    progress = {"is_last_batch": True, "current": {"processed": 4}}
    best = {
        "dirpath": "/elsewhere/checkpoints",
        "best_model_path": "/elsewhere/checkpoints/best.ckpt",
        "kth_best_model_path": "/elsewhere/checkpoints/best.ckpt",
        "last_model_path": "",
        "best_k_models": {"/elsewhere/checkpoints/best.ckpt": torch.tensor(1.0)},
    }
    return {
        "epoch": 0,
        "global_step": 4,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": {"model.weight": torch.zeros(1, 2), "model.bias": torch.zeros(1)},
        "loops": {"fit_loop": {"epoch_loop.batch_progress": progress}},
        "callbacks": {"ModelCheckpoint": best, "EpochLog": {"rows": []}},
        "optimizer_states": [],
        "lr_schedulers": [],
        "bad_steps": 0,
        "train_sums": torch.zeros(2),
        **changes,
    }


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder / "last.ckpt"


def test_paths_become_those_of_its_own_folder(path):
    torch.save(checkpoint(), path)
    state = read_checkpoint(path, torch.nn.Linear(2, 1))["callbacks"]["ModelCheckpoint"]
    home = str(path.parent / "best.ckpt")
    assert state["dirpath"] == str(path.parent)
    assert state["best_model_path"] == state["kth_best_model_path"] == home
    assert state["last_model_path"] == ""
    assert state["best_k_models"] == {home: torch.tensor(1.0)}


def test_a_path_that_would_be_removed_does_not_lead_out(path):
    """Lightning removes the file of the model that a better one replaces."""
    hostile = checkpoint()
    for name in ("/etc/passwd", "x/../../../victim", ".."):
        hostile["callbacks"]["ModelCheckpoint"]["kth_best_model_path"] = name
        torch.save(hostile, path)
        if name == "..":
            with pytest.raises(RecipeError, match="last.ckpt: not a checkpoint of this training"):
                read_checkpoint(path)
        else:
            state = read_checkpoint(path)["callbacks"]["ModelCheckpoint"]
            assert os.path.dirname(state["kth_best_model_path"]) == str(path.parent)


@pytest.mark.parametrize("form", ["torch", "legacy", "pickle"])
def test_nothing_in_it_is_executed(path, tmp_path, form):
    bomb = checkpoint(callbacks=Bomb(tmp_path / "exploded"))
    if form == "pickle":
        path.write_bytes(pickle.dumps(bomb))
    else:
        torch.save(bomb, path, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(RecipeError, match="last.ckpt: damaged, or not a file of tensors"):
        AtomicCheckpoints().load_checkpoint(path, weights_only=False)
    assert not (tmp_path / "exploded").exists()
    with pytest.raises(FileExistsError):  # the bomb works
        (tmp_path / "exploded").mkdir()
        torch.load(path, weights_only=False)


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "text")
    elif content == "cut":
        torch.save(checkpoint(), path)
        path.write_bytes(path.read_bytes()[:-700])
    elif content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)
    else:
        torch.save(content, path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "damaged, or not a file"),
        (b"PK\x03\x04", "damaged, or not a file"),
        (b"not a checkpoint", "damaged, or not a file"),
        ("zip", "damaged, or not a file"),
        ("cut", "damaged, or not a file"),
        ("folder", "a folder, not a file"),
        ("pipe", "a pipe, not a file"),
        ([1, 2], "holds a list"),
        (torch.zeros(3), "holds a Tensor"),
        ({}, "'epoch' is missing or no int"),
        (checkpoint(epoch="1"), "'epoch' is missing or no int"),
        (checkpoint(loops={}), "not a checkpoint of this training"),
        (checkpoint(callbacks={"ModelCheckpoint": {"best_model_path": 5}}), "not a checkpoint"),
        (checkpoint(state_dict={}), "weights of another network: 'weight' is missing"),
        (
            checkpoint(state_dict={"model.weight": torch.zeros(1, 2), "model.bias": None}),
            "weights of another network: 'bias' is missing",
        ),
        (
            checkpoint(state_dict=checkpoint()["state_dict"] | {"model.x": torch.zeros(1)}),
            "weights of another network: 'x' is too many",
        ),
    ],
)
def test_a_bad_checkpoint_is_named_with_the_remedy(path, content, says):
    write(path, content)
    with pytest.raises(RecipeError, match=f"last.ckpt: .*{says}.*; remove it: --resume takes"):
        read_checkpoint(path, torch.nn.Linear(2, 1))
