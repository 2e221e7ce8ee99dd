# shellcheck shell=bash
# Sourced by ablation.sh and precision.sh: variants of conf/small.yaml with the same budget and
# several seeds, and the table of what came out.
#   compare "NAME.sh BUDGET" TITLE "KEY=VALUE..." [CHOSEN...]
# The caller sets systems, an array of "name key=value...", and seeds. The first argument is what to
# type to have it all again, the third its budget as configuration; CHOSEN are systems, or single
# runs as in small-seed0; none: all. What has its result in results/NAME is not done again.
# shellcheck disable=SC2154  # systems and seeds are the caller's
compare() {
  local command=egs/espeak-2mix/$1 name=${1%%.sh*} title=$2 chosen=" ${*:4} "
  local budget others seed system overrides run
  read -ra budget <<<"$3"
  cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.."
  for system in ${chosen}; do
    [[ " ${systems[*]%% *} " = *" ${system%-seed*} "* ]] && continue
    echo "$name.sh: no system '$system'; known: ${systems[*]%% *}" >&2
    return 1
  done
  # shellcheck source=path.sh
  . ./path.sh

  mkdir -p "results/$name"
  others=$(grep -rLF --include='*.csv' ",$command," "results/$name" || true)
  if [ "$others" ]; then
    echo "$name.sh: not made by '$command'; remove them first: ${others//$'\n'/ }" >&2
    return 1
  fi
  ./run.sh --corpus espeak-2mix --tag small --stop_stage 2
  for seed in "${seeds[@]}"; do
    for system in "${systems[@]}"; do
      read -ra overrides <<<"$system"
      run=${overrides[0]}-seed$seed
      [[ $chosen =~ ^\ *$ || $chosen = *" ${overrides[0]} "* || $chosen = *" $run "* ]] || continue
      if [ -e "results/$name/$run.csv" ]; then continue; fi
      echo "$command: $run"
      python local/train.py --corpus espeak-2mix --tag small --data_dir data/espeak-2mix \
        --exp_dir "exp/$name/espeak-2mix_$run" "${budget[@]}" "seed=$seed" "${overrides[@]:1}"
      RECIPE_COMMAND="$command" python local/evaluate.py --exp_dir "exp/$name/espeak-2mix_$run" \
        --data_dir data/espeak-2mix --results "results/$name/$run.csv"
    done
  done
  python egs/espeak-2mix/local/seeds_table.py "results/$name" "$title"
}
