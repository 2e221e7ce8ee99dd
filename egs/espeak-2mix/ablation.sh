#!/usr/bin/env bash
# What the parts of a small network are worth: every system gets the same minutes, with two seeds.
#   egs/espeak-2mix/ablation.sh [MINUTES [SYSTEM...]]
# 5 minutes each and all systems by default: two hours on two cores. What has its result
# in results/ablation is not done again. Keep the machine quiet, the budget is time.
set -euo pipefail
# shellcheck source=egs/espeak-2mix/local/compare.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/local/compare.sh"

minutes=${1:-5}
# shellcheck disable=SC2034  # compare reads them
seeds=(0 1) systems=(
  "small"
  "skip net_conf.Sc=64"
  "relu net_conf.activate=relu"
  "softmax net_conf.activate=softmax"
  "cln net_conf.norm=cln"
  "cln_frame net_conf.norm=cln_frame"
  "L20 net_conf.L=20"
  "L16 net_conf.L=16"
  "deep_dilated net_conf.deep_layers=2"
  "deep_undilated net_conf.deep_layers=2 net_conf.deep_dilated=false"
)
compare "ablation.sh $minutes" \
  "Ablation of conf/small.yaml on espeak-2mix, $minutes minutes of training each" \
  "training.max_minutes=$minutes" "${@:2}"
