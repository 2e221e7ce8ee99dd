#!/usr/bin/env bash
# The recipe, from nothing to a table of results: stages 0 to 5. ./run.sh --help tells the options.
set -euo pipefail

stage='' stop_stage=5 corpus=espeak-2mix corpus_dir='' tag='' conf='' n_src='' sample_rate='' mode=''
nj='' devices='' num_nodes='' seed='' resume='' help=''
names="stage stop_stage corpus corpus_dir tag conf n_src sample_rate mode nj devices num_nodes seed
resume help"

say() { echo "run.sh: $*"; }
die() { echo "run.sh: $*" >&2; exit 1; }

usage() {
  cat <<END
Usage: ./run.sh [options] [-- key=value ...]

Makes its environment, gets a corpus, mixes it, trains a separator, evaluates it and prints a table.
Without options: all of it, on the embedded corpus. A stage that is done is not done again.

  --corpus NAME        $(corpora) (default: $corpus)
  --corpus_dir DIR     the corpus' recordings, where you have them
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
  --devices N          training processes (GPUs) on a machine
  --num_nodes N        machines
  --seed N             of the corpus, the weights and the order of the training data
  --help               this text

Names may have dashes for underscores, and --name=value is fine too. After a -- come changes to the
configuration (conf/base.yaml tells every key and its default), such as
  ./run.sh --stage 3 --tag convtasnet -- training.max_epochs=10 optim.lr=5e-4
END
}

corpora() { listed egs/*/conf.yaml | sed 's|egs/||g; s|/conf\.yaml||g'; }
tags() { listed conf/*.yaml | sed 's|conf/||g; s|\.yaml||g; s|base ||'; }
listed() { echo "$*"; }

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
  [ "$1" != 3 ] || die "$2 was trained with other settings: --resume goes on with it under these," \
    "another --tag (with --conf) keeps it, --stage 3 replaces it"
  say "stage $1: was done with other settings; doing it again"
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
  # shellcheck disable=SC2086  # one word a name
  case " ${names//$'\n'/ } " in
    *" $name "*) ;;
    *) die "unknown option --$name$(nearest "--$name" ${names/#/--}); --help lists them" ;;
  esac
  case $name,$1 in
    help,*) usage; exit ;;
    resume,*=*) die "--resume takes no value" ;;
    resume,*) resume=yes; shift; continue ;;
    *=?*) value=${1#*=}; shift ;;
    *=) die "--$name needs a value" ;;
    *)
      case ${2:-} in '' | --*) die "--$name needs a value" ;; esac
      value=$2; shift 2 ;;
  esac
  printf -v "$name" '%s' "$value"
done
