#!/usr/bin/env bash
# The recipe, from nothing to a table of results: stages 0 to 5. ./run.sh --help lists the options.
# shellcheck disable=SC2154  # local/plan.py sets most of the variables
set -euo pipefail
unset CDPATH # which would have cd print, and look elsewhere

caller=$PWD
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
RECIPE_COMMAND=./run.sh
[ $# -eq 0 ] || RECIPE_COMMAND+=$(printf ' %q' "$@")
export RECIPE_COMMAND # for the record beside the results

say() { echo "run.sh: $*"; }

# due STAGE: is the stage to be run?
due() { [[ " ${due[*]} " == *" $1 "* ]]; }

# run COMMAND...: in a process group of its own, so that Ctrl-C reaches run.sh alone, which stops the
# command and then all its workers; after kill -9 of run.sh they find their parent gone and end, too.
child=''
run() {
  set -m
  RECIPE_PARENT=$$ "$@" </dev/null &
  child=$!
  set +m
  wait "$child"
  child=''
}
stopped() {
  trap '[ -z "$child" ] || kill -KILL -- "-$child" 2>/dev/null' INT TERM HUP # a second Ctrl-C
  if [ -n "$child" ]; then
    kill -TERM "$child" 2>/dev/null || true # not INT: a Python that has just started prints at that
    wait "$child" 2>/dev/null || true
    kill -KILL -- "-$child" 2>/dev/null || true
  fi
  echo "run.sh: stopped; the same command resumes from here" >&2
  exit "$1"
}
trap 'stopped 130' INT
trap 'stopped 143' TERM
trap 'stopped 129' HUP

# ---- options, environment, plan -----------------------------------------------------------------
# Help and mistyped options need no environment.
if command -v python3 >/dev/null; then
  PYTHONPATH=local python3 -B local/usage.py "$caller" "$@" || exit "$(($? == 100 ? 0 : $?))"
fi
# shellcheck source=path.sh
. ./path.sh

# Checks every option and every key before anything is done. Sets corpus, tag, oracle, conf,
# data_dir, wav_dir, exp_dir, result, manifest, resume, stop_stage, and the lists due, overrides and
# notes.
plan=$(python local/plan.py "$caller" "$@")
eval "$plan"
for note in "${notes[@]}"; do say "$note"; done
data_args=(--corpus "$corpus" --data_dir "$data_dir")

# ---- the stages ---------------------------------------------------------------------------------
if due 0; then
  say "stage 0: getting the corpus $corpus into $data_dir"
  run python "egs/$corpus/local/prepare.py" "${data_args[@]}" "${overrides[@]}"
fi

if due 1; then
  say "stage 1: mixing into $wav_dir"
  run python local/mix.py "${data_args[@]}" "${overrides[@]}"
fi

if due 2; then
  say "stage 2: writing and checking the manifests of $wav_dir"
  run python "$manifest" "${data_args[@]}" "${overrides[@]}"
fi

if due 3; then
  say "stage 3: training $tag in $exp_dir"
  run python local/train.py --corpus "$corpus" --tag "$tag" ${conf:+--conf "$conf"} \
    --data_dir "$data_dir" --exp_dir "$exp_dir" ${resume:+--resume} "${overrides[@]}"
fi

if due 4; then
  say "stage 4: evaluating $exp_dir"
  run python local/evaluate.py ${oracle:+--corpus "$corpus" --tag "$tag"} --exp_dir "$exp_dir" \
    --data_dir "$data_dir" --results "$result" "${overrides[@]}"
fi

if [ "$stop_stage" = 5 ]; then
  say "stage 5: writing the report"
  run python local/report.py --results_dir results --exp_root exp
  say "the result is in $result; all tables are in results/RESULTS.md, results/index.html plays and plots"
else
  say "ended after stage $stop_stage, as asked; --stage $((stop_stage + 1)) continues"
fi
