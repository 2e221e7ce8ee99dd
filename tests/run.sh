#!/usr/bin/env bash
# All checks: style, types, shell, tests. Sets up the environment first. Arguments go to pytest,
# such as: tests/run.sh tests/corpus -k mixing
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=path.sh
. ./path.sh
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # what tests compute is too small for more threads

failed=()
check() {
  echo "== $1 $2"
  "${@:3}" || failed+=("$1 $2")
}

check ruff check ruff check .
check ruff format ruff format --check .
check mypy library mypy
for folder in egs/*/local; do # one at a time: every corpus has a prepare.py
  compgen -G "$folder/*.py" >/dev/null || continue
  MYPYPATH=$folder check mypy "$folder" mypy "$folder"/*.py
done
check shellcheck scripts find . \( -path './.venv*' -o -path ./data -o -path ./exp \) -prune -o \
  \( -name '*.sh' -o -path ./.ci/run \) -exec shellcheck -x {} +
read -ra compiler <<<"${CC:-cc}"
for numbers in FLOAT BFLOAT16 DOUBLE; do
  for source in local/separation/models/fast/*.c; do
    check warnings "${source##*/}, $numbers" "${compiler[@]}" "-D$numbers" -Wall -Wextra -Werror \
      -fopenmp -c -o /dev/null "$source"
  done
done
check pytest "$*" pytest -q -n auto --dist worksteal "$@"

if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "all checks passed"
