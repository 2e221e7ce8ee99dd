"""The shelf: what is put there, what is found, and that its models work as their scores say."""

import os
import shelve
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from asteroid.models import BaseModel

import evaluate
import separate
from separation import tree
from separation.config import ROOT, load_resolved, save_resolved
from separation.errors import RecipeError
from separation.models import shelf
from separation.models.architecture import import_all
from separation.models.registry import RULE_FILE, load_model, save_model
from separation.models.shelf import SHELF, describe_shelf, find_system, put_on_shelf
from separation.tree import output_dir, system_of
from small_networks import small_conf, small_network

SHELVED = shelf.names()


@pytest.fixture
def experiment(tmp_path):
    folder = tmp_path / "exp"
    save_model(small_network("causal"), folder / "best_model.pth")
    conf = small_conf("causal", "corpus.corpus_dir=/home/me", "training.init=exp/mine")
    save_resolved(conf, folder / "conf.yaml")
    (folder / "training_log.csv").write_text("epoch,loss\n0,1\n")
    return folder


@pytest.fixture
def own_shelf(tmp_path, monkeypatch):
    for module in (shelf, tree):
        monkeypatch.setattr(module, "SHELF", tmp_path / "pretrained")
    return tmp_path / "pretrained"


def test_weights_are_halved_and_computed_in_float32(experiment, own_shelf):
    folder = put_on_shelf(experiment, "mine", own_shelf)
    package = torch.load(folder / "model.pth", weights_only=True)
    assert {v.dtype for v in package["state_dict"].values()} == {torch.float16}
    original, shelved = load_model(experiment), load_model(folder)
    for name, weight in shelved.state_dict().items():
        assert torch.equal(weight, original.state_dict()[name].half().float())
    plain = BaseModel.from_pretrained(str(folder / "model.pth"))
    wav = torch.randn(1, 1000)
    with torch.no_grad():
        torch.testing.assert_close(plain(wav), shelved(wav), rtol=1e-4, atol=1e-6)
    assert load_resolved(folder) == small_conf("causal")  # without places of this machine
    assert (folder / "training_log.csv").read_text() == "epoch,loss\n0,1\n"


def test_a_large_model_is_refused(experiment, own_shelf, monkeypatch):
    monkeypatch.setattr(shelf, "LARGEST_FILE", 1000)
    with pytest.raises(RecipeError, match=r"MB in float16; the shelf takes"):
        put_on_shelf(experiment, "mine", own_shelf)
    assert not (own_shelf / "mine" / "model.pth").exists()


def test_the_stop_rule_of_one_and_rest_comes_along(experiment, own_shelf):
    put_on_shelf(experiment, "plain", own_shelf)
    (experiment / RULE_FILE).write_text("stop_db: -12.0\nn_max: 3\n")
    put_on_shelf(experiment, "counts", own_shelf)
    assert not (own_shelf / "plain" / RULE_FILE).exists()
    assert (own_shelf / "counts" / RULE_FILE).read_text() == "stop_db: -12.0\nn_max: 3\n"


def test_a_name_is_a_folder_or_a_model_of_the_shelf(experiment, own_shelf, monkeypatch):
    monkeypatch.chdir(experiment.parent)
    put_on_shelf(experiment, "mine", own_shelf)
    (own_shelf / "mine" / "README.md").write_text("# mine: of nobody\n\nmore\n")
    put_on_shelf(experiment, "mine_live", own_shelf)
    assert describe_shelf() == "mine           of nobody\nmine_live"
    for name in ("mine", "pretrained/mine"):
        assert find_system(shelf.Path(name)).resolve() == own_shelf / "mine"
    assert find_system(experiment) == experiment
    assert find_system(experiment / "not there") == experiment / "not there"
    says = r"--exp_dir mime: neither .* \(did you mean 'mine'\?\); on the shelf: mine mine_live"
    with pytest.raises(RecipeError, match=says):
        find_system(shelf.Path("mime"))
    experiment.rename(experiment.with_name("mine"))  # an experiment here comes first
    assert find_system(shelf.Path("mine")) == shelf.Path("mine")
    (own_shelf.parent / "mine_live").mkdir()  # a folder without a model does not
    assert find_system(shelf.Path("mine_live")) == own_shelf / "mine_live"


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_code_does_not(tmp_path, own_shelf):
    (own_shelf / "bad").mkdir(parents=True)
    torch.save({"state_dict": Bomb(tmp_path / "ran")}, own_shelf / "bad" / "model.pth")
    with pytest.raises(RecipeError, match=r"bad/model.pth: damaged, or not a file of tensors"):
        load_model(find_system(shelf.Path("bad")))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", SHELVED)
