#!/usr/bin/env bash
# The environment. `source path.sh` puts it on PATH, and makes it in .venv where it is not there yet:
# with uv where there is one, else with pip. Needs python3 (3.11 or later, with
# venv and headers) and a C compiler. An active environment (venv or conda) that holds exactly what
# requirements.txt names is used as it is.
#
# Sourced, this file looks and costs a few milliseconds. What takes time is done by the same file
# run as a program (`bash path.sh make`), so that a failure there ends a child, never your shell.

# Sets recipe_root, recipe_venv, recipe_pins: what every function below needs.
recipe_where() {
  recipe_root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
  recipe_venv=$recipe_root/.venv
  recipe_pins=$(cksum <"$recipe_root/requirements.txt")
}

# Is .venv whole? Its stamp .venv/complete is written last: the pins and the place it was made for
# (a moved environment is dead), then every file and folder that has to be there.
recipe_whole() {
  local line
  [ -f "$recipe_venv/complete" ] && [ -x "$recipe_venv/bin/python" ] || return 1
  {
    read -r line && [ "$line" = "$recipe_pins $recipe_root" ] || return 1
    while IFS= read -r line; do
      [ -e "$recipe_venv/$line" ] || return 1
    done
  } <"$recipe_venv/complete"
}

# Prints the active environment if it has the right packages. The verdict is kept beside .venv, and
# holds until the environment's packages or the pins change, so that asking again costs nothing.
recipe_active() {
  local active=${VIRTUAL_ENV:-${CONDA_PREFIX:-}} verdicts=$recipe_root/.venv.active verdict packages
  if ! [ -x "$active/bin/python" ] || [ "$active" -ef "$recipe_venv" ]; then return 1; fi
  packages=$active
  for packages in "$active"/lib/python3*/site-packages; do :; done
  for verdict in right wrong; do
    if [ "$(cat "$verdicts" 2>/dev/null)" = "$verdict $recipe_pins $active" ] &&
      ! [ "$packages" -nt "$verdicts" ]; then
      if [ "$verdict" = right ]; then printf '%s\n' "$active"; return 0; else return 1; fi
    fi
  done
  verdict=wrong
  if recipe_check "$active/bin/python"; then
    verdict=right
    printf '%s\n' "$active"
  else
    echo "path.sh: so the active environment $active is left alone, and .venv is used" >&2
  fi
  printf '%s\n' "$verdict $recipe_pins $active" 2>/dev/null >"$verdicts" || true
  [ "$verdict" = right ]
}

# Has this python what requirements.txt names, and does it import? Says in one line what is wrong.
recipe_check() {
  "$1" - check "$recipe_root/requirements.txt" <<'PY'
import importlib.metadata as metadata
import re
import sys

wrong = []
for line in open(sys.argv[2]):
    pin = re.match(r"([\w.-]+)==([\w.]+)", line)
    try:
        if pin and metadata.version(pin[1]).split("+")[0] != pin[2]:
            wrong.append(pin[0])
    except metadata.PackageNotFoundError:
        wrong.append(pin[0])
for package in metadata.distributions():  # one whose folder is gone still counts as installed
    tops = {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}
    if not all(package.locate_file(top).exists() for top in tops):
        wrong.append(package.metadata["Name"])
if wrong:
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    sys.exit(f"path.sh: {sys.prefix} is without {', '.join(wrong[:3])}{more}")
try:
    import asteroid.models, av, espeakng_loader, fast_bss_eval, matplotlib, pesq, soundfile, soxr  # noqa
except Exception as error:
    sys.exit(f"path.sh: {sys.prefix}: {type(error).__name__}: {str(error).splitlines()[0]}")
PY
}

recipe_use() {
  local prefix
  recipe_where
  if ! prefix=$(recipe_active); then
    recipe_whole || bash "$recipe_root/path.sh" make || return
    prefix=$recipe_venv
    export VIRTUAL_ENV=$prefix
    unset PYTHONHOME
  fi
  case $PATH: in "$prefix/bin:"*) ;; *) export PATH=$prefix/bin:$PATH ;; esac
  case ${PYTHONPATH:-}: in
    "$recipe_root/local:"*) ;;
    *) export PYTHONPATH=$recipe_root/local${PYTHONPATH:+:$PYTHONPATH} ;;
  esac
  hash -r
}

if [ "${BASH_SOURCE[0]}" != "$0" ]; then
  recipe_use || return
  unset -f recipe_where recipe_whole recipe_active recipe_check recipe_use
  unset recipe_root recipe_venv recipe_pins
  return
fi

# ---- from here on: bash path.sh make ----------------------------------------------------------
set -euo pipefail

say() { echo "path.sh: $*" >&2; }
die() { say "$@"; exit 1; }

