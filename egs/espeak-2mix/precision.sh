#!/usr/bin/env bash
# What bfloat16 costs in training: the same steps as in float32, with three seeds.
#   egs/espeak-2mix/precision.sh [EPOCHS [SYSTEM...]]
# 15 epochs each by default, half an hour in float32 on one core. What has its result in
# results/precision is not done again.
set -euo pipefail
# shellcheck source=egs/espeak-2mix/local/compare.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/local/compare.sh"

epochs=${1:-15}
# shellcheck disable=SC2034  # compare reads them
seeds=(0 1 2) systems=(
  "fp32 training.precision=fp32"
  "bf16 training.precision=bf16"
)
compare "precision.sh $epochs" \
  "bfloat16 and float32: conf/small.yaml on espeak-2mix, $epochs epochs each" \
  "training.max_minutes=0 training.max_epochs=$epochs data.epoch_size=4000" "${@:2}"
