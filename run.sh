#!/usr/bin/env bash
# The recipe, from nothing to a table of results: stages 0 to 5. ./run.sh --help tells the options.
set -euo pipefail
unset CDPATH # which would have cd print, and go elsewhere

# shellcheck disable=SC2034  # most are read by their name only
{
  stage='' stop_stage=5 corpus=espeak-2mix corpus_dir='' tag='' conf='' resume='' help=''
  n_src='' sample_rate='' mode='' nj='' precision='' devices='' num_nodes='' seed=''
  lists='' levels_file='' keep_going='' allow_partial=''
}
names=(stage stop_stage corpus corpus_dir lists levels_file keep_going allow_partial tag conf n_src
  sample_rate mode nj precision devices num_nodes seed resume help)

say() { echo "run.sh: $*"; }
die() { echo "run.sh: $*" >&2; exit 1; }

usage() {
  cat <<END
Usage: ./run.sh [options] [-- key=value ...]

Makes its environment, gets a corpus, mixes it, trains a separator, evaluates it and prints a table.
Without options: all of it, on the embedded corpus. A stage that is done is not done again.

  --corpus NAME        $(corpora) (default: $corpus)
  --corpus_dir DIR     the corpus' recordings, where you have them
  --lists DIR|ZIP      the corpus' mixing lists, where you have them (wsj0-2mix)
  --levels_file PATH   active speech levels to mix with, a file or folder of lines "utterance power"
  --keep_going         tell every bad recording of the corpus before giving up, not the first alone
  --allow_partial      leave out mixtures of missing or bad recordings, for experiments (wsj0-2mix)
  --tag NAME           the system, a file conf/NAME.yaml: $(tags)
                       (default: the corpus' own, default_tag in egs/NAME/conf.yaml)
  --conf FILE          the system's file, for a new --tag
  --stage N            start at stage N, whatever is done
                       0 get the corpus, 1 mix, 2 metadata, 3 train, 4 evaluate, 5 report
  --stop_stage N       end with stage N (default: $stop_stage)
  --resume             go on with the training from its last checkpoint
  --n_src N            speakers in a mixture
  --sample_rate HZ     of the mixtures
  --mode min|max       a mixture ends with its shortest source, or with its longest
  --nj N               processes for stages 0, 1, 2 and 4
  --precision NAME     of training: fp32, bf16, or auto: bf16 on a GPU that has it
  --devices N          training processes (GPUs) on a machine
  --num_nodes N        machines
  --seed N             of the corpus, the weights and the order of the training data
  --help               this text

Names may have dashes for underscores, and --name=value is fine too. After a -- come changes to the
configuration (conf/base.yaml tells every key and its default), such as
  ./run.sh --stage 3 --tag convtasnet -- training.max_epochs=10 optim.lr=5e-4
END
}

corpora() { echo egs/*/conf.yaml | sed 's|egs/||g; s|/conf\.yaml||g'; }
tags() { echo conf/*.yaml | sed 's|conf/base\.yaml *||; s|conf/||g; s|\.yaml||g'; }

# nearest NAME KNOWN...: prints " (did you mean 'x'?)" or nothing.
nearest() {
  PYTHONPATH=local python3 -c 'import sys
from separation.errors import nearest
print(nearest(sys.argv[1], sys.argv[2:]))' "$@" 2>/dev/null || true
}

absolute() { (cd -- "$caller" && cd -- "$1" 2>/dev/null && pwd) || true; }

# work COMMAND...: runs it in a process group of its own, so that Ctrl-C or a kill of run.sh takes
# the command and all its workers along; nothing goes on training behind one's back.
child=''
work() {
  set -m
  "$@" </dev/null &
  child=$!
  set +m
  wait "$child"
  child=''
}
stopped() {
  trap '[ -z "$child" ] || kill -KILL -- "-$child" 2>/dev/null' INT TERM HUP # a second Ctrl-C
  if [ -n "$child" ]; then
    kill "-$1" -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  echo "run.sh: stopped; the same command goes on from here" >&2
  exit "$2"
}
trap 'stopped INT 130' INT
trap 'stopped TERM 143' TERM
trap 'stopped TERM 129' HUP

# due STAGE FOLDER KEY: is the stage to be run? Its marker in FOLDER holds the settings it was run
# with. From an explicit --stage on, every stage is run.
due() {
  local marker=$2/.done.stage$1
  if [ "$1" -lt "${stage:-0}" ] || [ "$1" -gt "$stop_stage" ]; then return 1; fi
  if [ -n "$stage" ] || { [ "$1" = 3 ] && [ -n "$resume" ]; }; then return; fi
  if [ "$1" = 3 ] && [ ! -f "$marker" ] && compgen -G "$2/checkpoints/*" >/dev/null; then
    marker=$2/.begun.stage3
    if [ "$(cat "$marker" 2>/dev/null)" = "$3" ]; then
      say "stage 3: was cut short; going on from its last checkpoint (--stage 3 starts it anew)"
      resume=yes
      return
    fi
  elif [ ! -f "$marker" ]; then
    return
  fi
  if [ "$(cat "$marker" 2>/dev/null)" = "$3" ]; then
    say "stage $1: done before, see $2 (--stage $1 does it again)"
    return 1
  fi
  [ "$1" != 3 ] || trained_otherwise "$2"
  say "stage $1: was done with other settings; doing it again"
}

trained_otherwise() {
  die "$1 was trained with other settings: --resume goes on with it under these," \
    "another --tag (with --conf) keeps it, --stage 3 replaces it"
}

# begin STAGE FOLDER KEY WHAT: what is built on this stage's result is no longer done.
begin() {
  local later
  mkdir -p "$2"
  for later in 0 1 2 3 4; do
    [ "$later" -lt "$1" ] || rm -f "$2/.done.stage$later"
  done
  echo "$3" >"$2/.begun.stage$1"
  say "stage $1: $4"
}

# finish STAGE FOLDER. With several machines on one folder, another may have been quicker.
finish() {
  mv -f "$2/.begun.stage$1" "$2/.done.stage$1" 2>/dev/null || [ -f "$2/.done.stage$1" ]
}

# need FILE STAGE: one line that says which stage makes it.
need() {
  [ -e "$1" ] || die "$1 is missing: stage $2 makes it (--stage $2, with the same other options)"
}

# ---- options ------------------------------------------------------------------------------------
caller=$PWD
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
RECIPE_COMMAND=./run.sh
[ $# -eq 0 ] || RECIPE_COMMAND+=$(printf ' %q' "$@")
export RECIPE_COMMAND # for the record beside the results

while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    -h) usage; exit ;;
    --*) ;;
    *) die "'$1' is no option; changes to the configuration come after a --, such as -- optim.lr=5e-4" ;;
  esac
  name=${1%%=*} name=${name#--} name=${name//-/_}
  case " ${names[*]} " in
    *" $name "*) ;;
    *) die "unknown option --$name$(nearest "--$name" "${names[@]/#/--}"); --help lists them" ;;
  esac
  case $name,$1 in
    help,*) usage; exit ;;
    resume,*=* | keep_going,*=* | allow_partial,*=*) die "--$name takes no value" ;;
    resume,* | keep_going,* | allow_partial,*)
      printf -v "$name" true; shift; continue ;;
    *=?*) value=${1#*=}; shift ;;
    *=) die "--$name needs a value" ;;
    *)
      case ${2:-} in '' | --*) die "--$name needs a value" ;; esac
      value=$2; shift 2 ;;
  esac
  printf -v "$name" '%s' "$value"
done

for name in stage stop_stage; do
  [[ ${!name} =~ ^[0-5]?$ ]] || die "--$name ${!name}: the stages are 0 to 5"
done
[ "${stage:-0}" -le "$stop_stage" ] || die "--stage $stage comes after --stop_stage $stop_stage"
# shellcheck disable=SC2046  # one word a name
[ -f "egs/$corpus/conf.yaml" ] ||
  die "--corpus $corpus: there is no such corpus$(nearest "$corpus" $(corpora)); there are: $(corpora)"
if [ -n "$conf" ]; then
  [ -n "$tag" ] || die "--conf needs --tag NAME, the name of the experiment"
  file=$(absolute "$(dirname -- "$conf")")/$(basename -- "$conf")
  [ -f "$file" ] || die "--conf $conf: no such file"
  conf=$file
  [ ! -f "conf/$tag.yaml" ] || [ "$conf" -ef "conf/$tag.yaml" ] ||
    die "--tag $tag means conf/$tag.yaml: give --conf $conf a tag of its own"
fi
[ -n "$tag" ] || tag=$(cat "egs/$corpus/conf.yaml" conf/base.yaml |
  sed -n 's/^  default_tag: *\([A-Za-z0-9_.-]*\).*/\1/p' | sed 1q)
[[ $tag =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] || die "--tag '$tag': letters, digits and _ . - make a tag"
# shellcheck disable=SC2046
[ -n "$conf" ] || [ -f "conf/$tag.yaml" ] ||
  die "--tag $tag: there is no conf/$tag.yaml$(nearest "$tag" $(tags)); there are: $(tags);" \
    "a new one needs --conf FILE"
if [ -n "$corpus_dir" ]; then
  folder=$(absolute "$corpus_dir")
  [ -n "$folder" ] || die "--corpus_dir $corpus_dir: no such folder"
  corpus_dir=$folder
fi
for name in lists levels_file; do
  [ -n "${!name}" ] || continue
  file=$(absolute "$(dirname -- "${!name}")")/$(basename -- "${!name}")
  [ -e "$file" ] || die "--$name ${!name}: no such folder or file"
  printf -v "$name" '%s' "$file"
done
for name in lists allow_partial; do
  [ -z "${!name}" ] || grep -q "^  $name:" "egs/$corpus/conf.yaml" ||
    die "--$name: the corpus $corpus has no use for it"
done

# An option is another word for a key of the YAML: the defaults stand there, and only there.
overrides=(--)
for pair in corpus.n_src:n_src corpus.sample_rate:sample_rate corpus.mode:mode nj:nj seed:seed \
  training.precision:precision training.devices:devices training.num_nodes:num_nodes corpus.keep_going:keep_going \
  corpus.allow_partial:allow_partial; do
  name=${pair#*:}
  [ -z "${!name}" ] || overrides+=("${pair%:*}=${!name}")
done
quoted() { printf "'%s'" "${1//\'/\'\'}"; } # for YAML
[ -z "$corpus_dir" ] || overrides+=("corpus.corpus_dir=$(quoted "$corpus_dir")")
[ -z "$lists" ] || overrides+=("corpus.lists=$(quoted "$lists")")
[ -z "$levels_file" ] || overrides+=("corpus.levels_file=$(quoted "$levels_file")")
overrides+=("$@")

# ---- the plan -----------------------------------------------------------------------------------
# shellcheck source=path.sh
. ./path.sh

# Checks every key before anything is done. Prints the name of the corpus folder, the folder of the
# mixtures, the recordings' folder, the lists, and a fingerprint of the settings that each part
# hangs on; settings that cannot change a result (where and with how many processes) are left out.
plan=$(python - "$corpus" "$tag" "$conf" "${overrides[@]}" <<'PY'
import hashlib
import json
import sys
from pathlib import Path

from separation.config import load_config, load_corpus_config, wav_folder
from separation.errors import RecipeError, run_command


def fingerprint(part):
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]


def main():
    corpus, tag, conf_file, _, *overrides = sys.argv[1:]
    data = load_corpus_config(corpus, overrides)
    system = load_config(corpus, tag, Path(conf_file) if conf_file else None, overrides)
    if system["corpus"] != data["corpus"]:
        raise RecipeError(
            f"{conf_file or f'conf/{tag}.yaml'}: 'corpus' is not a system's to change;"
            " its keys stand in egs/<corpus>/conf.yaml or on the command line"
        )
    n_src = data["corpus"]["n_src"]
    folder = corpus if n_src == 2 else f"{corpus}-{n_src}spk"
    corpus_dir, lists = data["corpus"].pop("corpus_dir"), data["corpus"].pop("lists", "")
    data["corpus"].pop("keep_going", None)
    evaluation = system.pop("evaluation")
    del system["nj"], system["corpus"]
    for place in ("accelerator", "devices", "num_nodes"):
        del system["training"][place]
    facts = fingerprint([data["corpus"], data["seed"]])
    print(folder, wav_folder(Path("data", folder), data), corpus_dir, lists, facts, sep="\n")
    print(fingerprint([facts, system]), fingerprint(evaluation), sep="\n")


run_command(main)
PY
)
{
  read -r folder; read -r wav_dir; read -r corpus_dir; read -r lists
  read -r data_key; read -r train_key; read -r eval_key
} <<<"$plan"
data_dir=data/$folder exp_dir=exp/${folder}_$tag result=results/${folder}_$tag.csv

# Recordings and lists that stage 0 was once shown stay the corpus' own until it is shown others.
if [ -f "$data_dir/.done.stage0" ]; then
  IFS='|' read -r _ old_dir old_lists <"$data_dir/.done.stage0"
  if [ -z "$corpus_dir" ] && [ -n "$old_dir" ]; then
    corpus_dir=$old_dir
    overrides+=("corpus.corpus_dir=$(quoted "$corpus_dir")")
  fi
  if [ -z "$lists" ] && [ -n "$old_lists" ]; then
    lists=$old_lists
    overrides+=("corpus.lists=$(quoted "$lists")")
  fi
fi
data_key="$data_key|$corpus_dir|$lists"
data_args=(--corpus "$corpus" --data_dir "$data_dir")
# A corpus that comes mixed has a stage 2 of its own, and nothing to do in stage 1.
metadata=local/metadata.py
[ ! -f "egs/$corpus/$metadata" ] || metadata=egs/$corpus/$metadata

# A system that was trained on the corpus as it is keeps its corpus.
if [ -z "$stage$resume" ] && [ "$stop_stage" -ge 3 ] && [ -f "$exp_dir/.done.stage3" ] &&
  [ "$(cat "$exp_dir/.done.stage3")" != "$train_key" ]; then
  trained_otherwise "$exp_dir"
fi
if [ -n "$resume" ] && [ "${stage:-0}" -le 3 ] && [ "$stop_stage" -ge 3 ]; then
  python - "$corpus" "$tag" "$conf" "$exp_dir" "${overrides[@]}" <<'PY'
import sys
from pathlib import Path

from separation.config import load_config
from separation.errors import run_command
from separation.training.resume import check_resume


def main():
    corpus, tag, conf_file, exp_dir, _, *overrides = sys.argv[1:]
    conf = load_config(corpus, tag, Path(conf_file) if conf_file else None, overrides)
    check_resume(conf, Path(exp_dir))


run_command(main)
PY
fi

# ---- the stages ---------------------------------------------------------------------------------
if due 0 "$data_dir" "$data_key"; then
  begin 0 "$data_dir" "$data_key" "getting the corpus $corpus into $data_dir"
  work python "egs/$corpus/local/prepare.py" "${data_args[@]}" "${overrides[@]}"
  finish 0 "$data_dir"
fi

if [ "$metadata" = local/metadata.py ] && due 1 "$data_dir" "$data_key"; then
  need "$data_dir/lists" 0
  begin 1 "$data_dir" "$data_key" "mixing into $wav_dir"
  work python local/mix.py "${data_args[@]}" "${overrides[@]}"
  finish 1 "$data_dir"
fi

if due 2 "$data_dir" "$data_key"; then
  if [ "$metadata" = local/metadata.py ]; then need "$wav_dir/tr/mix" 1; else need "$data_dir/mixtures" 0; fi
  begin 2 "$data_dir" "$data_key" "writing and checking the metadata of $wav_dir"
  work python "$metadata" "${data_args[@]}" "${overrides[@]}"
  finish 2 "$data_dir"
fi

if due 3 "$exp_dir" "$train_key"; then
  need "$wav_dir/tr.csv" 2
  begin 3 "$exp_dir" "$train_key" "training $tag in $exp_dir"
  work python local/train.py --corpus "$corpus" --tag "$tag" ${conf:+--conf "$conf"} \
    --data_dir "$data_dir" --exp_dir "$exp_dir" ${resume:+--resume} "${overrides[@]}"
  finish 3 "$exp_dir"
fi

if due 4 "$exp_dir" "$train_key $eval_key"; then
  need "$exp_dir/best_model.pth" 3
  begin 4 "$exp_dir" "$train_key $eval_key" "evaluating $exp_dir"
  work python local/evaluate.py --exp_dir "$exp_dir" --data_dir "$data_dir" --results "$result" \
    "${overrides[@]}"
  finish 4 "$exp_dir"
fi

if [ "$stop_stage" = 5 ]; then
  say "stage 5: writing the report"
  work python local/report.py --results_dir results --exp_root exp
  say "the result is in $result; all tables are in results/RESULTS.md, results/index.html plays and plots"
else
  say "ended after stage $stop_stage, as told; --stage $((stop_stage + 1)) goes on"
fi
