"""The YAML configuration: merge order, types, and one line for every mistake."""

import pytest
import yaml

from separation.config import ROOT, load_config, load_corpus_config, load_resolved, save_resolved
from separation.errors import RecipeError

BLOCK = """
net_conf:
  N: 512            # encoder filters
  L: 40             # filter length, samples; stride is L/2
  B: 128            # bottleneck channels
  H: 256            # channels of the depthwise convolution
  P: 3              # its kernel
  X: 7              # blocks per repeat
  R: 2              # repeats
  norm: gln         # gln | cln (cumulative, causal) | bn
  num_spks: 2
  activate: sigmoid # mask: sigmoid | relu | softmax
  causal: false
"""
CORPUS = "minilibri-2mix"


def load(*overrides, tag="small", conf_file=None):
    return load_config(CORPUS, tag, conf_file, list(overrides))


def test_system_wins_over_corpus_wins_over_base():
    conf = load()
    assert conf["net_conf"]["N"] == 256  # small
    assert conf["corpus"]["n_mixtures"]["tr"] == 3000  # corpus
    assert conf["training"]["clip_grad_norm"] == 5.0  # base
    assert load("net_conf.N=64")["net_conf"]["N"] == 64


def test_the_block_of_the_papers_letters_is_taken_as_it_stands(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(BLOCK)
    net_conf = load(tag="mine", conf_file=path)["net_conf"]
    block = yaml.safe_load(BLOCK)["net_conf"]
    assert {key: net_conf[key] for key in block} == block
    assert net_conf["Sc"] == 0


@pytest.mark.parametrize("text", ["5e-4", "0.0005", "5.0e-4"])
def test_numbers_are_numbers_however_they_are_written(text):
    assert load(f"optim.lr={text}")["optim"]["lr"] == 0.0005


def test_three_speakers_need_one_option():
    conf = load("corpus.n_src=3")
    assert conf["net_conf"]["num_spks"] == 3


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("optim.lrr=1", r"command line: unknown key 'optim.lrr' \(did you mean 'lr'\?\)"),
        ("optm.lr=1", r"unknown key 'optm' \(did you mean 'optim'\?\)"),
        ("corpus.mode=mni", r"corpus.mode is 'mni': known: min, max \(did you mean 'min'\?\)"),
        ("corpus.n_src=1", "corpus.n_src is 1: must be 2 or more, 20 at most"),
        ("corpus.sample_rate=-8000", "corpus.sample_rate is -8000"),
        ("training.max_epochs=.inf", "'training.max_epochs' must be a whole number"),
        ("optim.lr=fast", "'optim.lr' must be a number, not 'fast'"),
        ("training.max_epochs=1.5", "'training.max_epochs' must be a whole number"),
        ("net_conf.causal=1", "'net_conf.causal' must be true or false"),
        ("net_conf=5", "'net_conf' must hold keys and values"),
        ("optim.lr", "write key=value"),
        ("data.chunking=some", "data.chunking is 'some': known: random, all"),
        ("model=[convtasnet]", r"command line: model is '\[convtasnet\]'"),
        ("corpus.n_mixtures.tr=-1", "corpus.n_mixtures is .*: tr must be 0 or more"),
        ("corpus.shares={dev: 0.5}", "unknown key 'corpus.shares.dev'"),
        ("evaluation.splits=[]", "evaluation.splits is '\\[\\]': must name at least one"),
        ("evaluation.splits=[tt, tt]", "names one twice"),
        ("training.max_minutes=.nan", "training.max_minutes is nan"),
        ("optim.decay_share=1.5", "optim.decay_share is 1.5: must be more than 0, 1 at most"),
        ("evaluation.splits=tt", "'evaluation.splits' must be a list"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(override, says):
    with pytest.raises(RecipeError, match=says):
        load(override)


def test_an_unknown_key_in_a_file_is_named_with_the_file(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("net_conf: {Nn: 3}\n")
    with pytest.raises(
        RecipeError, match=r"bad.yaml: unknown key 'net_conf.Nn' \(did you mean 'N'"
    ):
        load(tag="bad", conf_file=path)


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "\tx: 1"])
def test_what_is_not_a_mapping_is_named(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match="bad.yaml") as error:
        load(tag="bad", conf_file=path)
    assert "\n" not in str(error.value)


def test_a_typo_in_the_tag_lists_the_tags():
    with pytest.raises(RecipeError, match=r"did you mean 'small'\?.*convtasnet.*paper.*--conf"):
        load(tag="smal")


def test_an_unknown_corpus_lists_the_corpora():
    with pytest.raises(RecipeError, match=r"did you mean 'minilibri-2mix'\?.*espeak-2mix"):
        load_corpus_config("minilibri-2mx", [])


def test_resolved_file_comes_back(tmp_path):
    conf = load("optim.lr=1e-4")
    save_resolved(conf, tmp_path / "conf.yaml")
    assert load_resolved(tmp_path) == conf
    assert load_resolved(tmp_path, ["nj=3"])["nj"] == 3
    del conf["training"]["fast"], conf["evaluation"]
    save_resolved(conf, tmp_path / "conf.yaml")  # of an earlier version of the recipe
    older = load_resolved(tmp_path)
    assert older["training"]["fast"] is True
    assert older["evaluation"]["splits"] == ["tt", "tr"]
    with pytest.raises(RecipeError, match="train first"):
        load_resolved(tmp_path / "none")


@pytest.mark.parametrize("path", sorted((ROOT / "conf").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_system_loads_with_every_corpus(path):
    for corpus in (ROOT / "egs").glob("*/conf.yaml"):
        if path.stem != "base":
            load_config(corpus.parent.name, path.stem, None, [])


def test_keys_of_earlier_versions_are_read_from_experiments(tmp_path):
    conf = load(tag="deep")
    for new, old in (("min_length", "least"), ("chunking", "split")):
        conf["data"][old] = conf["data"].pop(new)
    for key in ("layers", "kernel", "dilated", "gate"):
        conf["net_conf"][f"codec_{key}"] = conf["net_conf"].pop(f"deep_{key}")
    conf["net_conf"]["Sc"] = 128  # the default of then
    save_resolved(conf, tmp_path / "conf.yaml")
    read = load_resolved(tmp_path)
    assert read["data"] == load(tag="deep")["data"]
    assert read["net_conf"] == load(tag="deep")["net_conf"] | {"Sc": 128}


def test_stages_that_make_data_do_not_mind_another_architecture_s_keys():
    conf = load_corpus_config(CORPUS, ["model=dprnn", "net_conf.K=20", "seed=3"])
    assert conf["seed"] == 3
