#!/usr/bin/env bash
# All checks: style, types, shell, tests. Sets up the environment first. Arguments go to pytest,
# such as: tests/run.sh tests/corpus -k mixing
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source=path.sh
. ./path.sh

failed=()
check() {
  echo "== $1 $2"
  "${@:3}" || failed+=("$1 $2")
}

check ruff check ruff check .
check ruff format ruff format --check .
check mypy library mypy
for folder in egs/*/local; do # one at a time: every corpus has a prepare.py
  MYPYPATH=$folder check mypy "$folder" mypy "$folder"/*.py
done
mapfile -t scripts < <(find . -name '*.sh' -not -path './.venv*' -not -path './data/*' -not -path './exp/*')
check shellcheck scripts shellcheck -x "${scripts[@]}" .ci/run
check pytest "$*" pytest -q "$@"

[ ${#failed[@]} -eq 0 ] || {
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
}
echo "all checks passed"
