#!/usr/bin/env bash
# What an hour of one thread is best spent on: one change at a time to the same training, each with as
# many steps as take the processor as long as the baseline's, on the same unseen speakers.
#   egs/voices-2mix/study.sh [STEPS [VARIANT...]]
# 500 steps of the baseline (6 minutes of one thread of an EPYC with AVX2) and all variants by default;
# VARIANT is a name of the list below, or one run such as baseline-seed0. Needs stages 0 to 2 of
# voices-2mix. A run that has its result in results/voices is left out, one that was stopped is resumed.
set -euo pipefail
shopt -s inherit_errexit
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

steps=${1:-500}
chosen=" ${*:2} "
common=(data.chunk_size=24000 data.batch_size=8 optim.schedule=budget
  training.max_minutes=0 training.early_stop=0 training.precision=fp32 nj=1
  evaluation.n_examples=0 'evaluation.metrics=[si_sdr]' 'evaluation.max_mixtures={tt: 200, tr: 50}')
variants=(
  "baseline"
  "snr30 training.loss=snr training.loss_max_db=30"
  "chunk1 data.chunk_size=8000"
  "chunk6 data.chunk_size=48000 data.batch_size=4"
  "batch4 data.batch_size=4"
  "lr2e-3 optim.lr=2e-3 optim.warmup_steps=50"
  "no_speed data.speed_range=0"
  "speed0.2 data.speed_range=0.2"
  "formants data.augment.formant_range=0.1"
  "no_commands corpus.group_weights.commands=0"
  "sqrt_seconds data.draw_speakers=sqrt_seconds"
  "wide net_conf.B=192 net_conf.H=384"
  "R2 net_conf.R=2"
  "adam optim.name=adam"
  "overlap4 net_conf.overlap=4 net_conf.X=6"
  "L512 net_conf.L=512"
  "skip net_conf.Sc=128"
  "relu net_conf.activate=relu"
  "chunk2 data.chunk_size=16000"
  "batch16 data.batch_size=16"
  "lr5e-4 optim.lr=5e-4"
  "loss30 training.loss_max_db=30"
  "seconds data.draw_speakers=seconds"
  "average2 training.average_epochs=2"
  "filters data.augment.filter_db=4"
  "telephone data.augment.telephone_share=0.2"
  "rooms data.augment.room_share=0.3"
  "codec data.augment.codec_share=0.2"
  "silence training.loss=snr training.loss_max_db=30 data.augment.silence_share=0.2"
  "gain5 data.gain_range=5"
)

for name in ${chosen}; do
  [[ " ${variants[*]%% *} " = *" ${name%-seed*} "* ]] && continue
  echo "study.sh: no variant '$name'; known: ${variants[*]%% *}" >&2
  exit 1
done
if [ ! -f data/voices-2mix/wav8k/min/tt.csv ]; then
  echo "study.sh: data/voices-2mix is not ready; first: ./run.sh --corpus voices-2mix" \
    "--corpus_dir DIR[,DIR...] --stop_stage 2" >&2
  exit 1
fi
# shellcheck source=path.sh
. ./path.sh
export OMP_NUM_THREADS=1 RECIPE_COMMAND="egs/voices-2mix/study.sh $steps"

place=(--corpus voices-2mix --tag spectral --data_dir data/voices-2mix)

# is_chosen NAME SEED: whether the command line asks for this run; without names it asks for all.
is_chosen() { [[ $chosen =~ ^\ *$ || $chosen = *" $1 "* || $chosen = *" $1-seed$2 "* ]]; }

# budget NAME CHANGES...: print the settings that give a variant its share of the time, measured once.
budget() {
  local file=exp/voices/steps/$steps-$1 changes=("${@:2}")
  mkdir -p exp/voices/steps
  if [ ! -s "$file" ]; then
    python egs/voices-2mix/local/steps.py "${place[@]}" --steps "$steps" "${changes[@]/#/--change=}" \
      -- "${common[@]}" >"$file.tmp"
    mv "$file.tmp" "$file"
  fi
  cat "$file"
}

# run_one NAME SEED CHANGES...: train and evaluate one variant with one seed.
run_one() {
  local run=$1-seed$2 exp_dir=exp/voices/voices-2mix_$1-seed$2 resume=() settings
  if [ -e "results/voices/$run.csv" ]; then return; fi
  echo "study.sh: $run"
  settings=$(budget "$1" "${@:3}")
  if [ ! -f "$exp_dir/best_model.pth" ]; then
    if compgen -G "$exp_dir/checkpoints/*.ckpt" >/dev/null; then resume=(--resume); fi
    # shellcheck disable=SC2086  # one word a setting
    python local/train.py "${place[@]}" --exp_dir "$exp_dir" "${resume[@]}" -- "${common[@]}" \
      "seed=$2" "${@:3}" $settings
  fi
  python local/evaluate.py --exp_dir "$exp_dir" --data_dir data/voices-2mix \
    --results "results/voices/$run.csv"
}

for seed in 0 1; do
  for variant in "${variants[@]}"; do
    read -ra changes <<<"$variant"
    if is_chosen "${changes[0]}" "$seed"; then
      run_one "${changes[0]}" "$seed" "${changes[@]:1}"
    fi
  done
done
python egs/espeak-2mix/local/seeds_table.py results/voices \
  "voices-2mix: as much processor time for each training as $steps steps of the baseline take"
