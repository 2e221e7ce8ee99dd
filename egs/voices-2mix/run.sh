#!/usr/bin/env bash
# The recipe on this corpus; options as in ../../run.sh --help.
exec "$(dirname -- "${BASH_SOURCE[0]}")/../../run.sh" --corpus voices-2mix "$@"
