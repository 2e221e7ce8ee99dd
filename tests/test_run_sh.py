"""run.sh: what it runs, in which order, with which arguments."""

import json
import subprocess

import pytest

from recorded_recipe import STAGES


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


def test_a_second_call_only_reports(ran):
    assert ran("--nj", "7", "--devices", "2") == (0, ["report"])
    told = [line for line in ran.out.splitlines() if "done before" in line]
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


def test_an_explicit_stage_runs_again_from_there(ran):
    assert ran("--stage", "2", "--stop_stage", "3") == (0, ["manifest", "train"])
    assert "--resume" not in ran.arguments("train")
    assert ran() == (0, ["evaluate", "report"])  # of the model trained anew
    assert ran("--stage=4", "--stop-stage=4") == (0, ["evaluate"])
    assert ran("--stop_stage", "4") == (0, [])


def test_an_oracle_is_evaluated_without_training(recipe):
    oracle = ("--tag", "oracle_ibm")
    assert recipe(*oracle) == (0, [stage for stage in STAGES if stage != "train"])
    assert "stage 3: nothing to train, oracle_ibm is made from the references" in recipe.out
    assert recipe.arguments("evaluate") == [
        *("--corpus", "toy-2mix", "--tag", "oracle_ibm", "--exp_dir", "exp/toy-2mix_oracle_ibm"),
        *("--data_dir", "data/toy-2mix", "--results", "results/toy-2mix_oracle_ibm.csv", "--"),
    ]
    assert recipe(*oracle) == (0, ["report"])
    changes = ("--", "evaluation.oracle_hop_ms=16")
    assert recipe(*oracle, *changes) == (0, ["evaluate", "report"])
    assert recipe(*oracle, "--stage", "4", "--stop_stage", "4") == (0, ["evaluate"])
    assert recipe(*oracle, "--stage", "3", "--stop_stage", "3") == (0, [])
    # Other data make other scores.
    assert recipe("--stage", "2", "--stop_stage", "2", "--seed", "1") == (0, ["manifest"])
    assert recipe(*oracle, "--stop_stage", "4", "--seed", "1") == (0, [*STAGES[:3], "evaluate"])


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


def test_several_numbers_of_speakers_are_one_option(recipe):
    several = ("--n_src", "1,2,3", "--tag", "paper", "--", "training.assignment=one_and_rest")
    assert recipe(*several) == (0, STAGES)
    line = recipe.arguments("train")
    assert line[line.index("--") :] == ["--", 'corpus.n_src="1,2,3"', several[-1]]
    assert "data/toy-2mix-1-2-3spk" in line
    assert "exp/toy-2mix-1-2-3spk_paper" in line
    assert recipe(*several) == (0, ["report"])  # all is done


def test_the_command_line_is_recorded_so_that_a_shell_reads_it_back(recipe):
    recipe("--seed", "5", "--", "evaluation.splits=[tt, cv]")
    command = recipe.calls()[0][2]
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert words[0] == "./run.sh"
    assert words[-4:] == ["--seed", "5", "--", "evaluation.splits=[tt, cv]"]


def test_other_corpus_settings_spare_the_model_and_its_corpus(ran):
    assert ran("--seed", "1") == (1, [])
    assert "exp/toy-2mix_small was trained with other settings" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran("--seed", "1", "--stop_stage", "2") == (0, STAGES[:3])
    assert ran.out.count("was done with other settings; doing it again") == 1


def test_other_training_settings_never_overwrite_a_model_silently(ran):
    assert ran("--", "optim.lr=0.1") == (1, [])
    assert "--resume" in ran.err and "--tag" in ran.err and "--stage 3" in ran.err
    assert ran("--resume", "--", "optim.lr=0.1") == (0, STAGES[3:])
    assert "--resume" in ran.arguments("train")
    assert ran("--", "optim.lr=0.1") == (0, ["report"])
    assert ran("--stage", "3") == (0, STAGES[3:])


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


def test_an_edited_system_counts_as_other_settings_and_a_comment_does_not(ran):
    file = ran.root / "conf" / "small.yaml"
    file.write_text("# the same\n" + file.read_text())
    assert ran() == (0, ["report"])
    file.write_text("net_conf: {N: 9}\n")
    assert ran() == (1, [])


def test_other_evaluation_settings_only_evaluate_again(ran):
    assert ran("--", "evaluation.splits=[tr]") == (0, ["evaluate", "report"])


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
