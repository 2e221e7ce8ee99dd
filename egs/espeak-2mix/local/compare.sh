# shellcheck shell=bash
# Sourced by ablation.sh and precision.sh: variants of conf/small.yaml with the same budget and
# several seeds, and the table of what came out.
#   compare NAME TITLE "KEY=VALUE..." [CHOSEN...]
# The caller sets systems, an array of "name key=value...", and seeds. The third argument is the
# budget; CHOSEN are systems, or single runs as in small-seed0; none: all. What has its result in
# results/NAME is not done again.
compare() {
  local name=$1 title=$2 budget chosen=" ${*:4} " command seed system overrides run
  read -ra budget <<<"$3"
  cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.."
  command=egs/espeak-2mix/$name.sh
  # shellcheck source=path.sh
  . ./path.sh

  ./run.sh --corpus espeak-2mix --tag small --stop_stage 2
  mkdir -p "results/$name"
  # shellcheck disable=SC2154  # seeds and systems are the caller's
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