# One run at a time makes the environment; the others wait here, then find it whole.
lock() {
  local place=$recipe_root/.venv.lock said='' owner
  if command -v flock >/dev/null; then
    exec 9>"$place"
    flock -n 9 || { say "another run is making the environment; waiting for it"; flock 9; }
    return
  fi
  until mkdir "$place.d" 2>/dev/null; do
    owner=$(cat "$place.d/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      rm -rf "$place.d"
      continue
    fi
    [ -n "$said" ] || say "another run is making the environment; waiting for it ($place.d)"
    said=yes
    sleep 1
  done
  trap 'rm -rf "$recipe_root/.venv.lock.d"' EXIT
  echo $$ >"$place.d/pid"
}

# Sets python: the first that is recent enough. Then names what it lacks, if anything.
find_python() {
  local missing
  for python in python3 python3.14 python3.13 python3.12 python3.11; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
    python=
  done
  if [ -z "$python" ]; then
    command -v python3 >/dev/null || die "python3 is missing: install Python 3.11 or later with venv"
    die "Python 3.11 or later is needed (numpy and pandas ask for it) and python3 is" \
      "$(python3 -V 2>&1): install a newer one beside it, such as python3.12, with venv"
  fi
  missing=$("$python" - tools <<'PY'
import importlib.util
import os
import shutil
import sysconfig

missing = []
if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
    missing.append("Python's venv (Debian, Ubuntu: apt install python3-venv)")
if not os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")):
    missing.append("Python's headers (Debian, Ubuntu: apt install python3-dev)")
compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
if not shutil.which(compiler):
    missing.append(f"the C compiler '{compiler}', which pesq is built with (Debian, Ubuntu: apt install gcc)")
print("; ".join(missing))
PY
  )
  [ -z "$missing" ] || die "$("$python" -V) lacks $missing"
}

# A fresh, empty .venv unless there is one that works, made at this place. Sets fresh if so.
make_venv() {
  local place=
  fresh=
  if [ -f "$recipe_venv/complete" ]; then
    read -r _ _ place <"$recipe_venv/complete" || true
  fi
  if "$recipe_venv/bin/python" -c pass 2>/dev/null && [ "${place:-$recipe_root}" = "$recipe_root" ]; then
    rm -f "$recipe_venv/complete"
    say "finishing the environment in $recipe_venv"
    return
  fi
  fresh=yes
  rm -rf "$recipe_venv"
  say "making the environment in $recipe_venv: some minutes, once; most of it is the download of torch"
  "$python" -m venv "$recipe_venv"
}

# pip's settings for local wheels hold for uv too. Where uv fails, pip may know better (pip.conf).
install() {
  local line log=$recipe_venv/install.log
  if command -v uv >/dev/null; then
    if [ -n "${PIP_FIND_LINKS:-}" ] && [ -z "${UV_FIND_LINKS:-}" ]; then
      export UV_FIND_LINKS=${PIP_FIND_LINKS// /,}
    fi
    uv pip install --python "$recipe_venv/bin/python" -r "$recipe_root/requirements.txt" >&2 && return
    say "uv could not install everything; trying pip"
  fi
  # pip prints hundreds of lines: all of them go to a log, one a package to the terminal.
  "$recipe_venv/bin/python" -m pip install --disable-pip-version-check --no-compile \
    -r "$recipe_root/requirements.txt" 2>&1 | tee "$log" | while IFS= read -r line; do
    case $line in
      Collecting*"(from -r "* | Processing*"(from -r "*)
        line=${line%% (from*}
        say "  ${line##*[ /]}"
        ;;
      "Building wheels"*) say "  ${line/Building/building}" ;;
      "Installing collected"*) say "  installing them all, which takes a minute or so" ;;
    esac
  done || {
    tail -n 5 "$log" >&2
    die "pip could not install requirements.txt (see $log); the next run resumes here"
  }
}

# torchaudio's wheels are linked against CUDA. Beside a torch without CUDA its extension cannot be
# loaded, which kills `import asteroid`; without the extension torchaudio works in plain Python.
mend_torchaudio() {
  local lib
  lib=$("$recipe_venv/bin/python" - torchaudio <<'PY'
import importlib.util
import pathlib

import torch

spec = importlib.util.find_spec("torchaudio")
if spec and spec.origin and not torch.version.cuda and not torch.version.hip:
    try:
        import torchaudio
    except OSError:
        print(pathlib.Path(spec.origin).parent / "lib")
PY
  )
  [ -n "$lib" ] || return 0
  mkdir -p "$lib-unused"
  mv -f "$lib"/*.so "$lib-unused"
  say "torch has no CUDA here and torchaudio's extension cannot load without it: moved it to $lib-unused"
}

[ "${1:-}" = make ] || die "source this file: . ./path.sh"
unset PYTHONDONTWRITEBYTECODE # what is imported here stays compiled, else every stage compiles it
recipe_where
lock
if recipe_whole; then exit 0; fi
find_python
make_venv
install
mend_torchaudio
if ! recipe_check "$recipe_venv/bin/python"; then
  [ -z "$fresh" ] || die "the environment does not work: see above"
  say "that is past mending; starting again with an empty environment"
  rm -rf "$recipe_venv"
  make_venv
  install
  mend_torchaudio
  recipe_check "$recipe_venv/bin/python"
fi
"$recipe_venv/bin/python" -W ignore -c 'import pytorch_lightning' ||
  die "training does not work in this environment: see above"
{
  echo "$recipe_pins $recipe_root"
  (cd "$recipe_venv" && printf '%s\n' bin/* lib/python3*/site-packages/* | grep -v __pycache__)
} >"$recipe_venv/.complete"
mv "$recipe_venv/.complete" "$recipe_venv/complete"
say "the environment is ready ($SECONDS s)"
