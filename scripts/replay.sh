#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/replay.sh [FOLDER...]
#
# Builds fastimg and decodes every file of the folders, and of FASTIMG_TEST_DATA, through every route: see
# tests/support/replay.py. The exit status is not 0 if a result was wrong, if the process died (the file and route are
# named then), or if a sanitizer found something, leaks of fastimg included. Settings, besides those of setup-env.sh:
#
#   FASTIMG_TEST_DATA  a folder with files
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

set -- ${FASTIMG_TEST_DATA:+"$FASTIMG_TEST_DATA"} "$@"
[ $# -gt 0 ] || die "name a folder of images, or set FASTIMG_TEST_DATA"
for folder in "$@"; do
    [ -d "$folder" ] || die "not a folder: $folder"
done

prepare venv turbojpeg
use_sanitizers
install_fastimg test

# Memory of CPython's that it does not free is told from the core's by who asked for it: the second frame.
case ${FASTIMG_SANITIZE:-} in
    *address*) run_env+=(ASAN_OPTIONS="log_path=$work/reports/report:malloc_context_size=2"
        LSAN_OPTIONS="suppressions=$project/tests/support/leaks.supp:print_suppressions=0") ;;
esac
folders=()
for folder in "$@"; do folders+=("$(cd "$folder" && pwd)"); done
cd "$project/tests" # from where fastimg/ is not found
say "Replaying"
status=0
"${run_env[@]}" "$venv_python" -m support.replay --now "$work/now" "${folders[@]}" || status=$?
[ "$status" -le 1 ] || say "Died with status $status at $(cat "$work/now" 2>/dev/null)"
[ -z "${FASTIMG_SANITIZE:-}" ] || reports || status=1
exit "$status"