def test_a_shelved_model_is_whole_and_separates_as_its_scores_say(name):
    folder = SHELF / name
    assert (folder / "model.pth").stat().st_size < 8e6
    assert (folder / "README.md").read_text().startswith(f"# {name}: ")
    conf = load_resolved(folder)
    import_all()  # architectures of this project's own register with Asteroid
    plain = BaseModel.from_pretrained(str(folder / "model.pth"))
    assert plain.sample_rate == conf["corpus"]["sample_rate"]
    found, known = shelve.score_sample(folder), pd.read_csv(folder / "sample.csv")
    assert found["mixture"].tolist() == known["mixture"].tolist()
    assert np.abs(found["si_sdri"] - known["si_sdri"]).max() <= 0.01
    assert not pd.read_csv(folder / "results.csv").empty


@pytest.mark.skipif("voices" not in SHELVED, reason="no model 'voices' on the shelf")
def test_a_recording_is_separated_with_nothing_trained_before(tmp_path, monkeypatch):
    mixture = SHELF / "sample" / "fm" / "mix.flac"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["separate.py", str(mixture), "-o", "out"])
    separate.main()
    one, two = (soundfile.read(tmp_path / "out" / f"mix_s{k}.flac")[0] for k in (1, 2))
    whole = soundfile.read(mixture)[0]
    assert len(one) == len(two) == len(whole)
    assert np.abs(one + two - whole).max() < 0.1


def test_the_shelf_is_listed(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["separate.py", "--list_models"])
    with pytest.raises(SystemExit) as end:
        separate.main()
    assert end.value.code == 0
    assert capsys.readouterr().out == describe_shelf() + "\n"


@pytest.mark.parametrize("named", ["mine", "pretrained/mine", "./pretrained/mine"])
def test_a_shelved_model_is_evaluated_beside_the_experiments(world, own_shelf, monkeypatch, named):
    monkeypatch.chdir(own_shelf.parent)
    put_on_shelf(world.exp_dir, "mine", own_shelf)
    monkeypatch.setattr(tree, "ROOT", world.root)
    monkeypatch.setattr(evaluate, "ROOT", world.root)
    arguments = ["--exp_dir", named, "--data_dir", str(world.data_dir), "--", "nj=1"]
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
    evaluate.main()
    (row,) = pd.read_csv(own_shelf / "mine" / "results.csv").query("subset == 'all'").itertuples()
    assert (row.corpus, row.tag, row.split) == ("espeak-2mix", "mine", "tt")
    assert (world.root / "exp" / "pretrained_mine" / "eval_tt" / "scores.csv").is_file()
    made = {path.name for path in (own_shelf / "mine").iterdir()}
    assert made == {"model.pth", "conf.yaml", "training_log.csv", "results.csv"}


def test_what_is_made_of_a_model_lies_outside_the_shelf(tmp_path):
    assert output_dir(SHELF / "voices") == ROOT / "exp" / "pretrained_voices"
    assert output_dir(tmp_path) == tmp_path


def test_the_model_is_found_from_what_was_made_of_it(tmp_path):
    assert system_of(output_dir(SHELF / "voices")) == SHELF / "voices"
    for name in ("espeak-2mix_small", "pretrained_gone", "voices"):  # no model of that name
        assert system_of(ROOT / "exp" / name) == ROOT / "exp" / name
