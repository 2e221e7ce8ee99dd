#!/usr/bin/env bash
# What the parts of a small network are worth: every system gets the same minutes, with two seeds.
#   egs/espeak-2mix/ablation.sh [MINUTES [SYSTEM...]]
# 5 minutes each and all systems unless told otherwise: two hours on two cores. What has its result
# in results/ablation is not done again. Keep the machine quiet, the budget is time.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
# shellcheck source=path.sh
. ./path.sh

minutes=${1:-5}
chosen=" ${*:2} "
systems=(
  "small"
  "skip net_conf.Sc=64"
  "relu net_conf.activate=relu"
  "softmax net_conf.activate=softmax"
  "cln net_conf.norm=cln"
  "cln_frame net_conf.norm=cln_frame"
  "L20 net_conf.L=20"
  "L16 net_conf.L=16"
  "deep_dilated net_conf.codec_layers=2"
  "deep_undilated net_conf.codec_layers=2 net_conf.codec_dilated=false"
)

./run.sh --corpus espeak-2mix --tag small --stop_stage 2
mkdir -p results/ablation
for seed in 0 1; do
  for system in "${systems[@]}"; do
    read -r name overrides <<<"$system"
    if [ "$chosen" != "  " ] && [[ "$chosen" != *" $name "* ]]; then continue; fi
    result=results/ablation/$name-seed$seed.csv
    if [ -e "$result" ]; then continue; fi
    echo "ablation.sh: $name, seed $seed"
    read -ra overrides <<<"$overrides"
    exp_dir=exp/ablation/espeak-2mix_$name-seed$seed
    python local/train.py --corpus espeak-2mix --tag small --data_dir data/espeak-2mix \
      --exp_dir "$exp_dir" "training.max_minutes=$minutes" "seed=$seed" "${overrides[@]}"
    RECIPE_COMMAND="egs/espeak-2mix/ablation.sh $minutes $name" \
      python local/evaluate.py --exp_dir "$exp_dir" --data_dir data/espeak-2mix --results "$result"
  done
done
python egs/espeak-2mix/local/ablation_table.py results/ablation
